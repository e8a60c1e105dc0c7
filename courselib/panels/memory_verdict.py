"""Would this start? The answer in a sentence, with the setting to change and to what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from courselib.errors import CourseError
from courselib.i18n import N_, _
from courselib.memory import MIB, llamacpp, size_text
from courselib.memory.fit import Fit
from courselib.panels.memory_needs import Budget

ADVICE = {
    "context": N_("The longest context that fits is {value:,}."),
    "gpu_layers": N_("Set gpu_layers to {value:,}; the other layers then stay in RAM."),
    "kv_cache_memory": N_("The largest KV cache that fits is {mib:,} MiB."),
    "max_model_len": N_("The longest request that fits is {value:,} tokens: set max_model_len to that."),
    "max_total_tokens": N_("The longest request that fits is {value:,} tokens: set max_total_tokens to that."),
}


@dataclass(frozen=True)
class Verdict:
    """The answer.

    Args:
        answer: ``yes``, ``slow`` (it starts, and reads its weights again and again), ``no``, or ``unknown``.
        sentence: the same for people.
        setting, value: the setting to change, and to what; empty where none helps or none need be.
    """

    answer: str
    sentence: str
    setting: str = ""
    value: int = 0


def refused(error: CourseError) -> Verdict:
    """The settings do not go together, or the engine cannot have them here."""
    return Verdict("no", _("No: {reason}").format(reason=error.message))


def verdict(fit: Fit, budget: Budget) -> Verdict:
    """The answer for what is needed and what there is."""
    if not fit.is_known:
        text = _("Not known: {model} is of an architecture or a number format whose needs are not known here.")
        return Verdict("unknown", text.format(model=fit.estimate.model))
    where = _place(budget, together=fit.estimate.engine == llamacpp.ENGINE)
    sizes = {"needed": size_text(fit.needed), "held": size_text(fit.held), "free": size_text(fit.available)}
    advice = _(ADVICE[fit.setting]).format(value=fit.value, mib=fit.value // MIB) if fit.setting else ""
    if fit.cause == "cache":
        text = _("No: the KV cache holds less than one request of the greatest length.")
        return Verdict("no", _joined(text, advice or _("Give it more memory.")), fit.setting, fit.value)
    if fit.is_slow:
        text = _(
            "Yes, but slowly: it needs {needed}, and {free} are free {where}. The system would drop parts of the"
            " weights and read them again for each token."
        )
        words = _joined(text.format(**sizes, where=where), advice, _on_top(fit))
        return Verdict("slow", words, fit.setting, fit.value)
    if fit.starts:
        text = _("Yes: it needs {needed}, and {free} are free {where}.").format(**sizes, where=where)
        return Verdict("yes", _joined(text, _close() if fit.is_close else "", _on_top(fit)))
    text = _("No: it needs {held}, and {free} are free {where}.")
    if fit.held < fit.needed:
        text = _("No: even with its weights left on the disk it needs {held}, and {free} are free {where}.")
    advice = advice or _("Choose a smaller model, or one with fewer bits per weight.")
    close = _close() if fit.is_close else ""
    return Verdict("no", _joined(text.format(**sizes, where=where), close, advice), fit.setting, fit.value)


def _close() -> str:
    return _("It is close: the prediction may be off by more than the difference.")


def _on_top(fit: Fit) -> str:
    """What comes later and would not fit; the start does not depend on it."""
    if not fit.outgrows:
        return ""
    text = _(
        "While it serves, the prompts of earlier requests may take up to {size} more, which is not free: set cache_ram"
        " to {mib:,} or less."
    )
    return text.format(size=size_text(fit.on_top), mib=fit.room_on_top // MIB)


def _joined(*sentences: str) -> str:
    return " ".join(filter(None, sentences))


def _place(budget: Budget, *, together: bool) -> str:
    if budget.cards > 1:
        words = _("on the {n} cards together") if together else _("on each of the {n} cards")
        return words.format(n=budget.cards)
    if budget.cards:
        return _("on the card")
    return _("within this container's limit") if budget.limited else _("here")


def notes_of(fit: Fit, values: Mapping[str, Any]) -> list[str]:
    """What else follows from the sizes: reserved is not used."""
    cache = fit.estimate.kv_cache
    if not cache:
        return []
    if fit.cache_tokens is not None:
        longest = values["max_total_tokens" if values["engine"] == "tgi" else "max_model_len"]
        text = _(
            "The engine reserves a KV cache of {tokens:,} tokens when it starts: {n:.1f} requests of {longest:,} tokens"
            " at once. Running requests use as much of it as they have tokens."
        )
        notes = [text.format(tokens=fit.cache_tokens, n=fit.cache_tokens / longest, longest=longest)]
        if fit.estimate.compute is None:
            notes.append(
                _("The buffers that a step computes with come out of the same memory, so the cache is smaller.")
            )
        return notes
    shape = llamacpp.Settings(**{name: values[name] for name in ("context", "parallel", "kv_unified")})
    reserved = shape.streams * shape.cells
    text = _(
        "The server reserves a KV cache for {context:,} tokens when it starts. A conversation uses {each} of it per"
        " token, and a slot holds {slot:,} tokens at most."
    )
    return [text.format(context=reserved, each=_per_token(cache / reserved), slot=shape.cells)]


def _per_token(size: float) -> str:
    return _("{bytes:,.0f} bytes").format(bytes=size)
