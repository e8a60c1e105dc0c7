"""The base of all panels that ask a server, on a fake one: with a small panel that shows how one is written."""

import threading
from collections import Counter

import ipywidgets as widgets
import ipywidgets.widgets.widget as widget_module
import pytest

from courselib.answers.stream import chat_messages
from courselib.controls.catalogue import SAMPLING
from courselib.controls.controls import Controls
from courselib.controls.routes import chat_route
from courselib.errors import EngineDied, PanelBusy, SettingsError, Unreachable
from courselib.panels.experiment import Experiment
from courselib.panels.fields import Choice, Flag, Lines, Name, Number, Text, Whole
from courselib.panels.fold import Fold
from tests.panels.conftest import click
from tests.panels.fake_llama_server import Desk, FakeLlamaServer
from tests.waiting import wait_until


class Echo(Experiment):
    """A whole panel: it makes of the prompt as many copies as wanted, one at a time."""

    heading, origin_words, press = "Echo", "simulated", "Repeat"
    groups = (SAMPLING,)

    prompt = Text("abc", label="Prompt")
    copies = Whole(3, low=1, high=5_000, help="how many copies are made")
    colour = Choice(["blue", "red"], sent=False)

    def make_view(self):
        self.drawn = []
        return widgets.HTML()

    def call(self, asked, facts):
        plan = chat_route(self.engine_name).plan(asked.controls, defaults=facts.defaults, origin=facts.origin)
        return plan, chat_messages(asked.prompt)

    def measure(self, run):
        made = run.before or ()
        while len(made) < run.asked.copies:
            run.progress(len(made), run.asked.copies)
            gate = GATES.get(run.server.url)
            if gate and not gate(run):
                return
            made = (*made, f"{run.asked.prompt} {run.server.model}")
            yield made

    def draw(self, result, asked):
        self.drawn.append((result, asked))
        self.view.value = f"<b style='color:{self.colour}'>{result}</b>"

    def lines(self, result, asked):
        return list(result)


# By a server's address: what a copy waits for; False ends the run.
GATES = {}


@pytest.fixture
def fake():
    with FakeLlamaServer("one") as running:
        yield running


@pytest.fixture
def panel(fake):
    made = Echo(fake.server(), prompt="hi")
    made.wait(10)
    return made


def hold(panel):
    """Make the panel's job wait; returns what lets it go, and what is set once it waits."""
    go, waits = threading.Event(), threading.Event()

    def gate(run):
        run.breaks_off(go.set)
        waits.set()
        go.wait(30)
        return not run.cancelled

    GATES[panel.server.url] = gate
    return go, waits


def test_inputs_are_traits_and_widgets_alike(panel):
    assert list(panel.inputs) == ["prompt", "copies", "colour"]
    panel.copies = 7
    assert panel.inputs["copies"].value == 7
    panel.inputs["colour"].value = "red"
    assert panel.colour == "red"
    with pytest.raises(SettingsError, match="copies is 0; choose a whole number from 1 to 5,000"):
        panel.copies = 0
    with pytest.raises(SettingsError, match="colour is 'green'; choose one of blue, red"):
        panel.colour = "green"
    with pytest.raises(SettingsError, match="prompt"):
        Echo(panel.server, prompt=5)
    with pytest.raises(TypeError, match="no input 'colours'; it has prompt, copies, colour"):
        Echo(panel.server, colours="red")


@pytest.mark.parametrize(
    ("field", "good", "bad"),
    [
        (Text(), "a\nb", 5),
        (Lines(()), ("a", "\n"), (1,)),
        (Whole(1, low=1, high=9), 9, True),
        (Number(1.0, low=0, high=2, step=0.1), 2, "1"),
        (Flag(False), True, 1),
        (Choice([1, 2]), 2, 3),
        (Choice([None, 1]), None, 3),
        (Name("a", offered=["a", "b"]), "of my own", 5),
    ],
)
def test_fields_take_what_is_theirs(field, good, bad):
    field.name = "x"
    assert field.from_widget(field.to_widget(field.checked(good))) == good
    with pytest.raises(SettingsError, match="x is"):
        field.checked(bad)


