"""Exercises on servers: which is fast enough, what a slot holds, how long users wait, and what a call becomes."""

from __future__ import annotations

from functools import partial
from random import Random
from typing import Any

from courselib.exercises.judge import Arguments, Exercise, Function, Mistake
from courselib.i18n import N_

Speeds = dict[str, list[list[float]]]


def fast_enough(measured: Speeds, users: int, minimum: float, *, fault: str = "") -> list[str]:
    """The engines that give each of so many users ``minimum`` tokens/s, the fastest first."""
    at = {name: {int(n): speed for n, speed in pairs} for name, pairs in measured.items()}
    counts = {"alone": min, "largest": max}
    speeds = {name: each[counts[fault](each) if fault in counts else users] for name, each in at.items()}
    share = 1 if fault in ("total", "alone") else users
    enough = [
        name
        for name, speed in speeds.items()
        if speed / share > minimum or (speed / share == minimum and fault != "strict")
    ]
    return enough if fault == "unsorted" else sorted(enough, key=lambda name: -speeds[name])


def _speed_inputs(source: Random) -> list[Arguments]:
    """Two engines of which one is faster alone and the other with many; shares of whole tokens/s."""
    low, high = source.randint(24, 34), source.randint(50, 60)
    few = source.randint(22, 26)  # each of four users, of the faster
    many = source.randint(16, 20)  # each of sixteen users, of the faster
    measured = {
        "A": [[1, high], [4, 4 * few - 8], [16, 16 * many - 96]],
        "B": [[1, low], [4, 4 * few], [16, 16 * many]],
        "C": [[1, low - 8], [4, 4 * few - 4], [16, 16 * many - 80]],
    }
    return [
        (measured, 1, low),
        (measured, 1, high - 1),
        (measured, 4, few - 2),
        (measured, 16, many),
        (measured, 16, many - 6),
        (measured, 16, many + 1),
    ]


def answer_room(context: int, parallel: int, busy: int, prompt: int, *, fault: str = "") -> list[Any]:
    """What becomes of a request, and how many tokens its answer can have."""
    share = context // (1 if fault == "whole" else min(busy + 1, parallel) if fault == "idle" else parallel)
    is_full = busy >= parallel
    if prompt >= share + (fault == "exact") or (is_full and fault == "refuses"):
        return ["refused", 0]
    return ["waits" if is_full else "runs", share if fault == "prompt" else share - prompt]


def _slot_inputs(source: Random) -> list[Arguments]:
    """A prompt that is too long comes only to a server with a free slot: where all are busy, it would wait first."""
    prompt = source.randint(20, 250)
    return [
        (2048, 1, 0, prompt),
        (2048, 4, 1, prompt),
        (4096, 4, 4, prompt + 256),
        (1024, 2, 0, source.randint(520, 1000)),
        (2048, 4, 0, 512),
        (2048, 4, 3, 511),
        (1024, 1, 1, prompt),
    ]


# The same in both, and what vLLM's library has under another name; all else is not a parameter of sampling.
_SAME = ("temperature", "top_k", "top_p", "min_p", "seed", "stop", "ignore_eos")
_RENAMED = {"n_predict": "max_tokens", "repeat_penalty": "repetition_penalty"}
# llama.cpp b11549's own, as lesson 20 has them.
_DEFAULTS = {"temperature": 0.8, "top_k": 40, "top_p": 0.95, "min_p": 0.05}


def library_params(body: dict[str, Any], *, fault: str = "") -> dict[str, Any]:
    """Keywords of vLLM's ``SamplingParams`` that ask for what a body for llama.cpp's ``/completion`` asks for."""
    names = {name: name for name in _SAME} | ({name: name for name in _RENAMED} if fault == "names" else _RENAMED)
    given = {names.get(name, name): value for name, value in body.items() if name in names or fault == "all"}
    defaults: dict[str, Any] = {} if fault == "defaults" else dict(_DEFAULTS)
    if fault != "sixteen":
        defaults["max_tokens"] = None
    return given | defaults if fault == "over" else defaults | given


