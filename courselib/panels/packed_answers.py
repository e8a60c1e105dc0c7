"""Answers made small, as JSON, and back: those of the stop inspector, the penalty microscope and the playground."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from courselib.answers.stream import Answer, Token
from courselib.controls.effective import Used
from courselib.panels.packed import pack_piece, unpack_piece
from courselib.panels.penalty_sides import Apart, Pair, Said
from courselib.panels.reply import Reply
from courselib.panels.stops_view import Made, Seen
from courselib.sampling.text_stops import Ending, Step


def pack_made(made: Made) -> dict[str, Any]:
    """An answer and its end."""
    steps = [[pack_piece(step.data), int(step.special), int(step.ends)] for step in made.steps]
    return {**asdict(made), "steps": steps}


def unpack_made(packed: Mapping[str, Any]) -> Made:
    """An answer and its end."""
    steps = tuple(Step(unpack_piece(data), bool(special), bool(ends)) for data, special, ends in packed["steps"])
    context, window, seen = int(packed["context"]), packed["window"], packed["seen"]
    if context < 1 or len(packed["tokens"]) != len(steps):
        raise ValueError("an answer that has no room, or other tokens than it counts")
    return Made(
        prompt=_ids(packed["prompt"]),
        context=context,
        limit=int(packed["limit"]),
        tokens=_ids(packed["tokens"]),
        steps=steps,
        end_ids=_ids(packed["end_ids"]),
        end_words=_text(packed["end_words"]),
        ends=tuple(map(_share, packed["ends"])),
        window=None if window is None else int(window),
        seen=None if seen is None else _seen(seen),
    )


def _seen(packed: Mapping[str, Any]) -> Seen:
    asked = packed["ending"]
    ending = Ending(
        int(asked["max_tokens"]),
        tuple(map(_text, asked["stop"])),
        int(asked["min_tokens"]),
        *(bool(asked[name]) for name in ("ignore_eos", "skip_special_tokens", "include_stop")),
    )
    return Seen(ending, *(_text(packed[name]) for name in ("text", "reason", "stop")))


def pack_pair(pair: Pair) -> dict[str, Any]:
    """Both answers, and the step taken apart."""
    return {"sides": [_pack_said(said) for said in pair.sides], "apart": pair.apart and asdict(pair.apart)}


def unpack_pair(packed: Mapping[str, Any]) -> Pair:
    """Both answers, and the step taken apart."""
    first, second = map(_unpack_said, packed["sides"])
    return Pair((first, second), None if packed["apart"] is None else _apart(packed["apart"]))


def _apart(packed: Mapping[str, Any]) -> Apart:
    rows = tuple(tuple(map(_text, row)) for row in packed["rows"])
    if packed["side"] not in (0, 1) or not rows or len({len(row) for row in rows}) != 1:
        raise ValueError("a step that cannot be shown")
    return Apart(packed["side"], int(packed["step"]), _text(packed["before"]), rows)


def _pack_said(said: Said) -> dict[str, Any]:
    """Without the ids of groups, which only a server is asked with."""
    tokens = [[pack_piece(token.data), token.logprob] for token in said.tokens]
    return {"tokens": tokens, "prompt_tokens": said.prompt_tokens}


def _unpack_said(packed: Mapping[str, Any]) -> Said:
    tokens = tuple(
        Token(unpack_piece(data), None if logprob is None else _finite(logprob)) for data, logprob in packed["tokens"]
    )
    count = packed["prompt_tokens"]
    return Said(tokens, None if count is None else int(count))


def pack_reply(reply: Reply) -> dict[str, Any]:
    """One answer in a chat, with its tokens' probabilities."""
    return {
        "spans": reply.spans,
        "ttft_s": _seconds(reply.ttft_s),
        "answer": reply.answer and asdict(replace(reply.answer, ttft_s=_seconds(reply.answer.ttft_s))),
        "used": [asdict(used) for used in reply.used],
    }


def unpack_reply(packed: Mapping[str, Any]) -> Reply:
    """One answer in a chat."""
    answer = packed["answer"]
    return Reply(
        tuple(_span(*span) for span in packed["spans"]),
        None if packed["ttft_s"] is None else _finite(packed["ttft_s"]),
        None if answer is None else _answer(answer),
        tuple(Used(**used) for used in packed["used"]),
    )


def _span(text: Any, chance: Any, others: Sequence[Any], count: Any) -> list[Any]:
    alternatives = [[_text(other), _share(share)] for other, share in others]
    return [_text(text), None if chance is None else _share(chance), alternatives, int(count)]


def _answer(packed: Mapping[str, Any]) -> Answer:
    ttft, rate = (None if packed[name] is None else _finite(packed[name]) for name in ("ttft_s", "tokens_per_s"))
    count = packed["prompt_tokens"]
    return Answer(
        text=_text(packed["text"]),
        finish_reason=_text(packed["finish_reason"]),
        thinking=_text(packed["thinking"]),
        ttft_s=ttft,
        tokens_per_s=rate,
        prompt_tokens=None if count is None else int(count),
        completion_tokens=int(packed["completion_tokens"]),
    )


def _seconds(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 4)


def _ids(packed: Any) -> tuple[int, ...]:
    return tuple(map(int, packed))


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("a word is not a text")
    return value


def _finite(value: Any) -> float:
    if not math.isfinite(value):
        raise ValueError("a number without a size")
    return float(value)


def _share(value: Any) -> float:
    if not 0 <= value <= 1:
        raise ValueError("a share above 1")
    return float(value)