def test_what_is_rarely_needed_is_folded(panel):
    class Folding(Echo):
        depth = Whole(1, low=1, high=5, folded=True, help="rarely needed")

    made = Folding(panel.server)
    made.wait(10)
    (fold,) = [child for child in made.children if isinstance(child, Fold)]
    assert not fold.head.opened and made.inputs["depth"] in fold.children[1].children
    assert not [child for child in panel.children if isinstance(child, Fold)]


def test_a_run_gives_its_result_and_keeps_it(panel):
    assert panel.state == "ready" and panel.result is None
    assert panel.run() == ("hi one",) * 3
    assert panel.state == "done" and panel.as_table().splitlines() == ["Echo | llama.cpp | done", *["hi one"] * 3]
    panel.copies = 4
    assert panel.as_table() == "Echo | llama.cpp | ready" and panel.result is None
    panel.copies = 3
    assert panel.as_table().count("hi one") == 3 and panel.result == ("hi one",) * 3


def test_what_is_not_sent_only_changes_the_looks(panel):
    panel.run()
    before = panel.result
    panel.colour = "red"
    panel.wait()
    assert "red" in panel.view.value and panel.result is before and not panel.stale.value


def test_a_result_of_other_settings_is_marked(panel):
    panel.run()
    panel.form.controls = Controls(temperature=0.5)
    panel.prompt = "ho"
    panel.wait()
    assert "Changed since this result: prompt, temperature. Press Repeat." in panel.stale.value
    assert panel.result is None and panel.drawn[-1][0] == ("hi one",) * 3
    panel.run()
    assert panel.stale.value == "" and panel.result == ("ho one",) * 3


def test_nothing_of_another_server_is_shown_as_this_ones(fake):
    desk = Desk(server=fake.server())
    panel = Echo(desk)
    panel.run()
    with FakeLlamaServer("two") as other:
        desk.server = other.server()
        panel.wait(10)
        assert (
            panel.result is None and "from another server (one)" in panel.stale.value and "one" not in panel.as_table()
        )
        assert "two" in panel._header.value
        assert panel.run() == ("abc two",) * 3 and panel.stale.value == ""
        desk.server = None
        panel.wait(10)
        assert panel.state == "waiting" and panel.result is None and "waiting for a server" in panel._status.text
        with pytest.raises(Unreachable, match="press Start"):
            panel.run()


def test_the_same_address_again_is_another_server(fake):
    desk = Desk(server=fake.server())
    panel = Echo(desk)
    panel.run()
    fake.model = "three"
    desk.server = fake.server()
    panel.wait(10)
    assert panel.result is None
    assert panel.run() == ("abc three",) * 3


def test_a_second_start_is_refused_in_a_sentence(panel):
    go, waits = hold(panel)
    panel.start()
    assert waits.wait(10)
    with pytest.raises(PanelBusy, match="still at work"):
        panel.start()
    assert panel.state == "busy" and panel.run_button.disabled and not panel.cancel_button.disabled
    go.set()
    panel.wait()
    assert panel.state == "done" and not panel.run_button.disabled


def test_what_follows_comes_after_what_is_under_way_and_goes_on_from_it(panel):
    def one_more(run):
        yield (*(run.before or ()), "more")

    go, waits = hold(panel)
    panel.start()
    assert waits.wait(10)
    for _click in range(3):
        panel.follow(one_more)
    assert panel.state == "busy" and panel.result is None
    go.set()
    panel.wait(10)
    assert panel.result == ("hi one",) * 3 + ("more",) * 3 and panel.state == "done"
    panel.follow(one_more)
    panel.wait(10)
    assert len(panel.result) == 7


def test_cancel_breaks_off_what_the_job_waits_for_and_keeps_what_there_is(panel):
    panel.copies = 2
    panel.run()
    panel.copies = 3
    _go, waits = hold(panel)
    click(panel.run_button)
    assert waits.wait(10)
    click(panel.cancel_button)
    panel.wait(10)
    assert panel.state == "cancelled" and panel.result is None and panel._error.value == ""
    del GATES[panel.server.url]
    panel.run()
    assert panel.state == "done"


