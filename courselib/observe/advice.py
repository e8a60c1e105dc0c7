"""Which setting of llama.cpp to look at first where a clause of a promise was broken: one sentence a clause.

Empty for another engine, whose settings it does not know.
"""

from __future__ import annotations

from courselib.engines.base import EngineSettings
from courselib.engines.llamacpp.settings import LlamaCppSettings
from courselib.i18n import _
from courselib.memory.llamacpp import Settings

# Number formats of the KV cache with 16 bits or more.
WIDE = ("f32", "f16", "bf16")
SMALL_STEP = 64


def context(settings: EngineSettings | None, users: int, tokens: int) -> str:
    """Where conversations of ``tokens`` tokens, ``users`` at once, were refused or broken off."""
    if not isinstance(settings, LlamaCppSettings):
        return ""
    each = Settings.of(settings).cells
    if not settings.kv_unified and each < tokens:
        text = _("Look at context: {context} tokens shared out to {slots} are {each} for each slot.")
        return text.format(context=settings.context, slots=settings.parallel, each=each)
    if settings.kv_unified and settings.context < users * tokens:
        text = _("Look at context: all users together need {needed} tokens, and the shared KV cache has {context}.")
        return text.format(needed=users * tokens, context=settings.context)
    return _("The context is long enough: read server.logs().")


def first_token(settings: EngineSettings | None, users: int, cores: int) -> str:
    """Where first tokens came late."""
    if not isinstance(settings, LlamaCppSettings):
        return ""
    if settings.parallel < users:
        text = _("Look at parallel: with {slots} for {users} users, some wait until others have their whole answer.")
        return text.format(slots=settings.parallel, users=users)
    return _threads(settings, cores) or _busy()


def each_token(settings: EngineSettings | None, users: int, cores: int) -> str:
    """Where tokens came slowly."""
    if not isinstance(settings, LlamaCppSettings):
        return ""
    if found := _threads(settings, cores):
        return found
    if settings.parallel > users:
        text = _("Look at parallel: {slots} requests at once share a step, and {users} were promised.")
        return text.format(slots=settings.parallel, users=users)
    return _busy()


def memory(settings: EngineSettings | None, users: int, tokens: int) -> str:
    """Where the server took too much memory."""
    if not isinstance(settings, LlamaCppSettings):
        return ""
    if settings.context > users * tokens:
        text = _("Look at context: it is {context}, and {needed} tokens are enough for {users} users.")
        return text.format(context=settings.context, needed=users * tokens, users=users)
    if settings.cache_type_k in WIDE or settings.cache_type_v in WIDE:
        return _("Look at cache_type_k and cache_type_v: q8_0 takes about half of f16.")
    if settings.ubatch > SMALL_STEP:
        return _("Look at ubatch: smaller steps need smaller compute buffers.")
    return _("Look at the model: a format with fewer bits has smaller weights.")


def _threads(settings: LlamaCppSettings, cores: int) -> str:
    if settings.threads is None or settings.threads <= cores:
        return ""
    text = _("Look at threads: {threads} threads wait for each other on {cores} cores.")
    return text.format(threads=settings.threads, cores=cores)


def _busy() -> str:
    return _("No setting explains it: see what else runs on this machine, measure again, or promise fewer users.")