def _body_inputs(source: Random) -> list[Arguments]:
    length, seed = source.randint(20, 90), source.randint(1, 99)
    warm = round(source.uniform(0.2, 0.7), 1)
    return [
        ({"prompt": "Once", "n_predict": length, "temperature": 0, "top_k": 20, "top_p": 0.9, "min_p": 0.1},),
        ({"prompt": "Once upon", "seed": seed, "temperature": warm, "repeat_penalty": 1.2, "n_predict": length},),
        ({"prompt": "1, 2,", "stream": True, "stop": ["\n"], "n_predict": length},),
        ({"prompt": "Dear", "seed": seed, "ignore_eos": True, "cache_prompt": False, "top_k": 1},),
    ]


BUCKET, SUM, COUNT = (f"vllm:time_to_first_token_seconds_{part}" for part in ("bucket", "sum", "count"))


def ttft_report(metrics: str, limit: str, *, fault: str = "") -> list[float]:
    """The mean time to first token in milliseconds, and the share of requests that had it within ``limit`` seconds."""
    total = number = within = 0.0
    for line in metrics.splitlines():
        name, _brace, rest = line.partition("{")
        labels, _space, value = rest.rpartition(" ")
        bound = labels.partition('le="')[2].partition('"')[0]
        total += float(value) if name == SUM else 0
        number += float(value) if name == COUNT else 0
        is_summed = fault == "summed" and bound != "+Inf" and bound and float(bound) <= float(limit)
        within += float(value) if name == BUCKET and (bound == limit or is_summed) else 0
    share = within / number
    mean = total / number * (1 if fault == "seconds" else 1000)
    return [mean, within if fault == "number" else 1 - share if fault == "late" else share]


def _histogram_page(source: Random, bounds: list[str]) -> str:
    """A page of metrics: the times of requests drawn, counted as vLLM's server counts them."""
    times = [source.uniform(0.05, 1.4) for _n in range(source.randint(8, 30))]
    labels = 'engine="0",model_name="m"'
    lines = ["# HELP vllm:time_to_first_token_seconds Histogram of time to first token in seconds."]
    lines += ["# TYPE vllm:time_to_first_token_seconds histogram"]
    for bound in [*bounds, "+Inf"]:
        number = sum(each <= float(bound.replace("+Inf", "inf")) for each in times)
        lines.append(f'{BUCKET}{{engine="0",le="{bound}",model_name="m"}} {float(number)}')
    lines += [f"{COUNT}{{{labels}}} {float(len(times))}", f"{SUM}{{{labels}}} {sum(times)}"]
    lines += [f"vllm:inter_token_latency_seconds_count{{{labels}}} {float(40 * len(times))}"]
    lines += [f"vllm:inter_token_latency_seconds_sum{{{labels}}} {source.uniform(20, 40)}"]
    return "\n".join(lines) + "\n"


def _histogram_inputs(source: Random) -> list[Arguments]:
    bounds = ["0.1", "0.25", "0.5", "0.75", "1.0"]
    return [(_histogram_page(source, bounds), limit) for limit in ("0.5", "0.25", "1.0")]


CLOSE = 1e-6


def compare_settings(sent: dict[str, Any], used: dict[str, Any], *, fault: str = "") -> dict[str, list[str]]:
    """The names that a server did not know, and those for which it used another value; each list sorted."""
    ignored = [name for name in sent if name not in used]
    changed = [name for name in sent if name in used and not _is_close(sent[name], used[name], exact=fault == "exact")]
    if fault == "both":
        changed += ignored
    if fault == "unsent":
        changed += [name for name in used if name not in sent]
    return {"ignored": [] if fault == "known" else sorted(ignored), "changed": sorted(changed)}


def _is_close(one: Any, other: Any, *, exact: bool) -> bool:
    if exact or isinstance(one, list | str) or isinstance(other, list | str):
        return bool(one == other)
    return abs(float(one) - float(other)) <= CLOSE


def _float32(value: float) -> float:
    """A number as the server's report has it: stored in 32 bits, and written with all the digits it then has."""
    import struct

    return float(struct.unpack("f", struct.pack("f", value))[0])


