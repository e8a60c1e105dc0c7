"""Exercises on what comes back: streams, stop texts, finish reasons, metrics, and requests in another dialect."""

from __future__ import annotations

import math
from functools import partial
from random import Random
from typing import Any

from courselib.exercises.judge import Arguments, Exercise, Function, Mistake
from courselib.i18n import N_

READ_TIMES = N_("lesson 01, How an answer is made")
READ_STOPS = N_("lesson 25, Length and stopping")
READ_VLLM = N_("lesson 11, vLLM, on its metrics")
READ_PORT = N_("lesson 12, TGI, and leaving it")


def ttft(events: list[list[Any]]) -> float:
    """Seconds until the first event with text in it; events are ``[seconds, text]``."""
    return float(next(seconds for seconds, text in events if text))


def _stream_inputs(source: Random) -> list[Arguments]:
    def stream(empty: int) -> list[list[Any]]:
        times = sorted(round(source.uniform(0.1, 3), 3) for _n in range(empty + 5))
        return [[each, "" if at < empty else " word"] for at, each in enumerate(times)]

    return [([[0.05, ""], [0.4, "Hello"], [0.5, "!"], [0.6, ""]],), (stream(0),), (stream(1),), (stream(2),)]


def percentile(values: list[float], percent: float) -> float:
    """The smallest value that at least ``percent`` of the values do not exceed (nearest rank)."""
    return sorted(values)[max(0, math.ceil(percent / 100 * len(values)) - 1)]


def _percentile_inputs(source: Random) -> list[Arguments]:
    values = [round(source.uniform(0.1, 9), 2) for _n in range(20)]
    # 42 percent of 20 values are 8.4 of them: rounded to the nearest, the rank is another.
    return [([3.0, 1.0, 2.0, 4.0], 50), (values, 42), (values, 95), (values, 99), (values, 100), ([0.5], 99)]


def _interpolated(values: list[float], percent: float) -> float:
    ordered = sorted(values)
    at = percent / 100 * (len(values) - 1)
    low = int(at)
    return ordered[low] + (at - low) * (ordered[min(low + 1, len(values) - 1)] - ordered[low])


def visible(pieces: list[list[int]], stop: str, *, fault: str = "", errors: str = "replace") -> str:
    """The text before ``stop`` in an answer that comes as pieces of UTF-8 bytes; all of it where there is none."""
    if fault == "piecewise":
        shown = ""
        for piece in pieces:
            before, found, _after = bytes(piece).decode(errors=errors).partition(stop)
            shown += before
            if found:
                return shown
        return shown
    text = b"".join(map(bytes, pieces)).decode(errors="replace")
    if fault == "decoded":
        text = "".join(bytes(piece).decode(errors=errors) for piece in pieces)
    before, found, _after = text.rpartition(stop) if fault == "last" and stop in text else text.partition(stop)
    return before + found if fault == "kept" else before


def _cut(source: Random, text: str) -> list[list[int]]:
    whole, pieces = list(text.encode()), []
    while whole:
        size = source.randint(1, 4)
        pieces.append(whole[:size])
        whole = whole[size:]
    return pieces


def _visible_inputs(source: Random) -> list[Arguments]:
    split = [list(b"one "), list(b"EN"), list(b"D two END three")]
    accent = [[*b"caf", 0xC3], [0xA9, *b" END x"]]
    cut = [_cut(source, text) for text in ("schön, sehr schön STOP nein STOP", "no stop text here ✓", "日本語STOP日本")]
    return [(split, "END"), (accent, "END"), *((pieces, "STOP") for pieces in cut)]


_REASONS = {
    "tgi": {"eos_token": "stop", "stop_sequence": "stop", "length": "length"},
    "llama.cpp": {"eos": "stop", "word": "stop", "limit": "length"},
    "vllm": {"stop": "stop", "length": "length", "abort": "error"},
}


def finish_reason(engine: str, reason: str) -> str:
    """An engine's own reason as ``"stop"``, ``"length"`` or ``"error"``."""
    return _REASONS[engine].get(reason, "error")


