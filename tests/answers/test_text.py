"""Text stays true to its tokens' bytes, however they are cut."""

import regex
from hypothesis import example, given
from hypothesis import strategies as st

from courselib.answers.text import Span, SpanBuilder, show, spans

REPLACEMENT = "\ufffd"
FAMILY = "👨‍👩‍👧‍👦"
CHARACTERS = st.sampled_from(
    [
        "你",
        "好",
        "臺",
        "灣",
        "𠮷",
        "a",
        "b",
        " ",
        "\n",
        "\r",
        "é",
        "e\u0301",
        "🙂",
        "👍🏽",
        FAMILY,
        "🇹🇼",
        "🇫🇷",
        "क्षि",
        "각",
        "한",
    ]
)
TEXT = st.lists(CHARACTERS).map("".join) | st.text().map(lambda text: text.replace(REPLACEMENT, ""))


@st.composite
def cut_text(draw):
    """A text, and its bytes cut at random places (some pieces may be empty)."""
    text = draw(TEXT)
    data = text.encode()
    cuts = sorted(draw(st.lists(st.integers(0, len(data)), max_size=len(data))))
    return text, [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]


def partition(found, tokens):
    assert [i for span in found for i in range(span.first, span.end)] == list(range(len(tokens)))


@given(cut_text())
@example((FAMILY + "🇹🇼", [bytes([byte]) for byte in (FAMILY + "🇹🇼").encode()]))
def test_any_cut_of_a_text_shows_the_text(cut):
    text, tokens = cut
    found = spans(tokens)
    assert "".join(span.text for span in found) == text
    assert not any(REPLACEMENT in span.text for span in found)
    partition(found, tokens)


@given(cut_text())
def test_spans_end_where_characters_end(cut):
    text, tokens = cut
    found = spans([token for token in tokens if token])
    assert [c for span in found for c in regex.findall(r"\X", span.text)] == regex.findall(r"\X", text)


@given(cut_text())
def test_what_was_shown_is_never_changed(cut):
    _text, tokens = cut
    for stop in range(len(tokens)):
        builder = SpanBuilder()
        shown = [span for token in tokens[:stop] if (span := builder.feed(token))]
        assert spans(tokens)[: len(shown)] == shown


@given(cut_text())
def test_at_most_one_whole_span_is_held_back(cut):
    """Streaming keeps up: only the newest character waits for its end."""
    _text, tokens = cut
    builder = SpanBuilder()
    shown = [span for token in tokens if (span := builder.feed(token))]
    assert len(shown) >= len(spans(tokens)) - 1


@given(st.lists(st.binary(max_size=6)))
@example([b"\xe4", b"A"])
@example([b"\xf0\x9f", b"\x98"])
@example([b"\xed\xa0\x80"])
def test_arbitrary_bytes_are_shown_and_never_raise(tokens):
    found = spans(tokens)
    partition(found, tokens)
    valid_replacement = REPLACEMENT.encode() in b"".join(tokens)
    assert valid_replacement or not any(REPLACEMENT in span.text for span in found)


def test_bytes_that_are_no_text_are_hexadecimal():
    assert spans([b"a\xe4", b"A", b"\xe4\xbd"]) == [Span("a⟨0xE4⟩A", 0, 2), Span("⟨0xE4⟩⟨0xBD⟩", 2, 3)]
    assert show(b"\xe4\xbd") == "⟨0xE4⟩⟨0xBD⟩"
    assert show("你".encode()) == "你"


def test_tokens_of_one_character_become_one_span():
    first, second = "你好".encode()[:4], "你好".encode()[4:]
    assert spans([b"x", first, second, b"y"]) == [Span("x", 0, 1), Span("你好", 1, 3), Span("y", 3, 4)]


def test_tokens_of_one_emoji_become_one_span():
    pieces = ["👍".encode(), "🏽".encode(), b"!"]
    assert spans(pieces) == [Span("👍🏽", 0, 2), Span("!", 2, 3)]