def _report_inputs(source: Random) -> list[Arguments]:
    """Reports as llama.cpp b11549 gave them: unknown names are missing, what is out of range is set to a limit."""
    warm, penalty = round(source.uniform(0.3, 0.9), 1) + 0.05, round(source.uniform(1.1, 1.4), 1)
    rest = {"top_p": _float32(0.95), "min_p": _float32(0.05), "repeat_penalty": 1.0, "seed": 4294967295, "stop": []}
    hot = rest | {"temperature": _float32(warm), "top_k": 40}
    length = source.randint(20, 90)
    return [
        ({"temperature": warm, "repetition_penalty": penalty}, hot),
        ({"temperature": warm, "repeat_penalty": penalty}, hot | {"repeat_penalty": _float32(penalty)}),
        ({"temperature": -1, "top_k": 20}, rest | {"temperature": 0.0, "top_k": 20}),
        (
            {"top_p": 1.5, "no_repeat_ngram_size": 3, "min_tokens": 10, "n_predict": length, "stop": ["\n"]},
            hot | {"top_p": 1.0, "n_predict": length, "stop": ["\n"]},
        ),
        ({"seed": length}, hot | {"seed": length}),
    ]


EXERCISES: tuple[Exercise, ...] = (
    Function(
        "choose_by_load",
        "fast_enough(measured, users, minimum)",
        N_("lesson 02, Choosing an engine, on which of two engines is faster"),
        fast_enough,
        _speed_inputs,
        tuple(
            Mistake(says, partial(fast_enough, fault=fault))
            for fault, says in (
                ("total", N_("The speed of all requests together is compared; each user gets only a share of it.")),
                ("alone", N_("The speed of one request alone decides; with more users another engine may be faster.")),
                ("largest", N_("The largest measurement is always taken; look at the one with so many users.")),
                ("strict", N_("Off by one at the boundary: exactly the minimum is enough.")),
                ("unsorted", N_("The right engines, in another order: the fastest must come first.")),
            )
        ),
    ),
    Function(
        "answer_room",
        "answer_room(context, parallel, busy, prompt)",
        N_("lesson 10, llama.cpp, on parallel slots"),
        answer_room,
        _slot_inputs,
        tuple(
            Mistake(says, partial(answer_room, fault=fault))
            for fault, says in (
                ("whole", N_("Each request gets the whole context here; it is divided between the slots.")),
                ("idle", N_("The shares depend on how many slots are busy; the division is fixed at the start.")),
                ("refuses", N_("A request is refused because all slots are busy; it has to wait.")),
                ("exact", N_("Off by one at the boundary: a prompt that fills its slot leaves no room for a token.")),
                ("prompt", N_("The prompt's own tokens are not taken off: prompt and answer share the slot.")),
            )
        ),
    ),
    Function(
        "port_library",
        "params(body)",
        N_("lesson 14, vLLM as a library, on completing texts"),
        library_params,
        _body_inputs,
        tuple(
            Mistake(says, partial(library_params, fault=fault))
            for fault, says in (
                ("names", N_("A name of llama.cpp's is left: SamplingParams would raise a TypeError.")),
                ("all", N_("Something that is no parameter of sampling is passed on: SamplingParams would refuse it.")),
                ("defaults", N_("What the body leaves out gets vLLM's defaults; the old program had llama.cpp's.")),
                ("over", N_("Defaults replace values that the body has.")),
                ("sixteen", N_("A body without a length would get the library's default, 16 tokens.")),
            )
        ),
    ),
    Function(
        "ttft_histogram",
        "ttft_report(metrics, limit)",
        N_("lesson 11, vLLM, on what the server counts"),
        ttft_report,
        _histogram_inputs,
        tuple(
            Mistake(says, partial(ttft_report, fault=fault))
            for fault, says in (
                ("seconds", N_("The mean is in seconds; milliseconds are asked for.")),
                ("summed", N_("The buckets are added up; each of them counts the faster requests already.")),
                ("number", N_("The second value is a number of requests, not a share.")),
                ("late", N_("This is the share of the requests that took longer.")),
            )
        ),
    ),
    Function(
        "used_settings",
        "compare_settings(sent, used)",
        N_("lesson 20, Generation, on what the engine really used"),
        compare_settings,
        _report_inputs,
        tuple(
            Mistake(says, partial(compare_settings, fault=fault))
            for fault, says in (
                ("exact", N_("A value counts as changed that differs only by the rounding to 32 bits.")),
                ("both", N_("A name that the server did not know is in both lists; it was ignored, not changed.")),
                ("unsent", N_("Settings that were not sent count as changed; they are defaults.")),
                ("known", N_("Names that the report does not have are not returned: these were ignored silently.")),
            )
        ),
    ),
)
