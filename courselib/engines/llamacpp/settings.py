"""Settings of llama.cpp's server, typed and checked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from courselib.checks import check_choice, check_whole
from courselib.engines.base import EngineSettings
from courselib.engines.llamacpp.values import CACHE_RAM_MIB, CACHE_TYPES
from courselib.errors import SettingsError
from courselib.i18n import _


@dataclass(frozen=True, kw_only=True)
class LlamaCppSettings(EngineSettings):
    """Settings of llama.cpp's server that the course teaches, named as its long flags.

    Args:
        alias: the name under which the model is served; ``None`` takes the one asked for (``--alias``).
        context: tokens of KV cache, divided evenly among the slots, or by need with ``kv_unified`` (``--ctx-size``).
        parallel: slots, that is requests served at once (``--parallel``).
        kv_unified: let all slots share one KV cache, so that one of them may use it all (``--kv-unified``).
        threads: CPU threads; ``None`` leaves one core free; more threads than cores are far slower (``--threads``).
        batch: tokens submitted at once while reading a prompt (``--batch-size``).
        ubatch: tokens computed at once, at most ``batch`` (``--ubatch-size``).
        gpu_layers: layers kept on the GPU; ``None`` keeps as many as fit there, 0 none (``--gpu-layers``).
        mlock: keep the weights in RAM, never swapped out (``--load-mode mmap+mlock``).
        cont_batching: let requests join a running batch (``--cont-batching``).
        cache_type_k, cache_type_v: number format of the KV cache (``--cache-type-k``, ``--cache-type-v``).
        cache_ram: MiB of RAM for the prompts of earlier requests; 0 keeps none (``--cache-ram``).
        flash_attn: FlashAttention; a quantised ``cache_type_v`` needs it (``--flash-attn``).
        metrics: serve ``/metrics`` for Prometheus (``--metrics``).
        binary: ``"wheel"``, ``"llama-server"`` (the one on the PATH), or a path to one.
    """

    alias: str | None = None
    context: int = 4096
    parallel: int = 1
    kv_unified: bool = False
    threads: int | None = None
    batch: int = 2048
    ubatch: int = 512
    gpu_layers: int | None = None
    mlock: bool = False
    cont_batching: bool = True
    cache_type_k: str = "f16"
    cache_type_v: str = "f16"
    cache_ram: int = CACHE_RAM_MIB
    flash_attn: Literal["on", "off", "auto"] = "auto"
    metrics: bool = True
    binary: str = "wheel"

    def __post_init__(self) -> None:
        super().__post_init__()
        if "," in (self.api_key or ""):
            raise SettingsError(
                _("api_key holds a comma, where llama-server ends a key and begins another; leave it out.")
            )
        for name, low in (("context", 1), ("parallel", 1), ("batch", 1), ("ubatch", 1), ("cache_ram", 0)):
            check_whole(name, getattr(self, name), low)
        for name, low in (("threads", 1), ("gpu_layers", 0)):
            if getattr(self, name) is not None:
                check_whole(name, getattr(self, name), low)
        for name in ("cache_type_k", "cache_type_v"):
            check_choice(name, getattr(self, name), CACHE_TYPES)
        check_choice("flash_attn", self.flash_attn, ("on", "off", "auto"))
        if self.parallel > self.context:
            raise SettingsError(
                _("parallel is {parallel}, context only {context}: each slot needs one token or more; raise context.")
                .format(parallel=self.parallel, context=self.context)
            )  # fmt: skip
        if self.ubatch > self.batch:
            raise SettingsError(
                _("ubatch is {ubatch}, more than batch ({batch}); lower ubatch or raise batch.").format(
                    ubatch=self.ubatch, batch=self.batch
                )
            )
        if self.flash_attn == "off" and self.cache_type_v not in ("f32", "f16", "bf16"):
            raise SettingsError(
                _(
                    "cache_type_v={value!r} needs FlashAttention; set flash_attn to 'on', or cache_type_v to 'f16'."
                ).format(value=self.cache_type_v)
            )


@dataclass(frozen=True, kw_only=True)
class PreparedLlamaCpp(LlamaCppSettings):
    """Settings made ready: the model is a path, nothing is left open but what llama.cpp chooses.

    Args:
        notes: what could not be checked, a sentence each.
    """

    notes: tuple[str, ...] = ()
