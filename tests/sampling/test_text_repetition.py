"""The measures against their definitions, written out without any thought of speed."""

import random
import zlib
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from courselib import sampling
from courselib.errors import SettingsError
from courselib.sampling.text_repetition import (
    Compression,
    Loop,
    LoopDetector,
    Ngrams,
    compression_ratio,
    distinct,
    find_loops,
    repetition,
)
from courselib.sampling.text_spans import Repeat, RepeatFinder, longest_repeat, repeated_spans
from tests.sampling.operations import instructions

FOLDER = Path(sampling.__file__).parent
# Few letters, so that texts repeat themselves; blocks said again and again, so that they loop.
LETTERS = st.text("ab", max_size=40) | st.text("abcd", max_size=60)
LOOPS = st.lists(st.tuples(st.text("abc", min_size=1, max_size=9), st.integers(1, 6)), max_size=5).map(
    lambda blocks: "".join(block * times for block, times in blocks)
)
TEXTS = LETTERS | LOOPS


def ngrams(text, n):
    return [text[place : place + n] for place in range(len(text) - n + 1)]


@given(TEXTS, st.integers(1, 4))
def test_ngrams(text, n):
    all_of_them = ngrams(text, n)
    wanted = 1 - len(set(all_of_them)) / len(all_of_them) if all_of_them else 0
    assert repetition(text, n) == pytest.approx(wanted)
    assert distinct(text, n) == pytest.approx(len(set(all_of_them)) / len(text) if text else 0)


def test_ngrams_by_hand():
    # a b, b c, c a, a b: four pairs, three different ones, among five tokens.
    assert repetition([1, 2, 3, 1, 2], 2) == pytest.approx(1 / 4)
    assert distinct([1, 2, 3, 1, 2], 2) == pytest.approx(3 / 5)


def tail_loop(text, repeats, longest):
    """The shortest period whose maximal run reaches the end and has come often enough."""
    for period in range(1, longest + 1):
        run = 0
        while run + period < len(text) and text[-1 - run] == text[-1 - run - period]:
            run += 1
        if run and run + period >= repeats * period:
            return Loop(len(text) - run - period, period, run + period)
    return None


@settings(max_examples=400)
@given(TEXTS, st.integers(3, 4), st.integers(1, 20))
@example("aabbabaabbabaabbabaab", 3, 6)
@example("abababab" * 3 + "c" + "ab" * 6, 3, 64)
def test_loops_at_every_place(text, repeats, longest):
    detector = LoopDetector(repeats=repeats, longest_period=longest)
    for end in range(1, len(text) + 1):
        assert detector.feed(text[end - 1]) == tail_loop(text[:end], repeats, longest)
        assert detector.loop == tail_loop(text[:end], repeats, longest)


def test_a_loop_by_hand():
    words = ["once", "there", "was", *["a", "cat", "and"] * 4, "a", "dog"]
    (loop,) = find_loops(words)
    assert loop == Loop(onset=3, period=3, length=13)
    assert words[loop.onset : loop.onset + loop.period] == ["a", "cat", "and"]
    assert loop.rounds == pytest.approx(13 / 3)
    assert find_loops(words, repeats=5) == []
    assert find_loops(words, longest_period=2) == []


def test_two_loops_and_a_loop_taken_up_again():
    assert find_loops("xaaaay" + "abababab" + "zz") == [Loop(1, 1, 4), Loop(6, 2, 8)]
    assert find_loops("abcabcabcXabcabcabc") == [Loop(0, 3, 9), Loop(10, 3, 9)]


@settings(max_examples=300)
@given(TEXTS)
@example("abcabxabcd" * 3)
@example("mississippi$mississippi")
def test_repeats_at_every_place(text):
    finder = RepeatFinder()
    for end in range(1, len(text) + 1):
        head = text[:end]
        wanted = None
        for length in range(end - 1, 0, -1):
            first = head.find(head[end - length :])
            if first < end - length:
                wanted = Repeat(end - length, length, first)
                break
        assert finder.feed(text[end - 1]) == wanted
        assert finder.repeat == wanted


