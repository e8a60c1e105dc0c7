"""The penalty microscope: on fakes what it does with its results, on real engines that they are true."""

import ipywidgets.widgets.widget as widget_module
import pytest

import courselib
from courselib.answers.stream import ChatStream, Token
from courselib.answers.text import show
from courselib.controls.controls import Controls
from courselib.errors import SettingsError, Unreachable
from courselib.observe.logits import pieces_of
from courselib.panels import penalties
from courselib.panels.answer_ids import answer_ids, grouped
from courselib.panels.deploy import Deploy
from courselib.panels.marked_text import loop_words, marked, rings
from courselib.panels.penalties import Penalties
from courselib.panels.penalty_sides import Said
from courselib.sampling.text_repetition import find_loops
from tests.panels.conftest import click
from tests.panels.fake_answers import END, IS, MARKER, PARIS, PIECES, SKY, SKY_1, SKY_2, STOP, THE, FakeAnswers
from tests.panels.fake_llama_server import Desk, FakeLlamaServer

WORDS_OF_TEXT = [
    word.encode() for word in ("the ", "cat ", "sat ", "on ", "<a> ", "mat. ", "the ", "cat ", "sat ", "on ", "me")
]


def text(part):
    return "".join(word for word, _at in part["words"])


def plain(parts):
    """What a person reads."""
    return "".join(text(part) for part in parts)


def test_what_is_said_again_leads_to_its_first_place():
    first, between, again, end = marked(WORDS_OF_TEXT, least=3)
    words = ["the ", "cat ", "sat ", "on "]
    assert first == {
        "words": list(map(list, zip(words, range(4), strict=True))),
        "kind": "first",
        "number": 1,
        "first": None,
    }
    assert (text(again), again["words"][0], again["number"], again["first"]) == ("the cat sat on ", ["the ", 6], 1, 0)
    assert (text(between), between["kind"], text(end)) == ("<a> mat. ", "", "me")
    (whole,) = marked(WORDS_OF_TEXT, least=9)
    assert text(whole) == b"".join(WORDS_OF_TEXT).decode()


def test_each_repetition_is_a_link_of_its_own():
    tokens = [b"a ", b"b ", b"c ", b"d ", b"x ", b"a ", b"b ", b"c ", b"d ", b"y ", b"c ", b"d ", b"x "]
    parts = marked(tokens, least=3)
    links = [(text(part), part["first"]) for part in parts if part["kind"] == "again"]
    assert links == [("a b c d ", 0), ("c d x ", 2)]
    assert plain(parts) == b"".join(tokens).decode()


def test_a_character_of_several_tokens_is_shown_whole():
    data = "夜市".encode()
    assert plain(marked([data[:2], data[2:4], data[4:]])) == "夜市"


def test_a_loop_as_a_ring():
    tokens = [b"so ", *[b"it ", b"goes "] * 4]
    (loop,) = find_loops(tokens)
    html = rings(tokens, [loop])
    assert "<svg" in html and "4.0×" in html
    assert "“it goes ”" in html
    assert loop_words(loop) == "a loop from token 1 on: 2 tokens, 4.0 rounds"
    assert rings(tokens, []) == ""


# On a fake server, which streams its one answer.


@pytest.fixture
def fake():
    with FakeLlamaServer("one") as running:
        running.answers = FakeAnswers(running, [PARIS, IS, THE, STOP, END])
        yield running


def pick(panel, side, at):
    """Choose a token as the page does."""
    panel.views[side].text._handle_custom_msg({"kind": "pick", "at": at}, [])
    panel.wait(20)


def test_a_token_is_taken_apart_by_a_click_with_the_ids_that_were_generated(fake):
    panel = Penalties(fake.server())
    panel.run(20)
    assert "Click a token" in panel.table.value
    fake.requests.clear()
    pick(panel, 1, 2)
    apart = panel.result.apart
    assert (apart.side, apart.step, apart.before) == (1, 2, "Paris is") and "after “Paris is”" in panel.table.value
    assert (panel.views[0].text.picked, panel.views[1].text.picked) == (-1, 2)
    *_, whole = (asked for asked in fake.answers.completions if asked.get("n_probs", 0) > len(PIECES))
    assert whole["prompt"][-2:] == [PARIS, IS] and "/v1/chat/completions" not in fake.requests
    assert " | " in panel.as_table() and panel.state == "done"
    assert "<th scope='row'>" in panel.table.value and "<th>" not in panel.table.value


def test_a_character_of_several_tokens_is_asked_for_again(fake):
    fake.answers.tokens = [SKY_1, SKY_2, PARIS, END]
    panel = Penalties(fake.server())
    panel.run(20)
    assert [token.data for token in panel.result.sides[0].tokens] == [SKY, b"Paris", b""]
    pick(panel, 0, 1)
    assert panel.result.sides[0].ids == ((SKY_1, SKY_2), (PARIS,), (END,))
    assert panel.result.apart.before == "天"
    fake.requests.clear()
    pick(panel, 0, 0)
    assert "/v1/chat/completions" not in fake.requests  # known by now


