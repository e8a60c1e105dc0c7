"""Answers to the exercises on servers."""

from __future__ import annotations

import math
import re

from tests.exercises.cases import Case


def chosen(share=None, *, speed=None, strict=False, ordered=True):
    """Engines that are fast enough; ``speed`` picks one of the measurements, ``share`` is what each user gets."""

    def answer(measured, users, minimum):
        found = []
        for name, pairs in measured.items():
            total = speed(pairs) if speed else next(tokens for number, tokens in pairs if number == users)
            each = share(total, users) if share else total / users
            if each > minimum or (not strict and each == minimum):
                found.append((total, name))
        return [name for _total, name in (sorted(found, reverse=True) if ordered else found)]

    return answer


def room(share=lambda context, parallel, _busy: context / parallel, *, spare=1, waits="waits", uses=1):
    def answer(context, parallel, busy, prompt):
        tokens = int(share(context, parallel, busy))
        if prompt + spare > tokens:
            return ("refused", 0)
        full = busy == parallel
        if full and waits == "refused":
            return ("refused", 0)
        return (waits if full else "runs", tokens - uses * prompt)

    return answer


KEPT = {"temperature", "top_k", "top_p", "min_p", "seed", "stop", "ignore_eos"}


def ported(*, over=False, names=("max_tokens", "repetition_penalty"), extra=(), **defaults):
    started = {"temperature": 0.8, "top_k": 40, "top_p": 0.95, "min_p": 0.05, "max_tokens": None} | defaults
    started = {name: value for name, value in started.items() if value != "nothing"}

    def params(body):
        new = dict(zip(("n_predict", "repeat_penalty"), names, strict=True))
        kept = {new.get(name, name): body[name] for name in body if name in KEPT | set(new) | set(extra)}
        return {**kept, **started} if over else {**started, **kept}

    return params


def report(*, milli=1000, bucket=lambda within, _all: within[-1] / _all):
    def answer(metrics, limit):
        found = {
            part: [
                (bound, float(value))
                for bound, value in re.findall(
                    rf'^vllm:time_to_first_token_seconds_{part}{{engine="0",(?:le="(.+?)",)?model_name="m"}} (.+)$',
                    metrics,
                    re.MULTILINE,
                )
            ]
            for part in ("bucket", "sum", "count")
        }
        (_none, total), (_same, number) = found["sum"][0], found["count"][0]
        within = [value for bound, value in found["bucket"] if float(bound) <= float(limit)]
        return [milli * total / number, bucket(within, number)]

    return answer


def compared(equal=lambda one, other: math.isclose(one, other, abs_tol=1e-6), *, changed=None, ignored=None):
    def answer(sent, used):
        missing = set(sent) - set(used)
        other = {
            name
            for name in set(sent) & set(used)
            if not (sent[name] == used[name] if isinstance(sent[name], list) else equal(sent[name], used[name]))
        }
        return {
            "changed": sorted(changed(other, missing, set(used) - set(sent)) if changed else other),
            "ignored": sorted(missing) if ignored is None else ignored,
        }

    return answer


def mended(*, keep=None, **otherwise):
    """Settings repaired by what they are, not by the error; each fault can be repaired ``otherwise``."""

    def answer(settings, _error):
        changes = {
            "model": {"model": "smollm2-135m"},
            "flash_attn": {"flash_attn": "on"},
            "ubatch": {"batch": settings.get("ubatch")},
            "port": {"port": None},
        }
        fault = next(name for name in changes if name in settings)
        new = settings | (otherwise[fault](settings) if fault in otherwise else changes[fault])
        return {name: new[name] for name in new if new[name] is not None and (keep is None or name in keep)}

    return answer


CASES = {
    "choose_by_load": Case(
        chosen(),
        (
            (chosen(lambda total, _users: total), "only a share of it"),
            (chosen(lambda total, _users: total, speed=lambda pairs: pairs[0][1]), "one request alone decides"),
            (chosen(speed=lambda pairs: pairs[-1][1]), "always taken"),
            (chosen(strict=True), "exactly the minimum"),
            (chosen(ordered=False), "in another order"),
        ),
    ),
    "answer_room": Case(
        room(),
        (
            (room(lambda context, *_rest: context), "whole context"),
            (room(lambda context, parallel, busy: context // min(parallel, busy + 1)), "fixed at the start"),
            (room(waits="refused"), "has to wait"),
            (room(spare=0), "leaves no room"),
            (room(uses=0), "not taken off"),
        ),
    ),
    "port_library": Case(
        ported(),
        (
            (ported(names=("n_predict", "repeat_penalty")), "TypeError"),
            (ported(extra=("prompt", "stream", "cache_prompt")), "would refuse it"),
            (ported(temperature="nothing", top_k="nothing", top_p="nothing", min_p="nothing"), "vLLM's defaults"),
            (ported(over=True), "replace values"),
            (ported(max_tokens="nothing"), "16 tokens"),
        ),
    ),
    "ttft_histogram": Case(
        report(),
        (
            (report(milli=1), "in seconds"),
            (report(bucket=lambda within, number: sum(within) / number), "added up"),
            (report(bucket=lambda within, _number: within[-1]), "not a share"),
            (report(bucket=lambda within, number: 1 - within[-1] / number), "took longer"),
        ),
    ),
    "used_settings": Case(
        compared(),
        (
            (compared(lambda one, other: one == other), "rounding to 32 bits"),
            (compared(changed=lambda other, missing, _unsent: other | missing), "in both lists"),
            (compared(changed=lambda other, _missing, unsent: other | unsent), "they are defaults"),
            (compared(ignored=[]), "ignored silently"),
        ),
    ),
    "repair_launch": Case(
        mended(),
        (
            (mended(model=lambda _settings: {}), "no setting repairs a file"),
            (mended(flash_attn=lambda _settings: {"cache_type_v": "f16"}), "FlashAttention has to be on"),
            (mended(ubatch=lambda settings: {"ubatch": settings["batch"]}), "batch has to be raised"),
            (mended(port=lambda settings: {"port": settings["port"] + 1}), "was guessed"),
            (mended(keep={"model", "flash_attn"}), "removed as well"),
        ),
    ),
}