@given(TEXTS)
def test_the_longest_repeat(text):
    lengths = [
        length
        for length in range(1, len(text))
        if any(text.find(text[place : place + length]) < place for place in range(1, len(text) - length + 1))
    ]
    found = longest_repeat(text)
    assert (found.length if found else 0) == max(lengths, default=0)
    if found:
        assert text[found.start :][: found.length] == text[found.first :][: found.length]
        assert found.first < found.start


@given(TEXTS, st.integers(1, 6))
def test_spans_cover_every_ngram_said_again_and_cannot_be_longer(text, least):
    spans = repeated_spans(text, least=least)
    assert [span.start for span in spans] == sorted(span.start for span in spans)
    covered = {place for span in spans for place in range(span.start, span.start + span.length)}
    said_again = {
        place + within
        for place, gram in enumerate(ngrams(text, least))
        if text.find(gram) < place
        for within in range(least)
    }
    assert covered == said_again
    for span in spans:
        end = span.start + span.length
        assert text[span.start : end] == text[span.first : span.first + span.length]
        assert text.find(text[span.start : end]) == span.first
        assert end == len(text) or text.find(text[span.start : end + 1]) == span.start


@given(st.lists(st.binary(max_size=30), max_size=20))
def test_compression_streams_as_it_does_at_once(pieces):
    whole = b"".join(pieces)
    compression = Compression()
    for piece in pieces:
        compression.feed(piece)
        assert compression.ratio >= 0
    assert compression.ratio == pytest.approx(len(whole) / len(zlib.compress(whole)))
    assert compression_ratio(whole) == pytest.approx(compression.ratio)


def test_a_loop_compresses_beyond_whispers_limit():
    prose = b"The lighthouse keeper wrote a letter every evening, although nobody had answered since the spring."
    assert compression_ratio(prose) < 2.4
    assert compression_ratio(b"I am a student. " * 12) > 2.4


def stream(kind, length):
    source = random.Random(7)
    return {
        "one token": [0] * length,
        "all different": list(range(length)),
        "two tokens by chance": [source.randrange(2) for _ in range(length)],
        "a vocabulary by chance": [source.randrange(49_152) for _ in range(length)],
        "a loop of 50": [place % 50 for place in range(length)],
        "loops broken off": [0 if place % 97 else place for place in range(length)],
        "words of a growing alphabet": [token for n in range(length) for token in (0, n // 3)][:length],
    }[kind]


@pytest.mark.parametrize("kind", [
    "one token", "all different", "two tokens by chance", "a vocabulary by chance", "a loop of 50", "loops broken off",
    "words of a growing alphabet",
])  # fmt: skip
@pytest.mark.parametrize("measure", [lambda: Ngrams(3), LoopDetector, RepeatFinder], ids=["ngrams", "loop", "repeat"])
def test_a_token_costs_the_same_however_long_the_text_is(measure, kind):
    def cost(length):
        tokens, one = stream(kind, length), measure()
        return instructions(FOLDER, lambda: [one.feed(token) for token in tokens])

    short, long = cost(300), cost(1200)
    assert short > 300
    assert long < 4 * short * 1.15


def test_the_count_of_operations_sees_a_cost_that_grows():
    seen = []

    def feed(token):
        sum(1 for earlier in seen if earlier == token)
        seen.append(token)

    def cost(length):
        seen.clear()
        return instructions(Path(__file__).parent, lambda: [feed(token) for token in range(length)])

    assert cost(400) > 4 * cost(100) * 2


@pytest.mark.parametrize("wrong", [
    lambda: Ngrams(0), lambda: LoopDetector(repeats=2), lambda: LoopDetector(longest_period=0)
])  # fmt: skip
def test_settings_out_of_range(wrong):
    with pytest.raises(SettingsError, match="at least"):
        wrong()
