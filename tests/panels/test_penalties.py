"""The penalty microscope on a real engine, and its marked text by hand."""

import pytest

import courselib
from courselib.errors import SettingsError, Unreachable
from courselib.panels.deploy import Deploy
from courselib.panels.marked_text import loop_words, marked, rings
from courselib.panels.penalties import Penalties
from courselib.sampling.text_repetition import find_loops
from tests.panels.conftest import click

PIECES = [
    word.encode() for word in ("the ", "cat ", "sat ", "on ", "<a> ", "mat. ", "the ", "cat ", "sat ", "on ", "me")
]


def plain(parts):
    """What a person reads."""
    return "".join(part["text"] for part in parts)


def test_what_is_said_again_leads_to_its_first_place():
    first, between, again, end = marked(PIECES, least=3)
    assert first == {"text": "the cat sat on ", "kind": "first", "number": 1, "at": 0, "first": None}
    assert again == {"text": "the cat sat on ", "kind": "again", "number": 1, "at": 6, "first": 0}
    assert (between["text"], between["kind"], end["text"]) == ("<a> mat. ", "", "me")
    (whole,) = marked(PIECES, least=9)
    assert whole["text"] == b"".join(PIECES).decode()


def test_each_repetition_is_a_link_of_its_own():
    tokens = [b"a ", b"b ", b"c ", b"d ", b"x ", b"a ", b"b ", b"c ", b"d ", b"y ", b"c ", b"d ", b"x "]
    parts = marked(tokens, least=3)
    links = [(part["text"], part["first"]) for part in parts if part["kind"] == "again"]
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


@pytest.fixture(scope="module")
def panel(server):
    panel = Penalties(server)
    panel.run()
    return panel


@pytest.mark.engine
class TestLive:
    def test_one_side_loops_and_the_other_does_not(self, panel):
        a, b = panel.sides
        assert find_loops(a.data) and not find_loops(b.data)
        assert "again" in [part["kind"] for part in a.text.parts] and "<svg" in a.rings.value
        assert not b.rings.value
        assert "a loop from token" in panel.as_table()
        assert panel.state == "done"
        assert repr(panel) == "Penalties(engine='llama.cpp')"

    def test_a_step_taken_apart(self, panel):
        heads, *rows = panel.look("B", 30)
        assert heads[:4] == ("token", "times in the prompt", "in the answer", "logit before, measured")
        assert heads[4] == "after frequency_penalty=0.5, by formula"
        assert heads[5:] == ("were runs of 3 tokens banned, by formula; no engine has that",)
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

    def test_the_token_chosen_is_the_first_after_the_penalties(self, panel):
        step = next(n for n, token in enumerate(panel.sides[1].tokens) if n > 20)
        _heads, *rows = panel.look("B", step)
        best = max(rows, key=lambda row: float(row[-2]))
        assert best[0] == repr(panel.sides[1].tokens[step].data.decode())

    def test_a_ban_on_runs_would_forbid_the_loop(self, panel):
        tokens = panel.sides[0].tokens
        loop = find_loops(panel.sides[0].data)[0]
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
        assert find_loops(panel.sides[0].data)
        heads, *rows = panel.look("B", 0)
        assert len(heads) == 8 and heads[-2].startswith("after all")
        assert any(row[0].startswith("'⟨0x") for row in rows)
        for row in rows:
            before, after = float(row[3]), float(row[4])
            seen = int(row[1]) > 0
            assert after == pytest.approx(before / 1.3 if seen and before > 0 else before, abs=0.02)
        assert "\ufffd" not in plain(panel.sides[1].text.parts)

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
            assert panel.code.programs
        finally:
            click(desk.stop_button)
            desk.wait()

    def test_cancel(self, server):
        panel = Penalties(server)
        click(panel.run_button)
        click(panel.cancel_button)
        panel._worker.wait(20)
        assert panel.state == "cancelled"
        assert not panel.run_button.disabled

    def test_an_empty_prompt(self, server):
        panel = Penalties(server, prompt=" ")
        assert "The prompt is empty" in panel._error.value

    @pytest.mark.slow
    def test_a_step_of_vllm_taken_apart(self, vllm_server):
        panel = Penalties(vllm_server, b={"frequency_penalty": 0.5})
        panel.run()
        step = next(n for n, token in enumerate(panel.sides[1].tokens) if n > 20)
        heads, *rows = panel.look("B", step)
        assert heads[3] == "log-probability before, measured"
        for row in rows:
            # vLLM's frequency penalty knows of the answer only, and of all of it.
            assert float(row[4]) == pytest.approx(float(row[3]) - 0.5 * int(row[2]), abs=0.011)
        best = max(rows, key=lambda row: float(row[4]))
        assert best[0] == repr(panel.sides[1].tokens[step].data.decode())
        panel.sides[1].fields["repetition_penalty"].value = 1.2
        with pytest.raises(SettingsError, match="logprobs_mode"):
            panel.look("B", step)

    @pytest.mark.slow
    def test_texts_and_measures_on_tgis_protocol(self):
        with courselib.launch("tgi-gateway", context=512) as gateway:
            panel = Penalties(gateway)
            panel.run()
            assert all(side.tokens and side.text.parts for side in panel.sides)
            with pytest.raises(SettingsError, match="tells of a few tokens only"):
                panel.look("A", 3)
