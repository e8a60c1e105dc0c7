"""The account of stops by hand, rule by rule; against live engines it is compared in ``test_text_stops_live``."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from courselib.controls.routes import ROUTES
from courselib.errors import SettingsError
from courselib.sampling.text_stops import DIALECTS, REASONS, Account, Ending, Step, account, finish_table, is_whole

SERVER, LIBRARY, VLLM, TGI = "llama.cpp /completion", "llama_cpp.Llama", "vLLM completions", "TGI /generate"
END = Step(b"<|im_end|>", special=True, ends=True)


def steps(*texts):
    return [Step(text if isinstance(text, bytes) else text.encode()) for text in texts]


PARIS = steps(" Paris", ".", "\n", "\n", "It", " is")


@pytest.mark.parametrize(("route", "text", "cut", "tokens"), [
    (SERVER, " Pa", b"ris", 1), (LIBRARY, " Pa", b"ris", 1), (VLLM, " Pa", b"ris", 1), (TGI, " Paris", b"", 1)
])  # fmt: skip
def test_at_a_tokens_end(route, text, cut, tokens):
    kept = route == TGI
    assert account(PARIS, Ending(6, ("ris",)), route) == Account("stop", tokens, text, cut, "ris", 3, kept)


def test_within_a_token_only_tgi_misses_it():
    for route in (SERVER, LIBRARY, VLLM):
        assert account(PARIS, Ending(6, ("ar",)), route) == Account("stop", 1, " P", b"aris", "ar", 2)
    assert account(PARIS, Ending(6, ("ar",)), TGI) == Account("length", 6, " Paris.\n\nIt is")


def test_tgi_overlooks_one_line_break_after_the_stop():
    answer = steps("one", " two\n", "three")
    assert account(answer, Ending(3, ("two",)), TGI) == Account("stop", 2, "one two\n", b"", "two", 4, kept=True)


def test_of_several():
    answer = steps("abcd", "efgh")
    stops = ("cd", "bcde", "fg")
    # One that ends at the first token is complete before one that begins earlier and ends later.
    for route in (SERVER, LIBRARY, VLLM):
        assert account(answer, Ending(2, stops), route).stop == "cd"
    both = steps("abcdefgh")
    assert account(both, Ending(1, ("cd", "bcde")), SERVER).stop == "bcde"
    assert account(both, Ending(1, ("cd", "bcde")), VLLM).stop == "cd"
    assert account(both, Ending(1, ("gh", "bcde")), LIBRARY).stop == "gh"


def test_what_stood_before_half_a_character_is_missed_by_llama_cpps_server():
    answer = steps(b" \xf0\x9f\x98", b"\x80", "!", "?")
    assert account(answer, Ending(3, (" ",)), SERVER) == Account("length", 3, " 😀!")
    assert account(answer, Ending(3, (" ",)), VLLM) == Account("stop", 2, "", " 😀".encode(), " ", 0)
    assert account(answer, Ending(3, (" ",)), LIBRARY).reason == "stop"


def test_an_answer_cut_off_within_a_character():
    answer = steps("a", b"\xf0\x9f", b"\x98\x80", "b", "c")
    assert account(answer, Ending(2), SERVER) == Account("length", 2, "a\ufffd")
    assert account(answer, Ending(2), TGI) == Account("length", 2, "a\ufffd")
    assert account(answer, Ending(2), VLLM) == Account("length", 2, "a", b"\xf0\x9f")
    # The library waits for as many tokens as bytes are missing, whatever was allowed.
    assert account(answer, Ending(2), LIBRARY) == Account("length", 4, "a😀b")


def test_the_end_and_the_limit():
    answer = [*steps("Hi", "!"), END]
    for route, tokens in ((SERVER, 3), (LIBRARY, 2), (VLLM, 3), (TGI, 3)):
        assert account(answer, Ending(9), route) == Account("eos", tokens, "Hi!")
    # At the very limit TGI says that it was the limit; the others, that the model ended it.
    reasons = {route: account(answer, Ending(3), route).reason for route in (SERVER, VLLM, TGI)}
    assert reasons == {SERVER: "eos", VLLM: "eos", TGI: "length"}
    on = [*answer, *steps(" More")]
    assert account(on, Ending(4, ignore_eos=True), VLLM) == Account("length", 4, "Hi! More")


def test_special_tokens_written_are_text_to_vllm():
    answer = [*steps("Hi"), END, *steps("there")]
    asked = Ending(3, ("im_end",), ignore_eos=True, skip_special_tokens=False)
    assert account(answer, asked, VLLM) == Account("stop", 2, "Hi<|", b"im_end|>", "im_end", 4)
    assert account(answer, Ending(3, ("im_end",), ignore_eos=True), VLLM).reason == "length"


def test_a_least_number_of_tokens_delays_vllms_stops_and_forgets_those_before():
    answer = steps("a", "b", "a", "b", "c")
    assert account(answer, Ending(5, ("ab",), min_tokens=2), VLLM) == Account("stop", 4, "ab", b"ab", "ab", 2)
    assert account(answer, Ending(5, ("ab",), min_tokens=2), SERVER).tokens == 2


def test_the_stop_given_back():
    asked = Ending(6, ("ri",), include_stop=True)
    assert account(PARIS, asked, VLLM) == Account("stop", 1, " Pari", b"s", "ri", 3, kept=True)


def test_refusals():
    five = Ending(6, tuple("vwxyz"))
    reasons = {route: account(PARIS, five, route).reason for route in DIALECTS}
    assert {route for route, reason in reasons.items() if reason == "refused"} == {
        "vLLM completions", "vLLM chat", "TGI /generate", "TGI chat"
    }  # fmt: skip
    assert account(PARIS, Ending(6, ("",)), "vLLM SamplingParams").reason == "refused"
    for route in (SERVER, LIBRARY):
        assert account(PARIS, Ending(6, ("",)), route).tokens == 1


def test_too_little_to_tell():
    with pytest.raises(SettingsError, match="generate more"):
        account(PARIS, Ending(7, ("nowhere",)), SERVER)


def test_every_route_of_the_controls_has_its_words():
    assert set(DIALECTS) == set(ROUTES)
    table = finish_table()
    assert len(table) == len(DIALECTS)
    assert all(len(row) == 2 + len(REASONS) and all(row[:4]) for row in table)
    assert {row[0]: row[1:4] for row in table}[TGI] == ("eos_token", "length", "stop_sequence")


TEXTS = st.text(st.sampled_from("ab 中😀"), min_size=1, max_size=12)


@st.composite
def cut_anywhere(draw):
    """A text cut into tokens between any two bytes, and a few stop strings."""
    data = draw(TEXTS).encode()
    cuts = sorted(draw(st.sets(st.integers(1, max(1, len(data) - 1)))) | {0, len(data)})
    pieces = [Step(data[one:two]) for one, two in itertools.pairwise(cuts) if one < two]
    return pieces, tuple(draw(st.lists(st.text("ab 中😀", min_size=1, max_size=3), max_size=4)))


@given(cut_anywhere())
def test_what_holds_for_all(case):
    pieces, stops = case
    data = b"".join(piece.data for piece in pieces)
    for route in (SERVER, VLLM, TGI):
        found = account(pieces, Ending(len(pieces), stops), route)
        made = b"".join(piece.data for piece in pieces[: found.tokens])
        assert found.text.encode() + found.cut == made
        if found.reason == "stop":
            assert data[found.at :].startswith(found.stop.encode())
            assert found.text.endswith(found.stop) if found.kept else found.at == len(found.text.encode())
    # VLLM misses none that ends with a token or within: it is the one that a search in the whole text finds.
    ends = [data.find(stop.encode()) + len(stop.encode()) for stop in stops if stop.encode() in data]
    told = account(pieces, Ending(len(pieces), stops), VLLM)
    assert (told.reason == "stop") == bool(ends)
    if ends:
        assert told.at + len(told.stop.encode()) == min(ends)


@given(st.text().map(str.encode), st.integers(0, 3))
def test_whole_characters(data, cut):
    part = data[: len(data) - cut]
    try:
        part.decode()
        whole = True
    except UnicodeDecodeError:
        whole = False
    assert is_whole(part) == whole
