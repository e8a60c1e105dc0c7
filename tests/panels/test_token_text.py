"""What the page receives: each span once, nothing lost, the whole when it asks."""

import json
import math

import pytest

from courselib.answers.stream import Token
from courselib.panels.token_text import TokenText
from tests.waiting import wait_until


class Page(TokenText):
    """A token text that keeps what it sends; the fake page takes messages as the real one does."""

    def __init__(self):
        self.messages = []
        super().__init__()

    def send(self, content, buffers=None):
        # The browser gets JSON, as it is now.
        self.messages.append(json.loads(json.dumps(content)))

    def shown(self, since=0):
        spans = []
        for message in self.messages[since:]:
            if message["kind"] == "clear":
                spans = []
            else:
                assert message["start"] <= len(spans), "a gap"
                spans += message["spans"][len(spans) - message["start"] :]
        return spans


def tokens(*pieces, chance=0.5):
    return [Token(piece, math.log(chance), ((piece, math.log(chance)), (b"x", math.log(0.25)))) for piece in pieces]


def feed(page, stream, parts=1):
    """Tokens in so many parts, each of which is on its way to the browser before the next comes."""
    size = math.ceil(len(stream) / parts)
    for n, token in enumerate(stream, 1):
        page.feed(token)
        if n % size == 0:
            wait_until(lambda: page._sent == len(page._all))
    page.finish()


def test_messages_add_up_to_the_whole():
    page = Page()
    words = [f"word{n} ".encode() for n in range(60)]
    feed(page, tokens(*words), parts=5)
    assert len(page.messages) > 3, "it was streamed"
    assert page.shown() == page.spans
    assert "".join(span[0] for span in page.spans) == page.text == b"".join(words).decode()


def test_traffic_grows_with_the_text_and_not_faster():
    page = Page()
    feed(page, tokens(*[b"abcd "] * 300), parts=10)
    sent = sum(len(json.dumps(message)) for message in page.messages)
    assert len(page.messages) > 10
    assert sent < 1.5 * len(json.dumps(page.spans))


def test_characters_cut_by_tokens_arrive_whole():
    page = Page()
    data = "你好👍🏽".encode()
    feed(page, tokens(*[bytes([byte]) for byte in data]))
    assert [span[0] for span in page.shown()] == ["你", "好", "👍🏽"]
    assert [span[3] for span in page.shown()] == [3, 3, 8]


def test_probability_of_a_span_is_that_of_all_its_tokens():
    page = Page()
    feed(page, tokens(*[bytes([byte]) for byte in "你".encode()], chance=0.5))
    assert page.spans[0][1] == pytest.approx(0.125)


def test_tokens_without_probabilities_have_none():
    page = Page()
    feed(page, [Token(b"a"), Token(b"b", -1.0)])
    assert page.spans[0][1:] == [None, [], 1]
    assert page.spans[1][1] == pytest.approx(math.exp(-1), rel=1e-3)


def test_a_page_opened_late_gets_what_was_sent_and_then_the_rest():
    page = Page()
    first, second = tokens(b"one ", b"two ", b"three "), tokens(b"four ", b"five ")
    for token in first:
        page.feed(token)
    page._coalescer.flush()
    opened = len(page.messages)
    page._handle_custom_msg({"kind": "resync"}, [])
    feed(page, second)
    assert page.shown(since=opened) == page.spans


def test_clear_begins_anew():
    page = Page()
    feed(page, tokens(b"old"))
    page.clear()
    assert page.text == "" and page.spans == []
    feed(page, tokens(b"new"))
    assert [span[0] for span in page.shown()] == ["new"]


def test_a_table_tells_the_same_in_text():
    page = Page()
    feed(page, tokens(b" Paris", chance=0.83))
    assert page.as_table() == "' Paris'              83.0%  most likely: ' Paris' 83.0%"


def test_repr_is_fixed():
    assert repr(TokenText()) == "TokenText()"