def test_another_answer_the_second_time_is_said_and_not_used(fake):
    fake.answers.tokens = [SKY_1, SKY_2, PARIS, END]
    panel = Penalties(fake.server())
    panel.run(20)
    fake.answers.tokens = [THE, SKY_1, SKY_2, END]
    with pytest.raises(SettingsError, match="another answer"):
        panel.look("A", 1, 20)
    assert panel.result.apart is None and panel.state == "failed"


def test_a_prompt_that_the_template_makes_otherwise_is_said_and_not_used(fake):
    fake.answers.prompt_tokens = 9
    panel = Penalties(fake.server())
    panel.run(20)
    with pytest.raises(SettingsError, match="read 9 tokens as the prompt and its template makes 3"):
        panel.look("A", 1, 20)


def test_ids_of_tokens_that_came_as_one():
    ids = [SKY_1, SKY_2, MARKER, IS, END]
    came = [Token(SKY, id=SKY_2), Token(b"", id=MARKER), Token(b" is", id=IS)]
    assert grouped(came, ids, PIECES) == ((SKY_1, SKY_2), (MARKER,), (IS,))
    assert grouped(came[:1], ids[:1], PIECES) is None
    assert grouped([Token(SKY, id=SKY_1)], ids, PIECES) is None
    assert grouped([Token(b"", id=END)], [], PIECES) is None


def test_an_engine_without_ids_says_so(fake):
    with pytest.raises(SettingsError, match="does not return the ids"):
        answer_ids(fake.server(), [Token(b"a")], {})


def test_what_is_another_servers_or_of_other_penalties_is_marked(fake):
    desk = Desk(server=fake.server())
    panel = Penalties(desk)
    panel.run(20)
    panel.b = Controls(presence_penalty=1)
    panel.wait(10)
    assert panel.result is None and "b. Press Generate" in panel.stale.value
    panel.b = Controls(frequency_penalty=0.5)
    panel.wait(10)
    assert panel.result and not panel.stale.value
    with FakeLlamaServer("two") as other:
        FakeAnswers(other, [THE, END])
        desk.server = other.server()
        panel.wait(10)
        assert panel.result is None and "from another server (one)" in panel.stale.value
        panel.run(20)
        assert panel.result.sides[0].data == [b" the", b""]
        panel.prompt = "another"
        with pytest.raises(SettingsError, match="press Generate"):
            pick(panel, 0, 1)
        assert "press Generate" in panel._error.value


def test_cancel_between_the_answers_starts_no_other(fake, monkeypatch):
    made = []

    class LateCancel(ChatStream):
        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **options)
            made.append(self)
            if len(made) == 2:
                panel.cancel()

    monkeypatch.setattr(penalties, "ChatStream", LateCancel)
    panel = Penalties(fake.server())
    panel.run(20)
    assert panel.state == "cancelled" and fake.requests.count("/v1/chat/completions") == 1
    assert panel.result.sides[0].tokens and not panel.result.sides[1].tokens


def test_widgets_do_not_grow(fake):
    panel = Penalties(fake.server())
    panel.run(20)
    before = len(widget_module._instances)
    for number in range(20):
        panel.prompt = f"number {number}"
        panel.run(20)
        pick(panel, number % 2, 1)
    assert len(widget_module._instances) == before


def test_a_form_that_holds_no_value_of_a_control_is_said(fake):
    panel = Penalties(fake.server())
    panel.forms[1].entries = {"presence_penalty": 99}
    panel.wait(10)
    assert "presence_penalty" in panel._error.value


def test_the_text_before_a_token_is_cut_between_tokens():
    said = Said(tuple(Token(word) for word in WORDS_OF_TEXT))
    assert said.before(2) == "the cat "
    assert said.before(11) == "…on <a> mat. the cat sat on me"


@pytest.fixture(scope="module")
def panel(server):
    panel = Penalties(server)
    panel.run()
    return panel


