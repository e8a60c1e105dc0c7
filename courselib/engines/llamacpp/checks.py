"""What would not fit into memory, refused before llama.cpp is started."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from courselib.errors import OutOfMemory
from courselib.i18n import _
from courselib.memory import MIB, Model, from_gguf, llamacpp

if TYPE_CHECKING:
    from courselib.engines.llamacpp.settings import LlamaCppSettings
    from courselib.models import GgufHeader

SHARE_OF_FREE = 0.8


def kv_cache_bytes(settings: LlamaCppSettings, model: Model) -> int | None:
    """Bytes of KV cache and recurrent states, which ``Memory.kv_cache`` reports together; None where not known."""
    return None if model.layers is None else llamacpp.cache_bytes(model, llamacpp.Settings.of(settings))


def check_memory(settings: LlamaCppSettings, header: GgufHeader, available: int) -> str | None:
    """Compare the KV cache with the memory that is free.

    The engine itself would accept any context, load for half a minute and then be killed by the operating system.
    What ``cache_ram`` allows on top while the server serves is named in the refusal, and refuses nothing: a server
    that runs for a short while never takes it.

    Args:
        settings: those asked for.
        header: the model's.
        available: bytes of memory that are free, where the cache will be.

    Returns:
        A note where the need is not known, else None.

    Raises:
        OutOfMemory: with a context that would fit.
    """
    model = from_gguf(header)
    needed = kv_cache_bytes(settings, model)
    if needed is None:
        return _(
            "The course does not know how much KV cache the architecture {architecture!r} takes, so it cannot compare"
            " that with the free memory; if llama.cpp is killed at the start, lower context."
        ).format(architecture=header.architecture)
    if needed <= available:
        return None
    fits = llamacpp.longest_context(model, int(SHARE_OF_FREE * available), most=settings.context, **_others(settings))
    advice = _("lower context to {fits} or less").format(fits=fits) if fits else _("choose a smaller model")
    text = _(
        "A context of {context} tokens needs {needed} MiB of KV cache, but only {available} MiB of memory are free;"
        " {advice}."
    ).format(context=settings.context, needed=needed // MIB, available=available // MIB, advice=advice)
    if settings.cache_ram:
        later = _(" While it serves, the prompts of earlier requests may take {mib} MiB more; cache_ram limits that.")
        text += later.format(mib=settings.cache_ram)
    raise OutOfMemory(text)


def _others(settings: LlamaCppSettings) -> dict[str, Any]:
    """The settings besides the context on which memory depends."""
    return {name: value for name, value in asdict(llamacpp.Settings.of(settings)).items() if name != "context"}
