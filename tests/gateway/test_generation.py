"""How an answer ends, where only rare chance would show it on a live engine: the engine's events written by hand."""

import asyncio

import pytest

from courselib.gateway.generation import Generator
from courselib.gateway.llama_client import Chunk

HALF = "é".encode()[:1]


def ended(chunks, *, new_tokens=10, stop=()):
    """Texts of the tokens, why it ended, and the whole text."""

    async def collect():
        async def given():
            for chunk in chunks:
                yield chunk

        # No special token is written out here, and nothing that was held back: the engine is not asked.
        generator = Generator(None, list(stop), new_tokens=new_tokens, logprobs=True, top_n=0)
        tokens = [token async for token in generator.tokens(given())]
        reasons = [token.finish_reason for token in tokens]
        assert not any(reasons[:-1])
        return [token.text for token in tokens], generator.result.finish_reason, generator.result.text

    return asyncio.run(collect())


A, B = Chunk(1, id=5, data=b"a"), Chunk(2, id=6, data=b"b")
LAST = [
    pytest.param([A, B, Chunk(2, last=True)], 2, (["a", "b"], "length", "ab"), id="limit"),
    pytest.param([A, Chunk(3, last=True, ended=True)], 10, (["a", "", ""], "eos_token", "a"), id="end in half"),
    pytest.param([A, Chunk(3, last=True)], 3, (["a", "", ""], "length", "a"), id="limit in half"),
    pytest.param(
        [A, Chunk(2, id=7, data=HALF), Chunk(2, last=True, ended=True)], 10, (["a", ""], "eos_token", "a\ufffd"),
        id="end after half",
    ),
    pytest.param([A, B], 10, (["a", "b"], "", "ab"), id="broken off"),
]  # fmt: skip


@pytest.mark.parametrize(("chunks", "new_tokens", "expected"), LAST)
def test_ends(chunks, new_tokens, expected):
    assert ended(chunks, new_tokens=new_tokens) == expected


STOPS = [
    (["ab"], "stop_sequence", "ab"),
    (["b"], "stop_sequence", "ab"),
    (["a"], "stop_sequence", "a"),
    (["abc", "c"], "stop_sequence", "abc"),
    (["d"], "length", "abc\n"),
    # As Python's regular expressions have it: a dollar also matches before a line feed at the end.
    (["c\n"], "stop_sequence", "abc\n"),
    (["."], "length", "abc\n"),
]


@pytest.mark.parametrize(("stop", "reason", "text"), STOPS)
def test_stop_strings(stop, reason, text):
    chunks = [Chunk(number, id=number, data=bytes([data])) for number, data in enumerate(b"abc\n", 1)]
    # The last of four is told as the limit unless a stop string comes first; the limit is looked at before.
    found = ended(chunks, new_tokens=5 if "\n" in stop[0] else 4, stop=stop)
    assert found[1:] == (reason, text)


def test_only_the_last_300_characters_are_looked_at():
    long = "x" * 299
    chunks = [Chunk(number, id=1, data=b"x") for number in range(1, 303)]
    assert len(ended(chunks, new_tokens=302, stop=[long + "x"])[2]) == 300
    assert len(ended(chunks, new_tokens=302, stop=[long + "xx"])[2]) == 302