def _reason_inputs(source: Random) -> list[Arguments]:
    calls: list[Arguments] = [(engine, reason) for engine, reasons in _REASONS.items() for reason in reasons]
    calls += [("llama.cpp", "none"), ("vllm", "new_reason")]
    source.shuffle(calls)
    return calls


HITS, QUERIES = "vllm:prefix_cache_hits_total", "vllm:prefix_cache_queries_total"


def hit_rate(metrics: str) -> float:
    """Share of the tokens looked up that the prefix cache had, from 0 to 1; 0 where none was looked up."""
    found = _sums(metrics)
    return found[HITS] / found[QUERIES] if found[QUERIES] else 0.0


def _sums(metrics: str) -> dict[str, float]:
    sums = {HITS: 0.0, QUERIES: 0.0}
    for line in metrics.splitlines():
        name, _brace, _labels = line.partition("{")
        if name in sums:
            sums[name] += float(line.split()[-1])
    return sums


def _first_engine(metrics: str) -> float:
    lines = [line for line in metrics.splitlines() if 'engine="0"' in line]
    return hit_rate("\n".join(lines))


def _hit_inputs(source: Random) -> list[Arguments]:
    def page(*engines: tuple[int, int]) -> str:
        lines = [
            "# HELP vllm:prefix_cache_queries_total Prefix cache queries",
            "# TYPE vllm:prefix_cache_hits_total counter",
        ]
        for number, (queries, hits) in enumerate(engines):
            labels = f'{{engine="{number}",model_name="m"}}'
            lines += [f"{QUERIES}{labels} {queries}.0", f"{HITS}{labels} {hits}.0"]
            lines.append(f"vllm:prefix_cache_hits_created{labels} 1.7e+09")
        return "\n".join(lines)

    one, two = source.randint(100, 900), source.randint(100, 900)
    return [(page((1000, 750)),), (page((1000, one)),), (page((1000, one), (3000, two)),), (page((0, 0)),)]


def to_vllm(body: dict[str, Any], *, fault: str = "") -> dict[str, Any]:
    """A body for TGI's ``/generate`` as one for vLLM's ``/v1/completions``."""
    parameters = dict(body.get("parameters", {}))
    moved = {"prompt": body["inputs"], "max_tokens": parameters.pop("max_new_tokens", 20)}
    if "stop" in parameters:
        moved["stop"] = parameters.pop("stop")
    samples = parameters.pop("do_sample", False)
    if fault != "warm" and not samples:
        parameters["temperature"] = 0
    if fault == "flag":
        moved["do_sample"] = samples
    if fault == "default" and "max_new_tokens" not in body.get("parameters", {}):
        del moved["max_tokens"]
    if fault == "nested":
        return {"prompt": body["inputs"], "parameters": body.get("parameters", {})}
    return moved | parameters


def _body_inputs(source: Random) -> list[Arguments]:
    warm = {"max_new_tokens": source.randint(20, 90), "do_sample": True, "temperature": 0.7, "top_k": 40}
    return [
        ({"inputs": "Hello", "parameters": warm},),
        ({"inputs": "Hello", "parameters": {"max_new_tokens": 10, "stop": ["END"], "do_sample": False}},),
        ({"inputs": "Count:"},),
        ({"inputs": "x", "parameters": {"repetition_penalty": 1.2, "seed": source.randint(1, 99)}},),
    ]