def test_settings_changed_meanwhile_leave_the_result_to_its_own(panel):
    go, waits = hold(panel)
    panel.start()
    assert waits.wait(10)
    panel.prompt = "later"
    go.set()
    panel.wait(10)
    assert panel.result is None and panel.state == "ready" and "prompt" in panel.stale.value
    panel.prompt = "hi"
    panel.wait(10)
    assert panel.result == ("hi one",) * 3 and panel.state == "done"


def test_an_error_shows_until_something_changes_and_wait_raises_it(panel):
    def fail(run):
        raise SettingsError("It cannot be.")

    GATES[panel.server.url] = fail
    with pytest.raises(SettingsError, match="cannot be"):
        panel.run()
    assert panel.state == "failed" and "It cannot be." in panel._error.value
    panel.copies = 1
    panel.inputs["prompt"].value = "x"
    panel._drawing.flush()
    assert panel._error.value == "" and panel.state == "ready"
    panel.wait(10)  # raised once


def test_a_silent_server_never_holds_the_kernels_own_thread():
    """Whatever is typed, and however many panels there are, each server is asked for what it is once, elsewhere."""
    with FakeLlamaServer(silent=True) as fake:
        server = fake.server()
        first, second = Echo(server), Echo(server)
        for key in "abc":
            first.prompt += key
        assert Counter(fake.requests)["/v1/models"] <= 1
        assert "appears once a server runs" in " ".join(first.code.notes)
        first.wait(10)
        second.wait(10)
        assert "does not report what it serves" in first._error.value and "does not report" in second._error.value
        first.prompt += "d"
        first.wait(10)
        assert Counter(fake.requests)["/v1/models"] == 1


def test_a_server_that_its_desk_ends_is_no_fault():
    with FakeLlamaServer() as fake:
        desk = Desk()
        desk.server = fake.server()
        panel = Echo(desk)
        go, waits = threading.Event(), threading.Event()

        def gate(_run):
            waits.set()
            go.wait(30)
            raise EngineDied("It is gone.")

        GATES[desk.server.url] = gate
        panel.start()
        assert waits.wait(10)
        desk.server = None
        go.set()
        with pytest.raises(EngineDied):
            panel.wait(10)
        assert panel.state == "waiting" and panel._error.value == ""


def test_the_code_is_that_of_the_inputs_as_they_stand(panel):
    assert "hi" in panel.code.programs["openai"] and panel.server.base_url in panel.code.programs["openai"]
    panel.form.controls = Controls(temperature=0.25)
    panel.wait()
    assert "temperature=0.25" in panel.code.programs["openai"]


def test_widgets_do_not_grow_with_runs(panel):
    panel.run()
    before = len(widget_module._instances)
    for copies in range(4, 24):
        panel.copies = copies
        panel.run()
    assert len(widget_module._instances) == before


def test_a_long_run_draws_from_snapshots_and_loses_nothing(panel):
    panel.copies = 5_000
    assert len(panel.run(60)) == 5_000
    assert panel.drawn[-1][0] is panel.result
    sizes = [len(result) for result, asked in panel.drawn if result and asked.copies == 5_000]
    assert sizes == sorted(sizes)


def test_progress_and_result_can_be_watched(panel):
    seen = []
    panel.observe(lambda change: seen.append(change["new"]), "result")
    panel.run()
    assert seen[-1] == panel.result and panel.progress == (2, 3)
    wait_until(lambda: panel.state == "done")


def test_a_new_run_does_not_show_how_far_the_last_one_came(panel):
    panel.run()
    panel.prompt = "again"
    go, waits = hold(panel)
    seen = []
    panel.observe(lambda change: seen.append(change["new"]), "progress")
    panel.start()
    assert waits.wait(10) and seen[0] == (0, 0)
    go.set()
    panel.wait()


def test_the_key_in_the_prompt_sends_what_was_typed_last(panel):
    panel.page._handle_custom_msg({"kind": "submit", "prompt": "typed"}, [])
    panel.wait(10)
    assert panel.result == ("typed one",) * 3


def test_repr_is_fixed(panel):
    assert repr(panel) == "Echo(engine='llama.cpp')"
