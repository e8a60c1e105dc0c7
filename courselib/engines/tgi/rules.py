"""TGI's limits, what it refuses in them, and what it accepts and then ignores.

TGI checks its settings in two programs, the launcher and then the router, some of it after minutes of loading; here
all of it is checked at once and before anything starts, in TGI's own words and in its own order.
Source: TGI 3.3.7, launcher/src/main.rs, router/src/main.rs, and cli.py and layers/attention/kv_cache.py of its server.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from courselib.engines.tgi.values import ROCM_IMAGE, SHM_SIZE, XPU_IMAGE
from courselib.errors import SettingsError
from courselib.i18n import N_, _

if TYPE_CHECKING:
    from courselib.engines.tgi.settings import TgiSettings


@dataclass(frozen=True)
class Rule:
    """One thing TGI refuses.

    Args:
        broken: whether settings break it.
        words: what TGI says, to be filled in with the settings.
        mend: how to go on, for a person.
    """

    broken: Callable[[TgiSettings], bool]
    words: str
    mend: str


def _above(left: int | None, right: int | None) -> bool:
    return left is not None and right is not None and left > right


def _not_below(left: int | None, right: int | None) -> bool:
    return left is not None and right is not None and left >= right


def _prefill_below_input(settings: TgiSettings) -> bool:
    return not settings.prefill_chunking and _above(settings.longest_input, settings.max_batch_prefill_tokens)


RULES = (
    Rule(
        lambda s: s.sharded is True and s.num_shard is not None and s.num_shard <= 1,
        "`sharded` is true but `num_shard` <= 1",
        N_("Raise num_shard to 2 or more, or leave sharded out."),
    ),
    Rule(
        lambda s: s.num_shard is not None and s.num_shard < 1,
        "`num_shard` cannot be < 1",
        N_("Set num_shard to the number of GPUs to share the model, or leave it out to use all."),
    ),
    Rule(
        lambda s: s.quantize == "exl2" and (s.num_shard or 1) > 1,
        "Sharding is currently not supported with `exl2` quantization",
        N_("Set num_shard to 1, or choose another quantize."),
    ),
    Rule(
        lambda s: s.max_input_tokens is not None and s.max_input_length is not None,
        "Both `max_input_tokens` ({max_input_tokens}) and `max_input_length` ({max_input_length}) are set. Please"
        " define only `max_input_tokens` as `max_input_length is deprecated for naming consistency.",
        N_("Leave max_input_length out."),
    ),
    Rule(
        lambda s: _not_below(s.longest_input, s.max_total_tokens),
        "`max_input_tokens`({longest_input}) must be < `max_total_tokens`({max_total_tokens})",
        N_("The answer needs room besides the prompt: raise max_total_tokens, or lower max_input_tokens."),
    ),
    Rule(
        lambda s: s.validation_workers is not None and s.validation_workers < 1,
        "`validation_workers` must be > 0",
        N_("Leave validation_workers out for TGI's own 2."),
    ),
    Rule(
        lambda s: _above(s.max_total_tokens, s.max_batch_total_tokens),
        "`max_total_tokens` must be <= `max_batch_total_tokens`. Given: {max_total_tokens} and"
        " {max_batch_total_tokens}",
        N_("Leave max_batch_total_tokens out: models with FlashAttention ignore it anyway."),
    ),
    Rule(
        _prefill_below_input,
        "`max_batch_prefill_tokens` must be >= `max_input_tokens`. Given: {max_batch_prefill_tokens} and"
        " {longest_input}",
        N_("Raise max_batch_prefill_tokens, or let prompts be read in chunks (prefill_chunking=True)."),
    ),
    Rule(
        lambda s: _above(s.max_batch_prefill_tokens, s.max_batch_total_tokens),
        "`max_batch_prefill_tokens` must be <= `max_batch_total_tokens`. Given: {max_batch_prefill_tokens} and"
        " {max_batch_total_tokens}",
        N_("Lower max_batch_prefill_tokens, or leave max_batch_total_tokens out."),
    ),
    Rule(
        lambda s: s.max_batch_size is not None and s.max_batch_size < 1,
        "`max_batch_size` must be > 0",
        N_("Leave max_batch_size out: it is for hardware that pads its batches."),
    ),
    Rule(
        lambda s: s.dtype is not None and s.quantize is not None and not s.quantize.startswith("bitsandbytes"),
        "Only 1 can be set between `dtype` and `quantize`, as they both decide how goes the final model.",
        N_("Leave dtype out."),
    ),
    Rule(
        lambda s: s.quantize is not None and s.on_cpu,
        "quantization is not available on CPU",
        N_("Leave quantize out, or use llama.cpp, which is made for quantised models on CPUs."),
    ),
    Rule(
        lambda s: s.kv_cache_dtype == "fp8_e4m3fn" and s.on_cpu,
        "float8_e4m3fn FP8 KV cache is not supported on Intel IPEX CPU",
        N_("Set kv_cache_dtype to 'fp8_e5m2', or leave it out."),
    ),
    Rule(
        lambda s: s.kv_cache_dtype == "fp8_e5m2" and s.runs_image(ROCM_IMAGE),
        "float8_e5m2 FP8 KV cache is not supported on AMD ROCm",
        N_("Set kv_cache_dtype to 'fp8_e4m3fn', or leave it out."),
    ),
)


def check_rules(settings: TgiSettings) -> None:
    """Refuse what TGI would refuse.

    Raises:
        SettingsError: the first rule broken, in TGI's words, and how to mend it.
    """
    for rule in RULES:
        if rule.broken(settings):
            words = rule.words.format(longest_input=settings.longest_input, **vars(settings))
            raise SettingsError(_("TGI refuses this: {words} {mend}").format(words=_ended(words), mend=_(rule.mend)))


def _ended(words: str) -> str:
    return words if words.endswith(".") else words + "."


def ignored(settings: TgiSettings) -> dict[str, str]:
    """The settings that are given, that TGI accepts, and that then change nothing; each with the reason."""
    return dict(_ignored(settings))


def _ignored(settings: TgiSettings) -> Iterator[tuple[str, str]]:
    chunking = _("prompts are read in chunks (prefill_chunking), which needs no waiting")
    if settings.max_batch_total_tokens is not None:
        yield "max_batch_total_tokens", _("models with FlashAttention take all the memory there is for their batch")
    for name in ("waiting_served_ratio", "max_waiting_tokens"):
        if getattr(settings, name) is not None and settings.prefill_chunking:
            yield name, chunking
    if settings.cuda_memory_fraction is not None and settings.on_cpu:
        yield "cuda_memory_fraction", _("there is no GPU: TGI takes 95 % of the free RAM")
    if settings.cuda_memory_fraction is not None and settings.runs_image(XPU_IMAGE):
        yield "cuda_memory_fraction", _("this image reads the environment variable XPU_MEMORY_FRACTION")
    if settings.shm_size != SHM_SIZE and settings.num_shard == 1:
        yield "shm_size", _("parts of a model on several GPUs talk through it, and there is one")
    if settings.cuda_graphs is not None and settings.on_cpu:
        yield "cuda_graphs", _("there is no GPU")
    if settings.max_batch_size is not None:
        yield "max_batch_size", _("it is for hardware that pads its batches")