@pytest.mark.engine
class TestLive:
    def test_one_side_loops_and_the_other_does_not(self, panel):
        a, b = panel.result.sides
        assert find_loops(a.data) and not find_loops(b.data)
        first, second = panel.views
        assert "again" in [part["kind"] for part in first.text.parts] and "<svg" in first.rings.value
        assert not second.rings.value
        assert "a loop from token" in panel.as_table()
        assert panel.state == "done"
        assert repr(panel) == "Penalties(engine='llama.cpp')"

    def test_a_step_taken_apart(self, panel):
        heads, *rows = panel.look("B", 30)
        assert heads[:4] == ("token", "times in the prompt", "in the answer", "logit before, measured")
        assert heads[4] == "after frequency_penalty=0.5, by formula"
        assert heads[5:] == ("if runs of 3 tokens were banned, by formula; no engine here has that",)
        assert (
            "last 64 generated tokens" in panel.table.value
            and "the prompt&#x27;s tokens count, too" in panel.table.value
        )
        seen = [row for row in rows if int(row[1]) + int(row[2])]
        assert seen
        for row in rows:
            # Within llama.cpp's window of 64 tokens, which prompt and answer together are not longer than here.
            lost = 0.5 * (int(row[1]) + int(row[2]))
            assert float(row[4]) == pytest.approx(float(row[3]) - lost, abs=0.011)
        assert "token 30" in panel.table.value
        assert panel.result.sides[1].ids is not None

    def test_the_token_chosen_is_the_first_after_the_penalties(self, panel):
        step = next(n for n, token in enumerate(panel.result.sides[1].tokens) if n > 20)
        _heads, *rows = panel.look("B", step)
        best = max(rows, key=lambda row: float(row[-2]))
        assert best[0] == repr(panel.result.sides[1].tokens[step].data.decode())

    def test_a_ban_on_runs_would_forbid_the_loop(self, panel):
        tokens = panel.result.sides[0].tokens
        loop = find_loops(panel.result.sides[0].data)[0]
        _heads, *rows = panel.look("A", loop.onset + 2 * loop.period)
        taken = repr(tokens[loop.onset + 2 * loop.period].data.decode())
        assert next(row for row in rows if row[0] == taken)[-1] == "forbidden"
        _heads, *rows = panel.look("A", 2)
        assert {row[-1] for row in rows} == {"-"}

    def test_the_programs_are_of_both_sides(self, panel):
        assert set(panel.code.programs) == {"A: openai", "A: curl", "B: openai", "B: curl"}
        assert "frequency_penalty" in panel.code.programs["B: openai"]
        assert "frequency_penalty" not in panel.code.programs["A: openai"]

    def test_tokens_that_are_parts_of_characters(self, server):
        panel = Penalties(server, prompt="今天的天氣怎麼樣？", b={"repetition_penalty": 1.3, "dry_multiplier": 0.8})
        panel.run()
        assert find_loops(panel.result.sides[0].data)
        heads, *rows = panel.look("B", 0)
        assert len(heads) == 8 and heads[-2].startswith("after all")
        assert any(row[0].startswith("'⟨0x") for row in rows)
        for row in rows:
            before, after = float(row[3]), float(row[4])
            seen = int(row[1]) > 0
            assert after == pytest.approx(before / 1.3 if seen and before > 0 else before, abs=0.02)
        assert "\ufffd" not in plain(panel.views[1].text.parts)
        # The ids are those generated: joined, they are the text, and one that came as several is taken apart, too.
        said, pieces = panel.result.sides[1], pieces_of(server)
        assert [b"".join(pieces[own] for own in group) for group in said.ids] == said.data
        assert any(len(group) > 1 for group in said.ids)
        step = next(at for at, group in enumerate(said.ids) if at > 8 and len(group) > 1)
        _heads, *rows = panel.look("B", step)
        best = max(rows, key=lambda row: float(row[-2]))
        assert best[0] == repr(show(pieces[said.ids[step][0]]))

    def test_nothing_to_take_apart(self, server):
        panel = Penalties(server)
        with pytest.raises(SettingsError, match="press Generate"):
            panel.look("A", 0)
        assert "press Generate" in panel._error.value

    def test_on_a_desk_that_starts_a_server_later(self):
        desk = Deploy(context=512)
        panel = Penalties(desk)
        assert panel.code.programs == {} and "once a server runs" in panel.code.notes[0]
        with pytest.raises(Unreachable, match="press Start"):
            panel.run()
        try:
            click(desk.start_button)
            desk.wait()
            panel.wait()
            assert panel.code.programs
        finally:
            click(desk.stop_button)
            desk.wait()

    def test_cancel(self, server):
        panel = Penalties(server)
        click(panel.run_button)
        click(panel.cancel_button)
        panel.wait(30)
        assert panel.state == "cancelled"
        assert not panel.run_button.disabled

    def test_an_empty_prompt(self, server):
        panel = Penalties(server, prompt=" ")
        with pytest.raises(SettingsError, match="The prompt is empty"):
            panel.run()
        assert "The prompt is empty" in panel._error.value

    @pytest.mark.slow
    def test_a_step_of_vllm_taken_apart(self, vllm_server):
        # More of them take minutes on a busy machine.
        panel = Penalties(vllm_server, b={"frequency_penalty": 0.5}, max_tokens=24)
        panel.run()
        step = next(n for n, token in enumerate(panel.result.sides[1].tokens) if n > 20)
        heads, *rows = panel.look("B", step)
        assert heads[3] == "log-probability before, measured"
        for row in rows:
            # vLLM's frequency penalty knows of the answer only, and of all of it.
            assert float(row[4]) == pytest.approx(float(row[3]) - 0.5 * int(row[2]), abs=0.011)
        best = max(rows, key=lambda row: float(row[4]))
        assert best[0] == repr(panel.result.sides[1].tokens[step].data.decode())
        panel.b = Controls(repetition_penalty=1.2)
        panel.run()
        with pytest.raises(SettingsError, match="logprobs_mode"):
            panel.look("B", step)

    @pytest.mark.slow
    def test_texts_and_measures_on_tgis_protocol(self):
        with courselib.launch("tgi-gateway", context=512) as gateway:
            panel = Penalties(gateway)
            panel.run()
            assert all(side.tokens for side in panel.result.sides)
            with pytest.raises(SettingsError, match="reports only a few tokens"):
                panel.look("A", 3)