EXERCISES: tuple[Exercise, ...] = (
    Function(
        "ttft",
        "ttft(events)",
        READ_TIMES,
        ttft,
        _stream_inputs,
        (
            Mistake(
                N_("The first event is taken, although it has no text: servers open a stream with an empty one."),
                lambda events: events[0][0],
            ),
            Mistake(N_("This is the time of the last event: the whole answer's."), lambda events: events[-1][0]),
            Mistake(
                N_("This is the time between two events; the first token's counts from the request."),
                lambda events: events[1][0] - events[0][0],
            ),
        ),
    ),
    Function(
        "percentile",
        "percentile(values, percent)",
        READ_TIMES,
        percentile,
        _percentile_inputs,
        (
            Mistake(
                N_("The values are not sorted first."),
                lambda values, percent: values[max(0, math.ceil(percent / 100 * len(values)) - 1)],
            ),
            Mistake(
                N_("Off by one: the value after the right one is taken."),
                lambda values, percent: sorted(values)[min(len(values) - 1, int(percent / 100 * len(values)))],
            ),
            Mistake(
                N_("Too few values are counted where the percentage of them is no whole number."),
                lambda values, percent: sorted(values)[max(0, round(percent / 100 * len(values)) - 1)],
            ),
            Mistake(
                N_("Values are interpolated here; the nearest rank is always one that was measured."),
                _interpolated,
            ),
        ),
    ),
    Function(
        "stop_matcher",
        "visible(pieces, stop)",
        READ_STOPS,
        visible,
        _visible_inputs,
        (
            *(
                Mistake(says, partial(visible, fault=fault, errors=errors))
                for fault, says in (
                    (
                        "piecewise",
                        N_("Each piece is searched alone: a stop text that is cut by the stream is not found."),
                    ),
                    ("decoded", N_("Each piece is decoded alone: a character whose bytes come in two pieces is lost.")),
                )
                for errors in ("replace", "ignore")
            ),
            Mistake(N_("The stop text itself is shown."), lambda *call: visible(*call, fault="kept")),
            Mistake(
                N_("The last stop text ends the answer here; the first must."),
                lambda *call: visible(*call, fault="last"),
            ),
        ),
    ),
    Function(
        "finish_reason",
        "finish_reason(engine, reason)",
        READ_STOPS,
        finish_reason,
        _reason_inputs,
        (
            Mistake(
                N_('A stop text counts as "length" here; the answer ended as it was asked to.'),
                lambda engine, reason: (
                    "length" if reason in ("stop_sequence", "word") else finish_reason(engine, reason)
                ),
            ),
            Mistake(
                N_('What is unknown or broken off counts as "stop"; it is an "error".'),
                lambda engine, reason: {"error": "stop"}.get(
                    finish_reason(engine, reason), finish_reason(engine, reason)
                ),
            ),
            Mistake(
                N_('What is broken off counts as "stop"; it is an "error".'),
                lambda engine, reason: "stop" if reason in ("none", "abort") else finish_reason(engine, reason),
            ),
            Mistake(
                N_('Whatever is not "stop" counts as "length"; an answer that was broken off reached no limit.'),
                lambda engine, reason: "stop" if finish_reason(engine, reason) == "stop" else "length",
            ),
            Mistake(
                N_('A reason that is not in the table counts as "stop"; a broken answer would look complete.'),
                lambda engine, reason: "stop" if reason == "new_reason" else finish_reason(engine, reason),
            ),
            Mistake(
                N_('llama.cpp calls it "limit" where the others say "length".'),
                lambda engine, reason: "error" if reason == "limit" else finish_reason(engine, reason),
            ),
        ),
    ),
    Function(
        "hit_rate",
        "hit_rate(metrics)",
        READ_VLLM,
        hit_rate,
        _hit_inputs,
        (
            Mistake(N_("This is in percent; a share is from 0 to 1."), lambda metrics: 100 * hit_rate(metrics)),
            Mistake(
                N_("This is the share of misses."),
                lambda metrics: 1 - hit_rate(metrics) if _sums(metrics)[QUERIES] else 0.0,
            ),
            Mistake(
                N_("Only the first engine is counted; a server may run several, one line for each."), _first_engine
            ),
        ),
    ),
    Function(
        "port_tgi",
        "to_vllm(body)",
        READ_PORT,
        to_vllm,
        _body_inputs,
        (
            Mistake(
                N_("Greedy requests became sampled ones: TGI samples only if asked to, vLLM does by default."),
                lambda body: to_vllm(body, fault="warm"),
            ),
            Mistake(N_("vLLM has no do_sample; the temperature says it."), lambda body: to_vllm(body, fault="flag")),
            Mistake(
                N_("A body without max_new_tokens needs max_tokens=20 here: vLLM would take a default of its own."),
                lambda body: to_vllm(body, fault="default"),
            ),
            Mistake(
                N_('The settings are still below "parameters", where vLLM does not look.'),
                lambda body: to_vllm(body, fault="nested"),
            ),
        ),
    ),
)
