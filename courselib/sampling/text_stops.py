"""Where an engine ends an answer, and what it gives back of it.

All engines promise stop strings, and each keeps the promise in its own way. ``account`` takes an answer that was made
without stop strings and tells what becomes of it with some, by the rules of one route:

==================  ============================  ==================  =======================================
engine              looks for a stop string       the stop string is  of several it takes
==================  ============================  ==================  =======================================
llama.cpp's server  within tokens, once their     dropped             the one that begins first
                    last character is whole
llama-cpp-python    in all of the text so far     dropped             the first in the list
vLLM                within tokens, once their     dropped, unless     the one that ends first
                    last character is whole,      asked for
                    after ``min_tokens``
TGI                 at the end of a token         kept                the first in the list
==================  ============================  ==================  =======================================

Read in llama.cpp b11549 (tools/server), llama-cpp-python 0.3.36 (llama.py), vLLM 0.32.0 (v1/engine/detokenizer.py,
v1/core/sched/utils.py) and TGI 3.3.7 (server/utils/tokens.py); run against the first three and this course's gateway.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from courselib.errors import SettingsError
from courselib.i18n import N_, _

Reason = Literal["eos", "length", "stop", "refused"]
REASONS: dict[Reason, str] = {
    "eos": N_("the model ended it"),
    "length": N_("it was as long as allowed"),
    "stop": N_("a stop string came"),
    "refused": N_("too many stop strings, or an empty one: the request is refused"),
}
# TGI looks at so many last characters.
TGI_WINDOW = 300
MOST_STOPS = 4


@dataclass(frozen=True)
class Step:
    """One generated token.

    Args:
        data: its bytes; of a special token, how it is written.
        special: whether it marks something, such as the end of a turn, and is no text.
        ends: whether it ends an answer.
    """

    data: bytes
    special: bool = False
    ends: bool = False


@dataclass(frozen=True)
class Ending:
    """What was asked for, named as by vLLM.

    Args:
        max_tokens: how many tokens may come.
        stop: the stop strings.
        min_tokens: how many must have come before a stop string counts; only vLLM has it.
        ignore_eos: go on after a token that ends answers.
        skip_special_tokens: whether special tokens are left out of the text; only vLLM can write them.
        include_stop: give the stop string back (vLLM's ``include_stop_str_in_output``).
    """

    max_tokens: int
    stop: tuple[str, ...] = ()
    min_tokens: int = 0
    ignore_eos: bool = False
    skip_special_tokens: bool = True
    include_stop: bool = False

    def ended_by(self, step: Step) -> bool:
        """Whether the token ends this answer."""
        return step.ends and not self.ignore_eos


@dataclass(frozen=True)
class Account:
    """What becomes of an answer.

    Args:
        reason: why it ended.
        tokens: how many were generated, as the engine counts them.
        text: what comes back.
        cut: bytes that were generated and do not come back.
        stop: the stop string that ended it.
        at: at which byte that begins.
        kept: whether it comes back.
    """

    reason: Reason
    tokens: int = 0
    text: str = ""
    cut: bytes = b""
    stop: str | None = None
    at: int | None = None
    kept: bool = False


@dataclass(frozen=True)
class Dialect:
    """How one route ends answers.

    Args:
        end: its engine's rules; gives None for an answer that is too short to tell.
        words: its finish reasons: the model ended it, it is as long as allowed, a stop string came.
        refused: what it says instead of an answer; empty where it takes everything.
        told_by: the field that tells a stop string from the model's own end; empty where none does.
        most_stops: how many stop strings it takes.
        takes_empty: whether it takes an empty one.
    """

    end: Callable[[Sequence[Step], Ending], Account | None]
    words: tuple[str, str, str]
    refused: str = ""
    told_by: str = ""
    most_stops: int | None = None
    takes_empty: bool = True

    def word(self, reason: Reason) -> str:
        """The route's own word for a reason."""
        return dict(zip(REASONS, (*self.words, self.refused), strict=True))[reason]

    def refuses(self, stop: Sequence[str]) -> bool:
        """Whether it refuses a request for these stop strings."""
        too_many = self.most_stops is not None and len(stop) > self.most_stops
        return too_many or ("" in stop and not self.takes_empty)


def account(steps: Sequence[Step], ending: Ending, route: str) -> Account:
    """What a route gives back.

    Args:
        steps: the answer made without stop strings, all else the same.
        ending: what is asked for.
        route: a name of ``DIALECTS``.

    Raises:
        SettingsError: the answer made without stop strings is too short to tell.
    """
    dialect = DIALECTS[route]
    if dialect.refuses(ending.stop):
        return Account("refused")
    found = dialect.end(steps, ending)
    if found is None:
        raise SettingsError(
            _("{n} tokens are too few to show how this ends; generate more without stop strings.").format(n=len(steps))
        )
    return found


def is_whole(data: bytes) -> bool:
    """Whether the bytes do not end within a character."""
    for back, byte in enumerate(reversed(data[-3:]), 1):
        if byte >= 0xC0:  # begins a character of 2, 3 or 4 bytes
            return back >= 2 + (byte >= 0xE0) + (byte >= 0xF0)
        if byte < 0x80:
            break
    return True


def _llama_server(steps: Sequence[Step], ending: Ending) -> Account | None:
    text = b""
    for number, step in enumerate(steps, 1):
        piece = b"" if step.special else step.data
        text += piece
        if is_whole(text):
            # It looks as far back as a stop string could reach out of the last token. What stood in an earlier token
            # that ended within a character lies outside of that, and is missed.
            found = []
            for stop in ending.stop:
                at = text.find(stop.encode(), max(0, len(text) - len(piece) - len(stop.encode())))
                if at >= 0:
                    found.append((at, stop))
            if found:
                at, stop = min(found, key=lambda each: each[0])
                return Account("stop", number, _replaced(text[:at]), text[at:], stop, at)
        if ending.ended_by(step):
            return Account("eos", number, _replaced(text))
        if number >= ending.max_tokens:
            return Account("length", number, _replaced(text))
    return None


def _replaced(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def _llama_library(steps: Sequence[Step], ending: Ending) -> Account | None:
    text, missing = b"", 0
    for number, step in enumerate(steps, 1):
        if ending.ended_by(step):
            return Account("eos", number - 1, text.decode("utf-8", "ignore"))
        text += b"" if step.special else step.data
        missing = _bytes_missing(text, missing)
        if missing:
            # Counted as if each token had one byte; neither stop strings nor the limit are looked at until then.
            missing -= 1
            continue
        for stop in ending.stop:
            if stop.encode() in text:
                at = text.index(stop.encode())
                return Account("stop", number, text[:at].decode("utf-8", "ignore"), text[at:], stop, at)
        if number >= ending.max_tokens:
            return Account("length", number, text.decode("utf-8", "ignore"))
    return None


def _bytes_missing(text: bytes, before: int) -> int:
    """How many bytes the library thinks are missing from the last character; what it thought before, if none."""
    for place, byte in enumerate(text[-3:]):
        for length, lead in ((2, 0xC0), (3, 0xE0), (4, 0xF0)):
            if length > 3 - place and byte & lead == lead:
                before = length - (3 - place)
    return before


def _vllm(steps: Sequence[Step], ending: Ending) -> Account | None:
    text = half = b""
    for number, step in enumerate(steps, 1):
        ended = ending.ended_by(step)
        if not (step.special and ending.skip_special_tokens) and not (ended and not ending.include_stop):
            half += step.data
        new, half = (half, b"") if is_whole(half) else (b"", half)
        text += new
        if new and number > ending.min_tokens and (found := _first_ended(text, len(new), ending.stop)):
            at, stop = found
            end = at + (len(stop.encode()) if ending.include_stop else 0)
            return Account("stop", number, text[:end].decode(), text[end:], stop, at, ending.include_stop)
        if ended:
            return Account("eos", number, text.decode())
        if number >= ending.max_tokens:
            return Account("length", number, text.decode(), half)
    return None


def _first_ended(text: bytes, new: int, stops: Sequence[str]) -> tuple[int, str] | None:
    """Of the stop strings that end within the last ``new`` bytes, the one that ends first, and where it begins."""
    found = []
    for stop in stops:
        data = stop.encode()
        at = text.find(data, max(0, len(text) - new - len(data) + 1))
        if at >= 0:
            found.append((at + len(data), at, stop))
    if not found:
        return None
    _end, at, stop = min(found, key=lambda each: each[0])
    return at, stop


def _tgi(steps: Sequence[Step], ending: Ending) -> Account | None:
    patterns = [(stop, re.compile(re.escape(stop) + "$")) for stop in ending.stop]
    text, window, half = "", "", b""
    for number, step in enumerate(steps, 1):
        half += step.data
        new, half = (half.decode(), b"") if is_whole(half) else ("", half)
        window = (window + new)[-TGI_WINDOW:]
        text += "" if step.special else new
        if number >= ending.max_tokens:
            return Account("length", number, text + _replaced(half))
        if ending.ended_by(step):
            return Account("eos", number, text)
        for stop, pattern in patterns:
            if found := pattern.search(window):
                at = len(text.encode()) - len(window[found.start() :].encode())
                return Account("stop", number, text + _replaced(half), b"", stop, at, kept=True)
    return None


OPENAI = ("stop", "length", "stop")
# By route, named as in ``courselib.controls.routes``.
DIALECTS: dict[str, Dialect] = {
    "llama.cpp /completion": Dialect(_llama_server, ("eos", "limit", "word"), told_by="stop_type"),
    "llama.cpp completions": Dialect(_llama_server, OPENAI),
    "llama.cpp chat": Dialect(_llama_server, OPENAI),
    "llama_cpp.Llama": Dialect(_llama_library, OPENAI),
    "llama_cpp.Llama chat": Dialect(_llama_library, OPENAI),
    "vLLM completions": Dialect(_vllm, OPENAI, "400", "stop_reason", MOST_STOPS, takes_empty=False),
    "vLLM chat": Dialect(_vllm, OPENAI, "400", "stop_reason", MOST_STOPS, takes_empty=False),
    "vLLM SamplingParams": Dialect(_vllm, OPENAI, "ValueError", "stop_reason", takes_empty=False),
    "TGI /generate": Dialect(_tgi, ("eos_token", "length", "stop_sequence"), "422", "finish_reason", MOST_STOPS),
    "TGI chat": Dialect(_tgi, ("stop", "length", "stop_sequence"), "422", "finish_reason", MOST_STOPS),
}


def finish_table() -> list[tuple[str, ...]]:
    """The finish reasons of all routes: a row of its name, its word for each reason, and where it tells them apart."""
    return [
        (name, *(dialect.word(reason) for reason in REASONS), dialect.told_by) for name, dialect in DIALECTS.items()
    ]
