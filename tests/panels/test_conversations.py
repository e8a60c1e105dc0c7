"""Playground and Compare on fake servers: what is shown of which answer, and who waits for whom."""

import threading

import httpx
import ipywidgets.widgets.widget as widget_module
import pytest

from courselib.controls.controls import Controls
from courselib.errors import PanelBusy, RequestError, SettingsError
from courselib.panels.compare import Compare
from courselib.panels.playground import Playground
from tests.panels.conftest import click
from tests.panels.fake_answers import CITY, COMMA, END, IS, PARIS, STOP, THE, FakeAnswers
from tests.panels.fake_llama_server import Desk, FakeLlamaServer
from tests.waiting import wait_until

CHAT = "/v1/chat/completions"


@pytest.fixture
def fake():
    with FakeLlamaServer("one") as running:
        FakeAnswers(running, [PARIS, IS, THE, CITY, STOP, END])
        yield running


@pytest.fixture
def other():
    with FakeLlamaServer("two") as running:
        FakeAnswers(running, [THE, CITY, COMMA, END])
        yield running


def test_an_answer_is_marked_once_the_settings_have_changed_and_comes_back_with_them(fake):
    panel = Playground(fake.server())
    assert panel.ask("Where?") == "Paris is the city."
    assert panel.state == "done" and panel.stale.value == "" and panel.answer.finish_reason == "stop"
    panel.form.controls = panel.form.controls.with_(max_tokens=2)
    panel.wait()
    assert "Settings changed since this answer: max_tokens. Code shows the next request." in panel.stale.value
    assert panel.answer is None and panel.answer_view.text == "Paris is the city."
    assert panel.ask("Where?") == "Paris is" and panel.stale.value == ""
    panel.form.controls = panel.form.controls.with_(max_tokens=128)
    panel.wait()
    assert panel.stale.value == "" and panel.answer_view.text == "Paris is the city." and panel.answer


def test_a_failed_request_leaves_the_last_answer_in_view(fake):
    panel = Playground(fake.server())
    panel.ask("Where?")
    with pytest.raises(SettingsError, match="prompt is empty"):
        panel.ask(" ")
    assert panel.state == "failed" and panel.answer_view.text == "Paris is the city."
    assert "prompt" in panel.stale.value and "prompt is empty" in panel._error.value
    fake.replies[CHAT] = lambda asked: None
    with pytest.raises(RequestError):
        panel.ask("Where?")
    assert panel.answer_view.text == "Paris is the city."


def test_an_answer_that_breaks_off_is_kept_as_far_as_it_came(fake):
    whole = fake.replies[CHAT]
    fake.replies[CHAT] = lambda asked: whole(asked)[:3]
    panel = Playground(fake.server())
    with pytest.raises(RequestError):
        panel.ask("Where?")
    assert panel.state == "failed" and panel.answer_view.text == panel.result.text == "Paris is the"
    assert panel.answer is None and "time to first token" in panel.facts.value


def test_a_desk_that_runs_nothing_waits_and_another_server_is_told_apart(fake, other):
    desk = Desk()
    panel = Playground(desk, prompt="Where?")
    assert panel.state == "waiting" and "waiting for a server" in panel._status.text
    desk.server = fake.server()
    panel.run()
    desk.server = other.server()
    panel.wait()
    assert "from another server (one)" in panel.stale.value and panel.state == "ready" and "two" in panel._header.value
    assert panel.run().text == " the city,"


def test_the_answer_at_hand_is_as_text_and_stays_flat_in_widgets(fake):
    panel = Playground(fake.server(), system="Be brief.")
    panel.ask("Where?")
    assert "Be brief." in panel.code.programs["openai"] and "' city'" in panel.as_table()
    before = len(widget_module._instances)
    for at in range(20):
        panel.ask(f"Where? {at}")
    assert len(widget_module._instances) == before


def test_columns_that_end_together_leave_send_enabled(fake, other):
    panel = Compare(fake.server(), other.server())
    for at in range(20):
        assert panel.ask(f"Where? {at}") == ["Paris is the city.", " the city,"]
        assert not panel.run_button.disabled and panel.cancel_button.disabled and panel.state == "done"


def test_one_that_still_answers_keeps_all_busy_and_cancel_ends_it(fake, other):
    fake.held.add(CHAT)
    panel = Compare(fake.server(), other.server(), prompt="Where?")
    click(panel.run_button)
    panel.columns[1].wait(10)
    with pytest.raises(PanelBusy):
        panel.start()
    panel._drawing.flush()
    assert panel.state == "busy" and panel.run_button.disabled and panel.columns[1].state == "done"
    assert panel._status.text == "answering" and panel.columns[1]._status.text == "done"
    click(panel.cancel_button)
    panel.wait(10)
    assert panel.state == "cancelled" and not panel.run_button.disabled and panel._error.value == ""


def test_a_column_that_fails_says_so_and_the_other_answers(fake):
    panel = Compare(Desk(), fake.server(), prompt="Where?")
    with pytest.raises(Exception, match="press Start"):
        panel.ask("Where?")
    assert "press Start" in panel.columns[0]._error.value
    assert panel.columns[1].result.text == "Paris is the city." and panel.state == "waiting"


def test_what_differs_follows_the_forms(fake, other):
    panel = Compare(fake.server(), (other.server(), Controls(max_tokens=128, seed=42, top_k=5)))
    assert set(panel.differences()) == {"top_k"}
    panel.columns[0].form.controls = Controls(max_tokens=128, seed=42, top_k=5)
    panel.wait()
    assert "make the same call" in panel.table.value and "top_k" not in panel.as_table()


def test_a_silent_server_never_holds_the_kernels_own_thread(fake, monkeypatch):
    asking = set()
    send = httpx.Client.send

    def watched(self, *arguments, **options):
        asking.add(threading.get_ident())
        return send(self, *arguments, **options)

    with FakeLlamaServer(silent=True) as silent:
        servers = silent.server(), fake.server()
        monkeypatch.setattr(httpx.Client, "send", watched)
        panel = Compare(*servers)
        for key in "abc":
            panel.prompt += key
        wait_until(lambda: asking)
        assert threading.get_ident() not in asking
