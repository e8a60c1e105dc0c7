"""Answers to the exercises on streams, metrics, messages and ported requests."""

from __future__ import annotations

import re

import numpy as np

from tests.exercises.cases import Case

METRIC = re.compile(r"^vllm:prefix_cache_(queries|hits)_total\{.*\} (\S+)$", re.MULTILINE)


def bisected(values, percent):
    for value in sorted(set(values)):
        if sum(each <= value for each in values) * 100 >= percent * len(values):
            return value
    return None


def hits(metrics, *, which=slice(None)):
    found = METRIC.findall(metrics)
    queries, hits = ([float(n) for kind, n in found if kind == name][which] for name in ("queries", "hits"))
    return sum(hits) / sum(queries) if sum(queries) else 0


def misses(metrics):
    return 1 - hits(metrics) if re.search(r"queries_total.* [1-9]", metrics) else 0


def incremental(pieces, stop):
    import codecs

    decoder, text = codecs.getincrementaldecoder("utf-8")(), ""
    for piece in pieces:
        text += decoder.decode(bytes(piece))
    return text.split(stop)[0]


def whole(pieces):
    return bytes(each for piece in pieces for each in piece).decode()


def by_piece(pieces, stop):
    shown = []
    for piece in pieces:
        text = bytes(piece).decode(errors="ignore")
        shown.append(text.split(stop)[0])
        if stop in text:
            break
    return "".join(shown)


def decoded_apart(pieces, stop):
    return "".join(bytes(piece).decode(errors="replace") for piece in pieces).split(stop)[0]


def with_stop(pieces, stop):
    text = whole(pieces)
    return text[: text.index(stop) + len(stop)] if stop in text else text


REASONS = {"eos": "stop", "word": "stop", "limit": "length", "none": "error", "stop": "stop", "abort": "error"}
REASONS |= {"eos_token": "stop", "stop_sequence": "stop", "length": "length"}


def reason(**changed):
    table = dict.fromkeys(("eos_token", "stop_sequence", "eos", "word", "stop"), "stop")
    table |= {"length": "length", "limit": "length"} | changed
    return lambda engine, why: table.get(why, "error")


def ported(body, *, keeps_flag=False, greedy=True, length=20):
    given = body.get("parameters") or {}
    new = {key: value for key, value in given.items() if key not in ("max_new_tokens", "do_sample")}
    new["prompt"] = body["inputs"]
    if length or "max_new_tokens" in given:
        new["max_tokens"] = given.get("max_new_tokens", length)
    if greedy and not given.get("do_sample"):
        new["temperature"] = 0.0
    if keeps_flag:
        new["do_sample"] = given.get("do_sample", False)
    return new


def fault(rules):
    return lambda message: next((name for pattern, name in rules if re.search(pattern, message)), "memory")


FAULTS = [
    ("401", "key"),
    ("context", "context"),
    ("[Tt]emplate", "template"),
    ("^Conn", "port"),
    ("bounds|covered", "file"),
]

CASES = {
    "ttft": Case(
        lambda events: min(seconds for seconds, text in events if text != ""),
        (
            (lambda events: events[0][0], "first event is taken"),
            (lambda events: max(seconds for seconds, _text in events), "last event"),
            (lambda events: float(np.diff([seconds for seconds, _text in events])[0]), "between two events"),
        ),
    ),
    "percentile": Case(
        bisected,
        (
            (lambda values, percent: values[-(-percent * len(values) // 100) - 1], "not sorted"),
            (lambda v, percent: sorted(v)[min(percent * len(v) // 100, len(v) - 1)], "Off by one"),
            (np.percentile, "interpolated"),
            (lambda v, percent: sorted(v)[max(round(percent * len(v) / 100), 1) - 1], "no whole number"),
        ),
    ),
    "stop_matcher": Case(
        incremental,
        (
            (by_piece, "searched alone"),
            (decoded_apart, "decoded alone"),
            (with_stop, "itself is shown"),
            (lambda pieces, stop: whole(pieces).rsplit(stop, 1)[0], "The last stop text"),
        ),
    ),
    "finish_reason": Case(
        reason(),
        (
            (reason(stop_sequence="length", word="length"), "ended as it was asked to"),
            (reason(abort="stop", none="stop"), "What is broken off"),
            (reason(abort="stop", none="stop", new_reason="stop"), "unknown or broken off"),
            (reason(new_reason="stop"), "is not in the table"),
            (reason(abort="length", none="length", new_reason="length"), "reached no limit"),
            (lambda _engine, why: REASONS[why], "KeyError: 'new_reason'"),
            (reason(limit="error"), "llama.cpp calls it"),
        ),
    ),
    "hit_rate": Case(
        hits,
        (
            (lambda metrics: 100 * hits(metrics), "percent"),
            (misses, "share of misses"),
            (lambda metrics: hits(metrics, which=slice(1)), "Only the first engine"),
        ),
    ),
    "port_tgi": Case(
        ported,
        (
            (lambda body: ported(body, greedy=False), "Greedy requests"),
            (lambda body: ported(body, keeps_flag=True), "has no do_sample"),
            (lambda body: ported(body, length=0), "max_tokens=20"),
            (lambda body: {"prompt": body["inputs"], "parameters": body.get("parameters", {})}, "does not look"),
        ),
    ),
    "diagnose": Case(
        fault(FAULTS),
        (
            (fault([("HTTP 4", "key"), *FAULTS]), "Not every 4xx"),
            (fault([("exceeds|maximum", "memory"), *FAULTS]), "no lack of memory"),
            (fault([("^(?!HTTP)", "port"), *FAULTS]), "wrong port"),
        ),
    ),
}
