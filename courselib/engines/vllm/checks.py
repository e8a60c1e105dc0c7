"""What vLLM cannot do, refused before it starts.

The engine has the same limits (vLLM 0.32: platforms/cpu.py, platforms/cuda.py, v1/attention/backends,
v1/core/kv_cache_utils.py) and tells of them after ten to forty seconds, at the end of a long log.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from courselib.engines.vllm.machine import BFLOAT16_CAPABILITY, CPU_BLOCK, CPU_PROCESSES, MIB, Machine
from courselib.engines.vllm.settings import VllmSettings
from courselib.errors import OutOfMemory, SettingsError
from courselib.i18n import _
from courselib.memory import Model, from_config, vllm

SILENT_VARIABLE = "VLLM_CPU_KVCACHE_SPACE"


def check_machine(settings: VllmSettings, machine: Machine) -> None:
    """Refuse what this machine cannot do, whatever the model.

    Raises:
        SettingsError, OutOfMemory: with a sentence that says what would do.
    """
    if machine.gpus:
        _check_gpu(settings, machine)
    else:
        _check_cpu(settings, machine)


def _check_block(block: int | None, multiple: int, device: str) -> None:
    if block is not None and block % multiple:
        raise SettingsError(
            _("block_size is {value}; on {device} vLLM's attention takes multiples of {n}, such as {first}.").format(
                value=block, device=device, n=multiple, first=-(-block // multiple) * multiple
            )
        )


def _check_gpu(settings: VllmSettings, machine: Machine) -> None:
    _check_block(settings.block_size, vllm.GPU_BLOCK, _("a GPU"))
    if settings.tensor_parallel_size > len(machine.gpus):
        raise SettingsError(
            _("tensor_parallel_size is {n}, but this machine has {gpus} GPU; choose at most that.").format(
                n=settings.tensor_parallel_size, gpus=len(machine.gpus)
            )
        )
    if settings.dtype == "bfloat16" and machine.capability is not None and machine.capability < BFLOAT16_CAPABILITY:
        raise SettingsError(
            _("{gpu} has compute capability {capability}, and bfloat16 needs 8.0; choose dtype='float16'.").format(
                gpu=machine.gpus[0].name, capability=machine.capability
            )
        )
    known = [gpu.memory_mib * MIB for gpu in machine.gpus if gpu.memory_mib is not None]
    if known and (settings.kv_cache_memory or 0) > min(known):
        _refuse_memory(settings.kv_cache_memory or 0, min(known))


def _check_cpu(settings: VllmSettings, machine: Machine) -> None:
    if machine.free < CPU_PROCESSES:
        raise OutOfMemory(
            _("vLLM takes {needed} MiB before any model, but {free} MiB are free; stop other programs.")
            .format(needed=CPU_PROCESSES // MIB, free=machine.free // MIB)
        )  # fmt: skip
    _check_block(settings.block_size, CPU_BLOCK, _("a CPU"))
    if settings.tensor_parallel_size > machine.nodes:
        raise SettingsError(
            _(
                "tensor_parallel_size is {n}; on a CPU each part of the model needs a NUMA node, and this machine has"
                " {nodes}."
            ).format(n=settings.tensor_parallel_size, nodes=machine.nodes)
        )
    if os.environ.get(SILENT_VARIABLE):
        raise SettingsError(
            _(
                "The environment variable {name} is set, and vLLM would silently prefer it to kv_cache_memory; remove"
                " it and set kv_cache_memory."
            ).format(name=SILENT_VARIABLE)
        )
    if settings.kv_cache_memory is not None:
        if settings.kv_cache_memory + CPU_PROCESSES > machine.free:
            _refuse_memory(settings.kv_cache_memory, machine.free - CPU_PROCESSES)
    elif settings.gpu_memory_utilization is not None:
        _check_share_of_memory(settings.gpu_memory_utilization, machine)


def _refuse_memory(asked: int, most: int) -> None:
    raise OutOfMemory(
        _("kv_cache_memory is {asked} MiB, but only {most} MiB are free for it; choose less than that.").format(
            asked=asked // MIB, most=max(most, 0) // MIB
        )
    )


def _check_share_of_memory(share: float, machine: Machine) -> None:
    wanted = share * machine.total
    if wanted > machine.free:
        raise OutOfMemory(
            _(
                "gpu_memory_utilization is {share}: on a CPU that is a share of the machine's memory, {wanted} MiB, and"
                " {free} MiB are free; choose at most {most:.2f}, or kv_cache_memory."
            ).format(
                share=share,
                wanted=int(wanted) // MIB,
                free=machine.free // MIB,
                most=machine.free / machine.total * 0.9,
            )
        )
    if wanted < CPU_PROCESSES / 2:
        raise OutOfMemory(
            _(
                "gpu_memory_utilization is {share}: on a CPU that is {wanted} MiB for weights, working memory and KV"
                " cache together, too little for any; choose {least:.2f} or more, or kv_cache_memory."
            ).format(share=share, wanted=int(wanted) // MIB, least=CPU_PROCESSES / machine.total)
        )


def check_model(settings: VllmSettings, machine: Machine, config: Mapping[str, Any]) -> None:
    """Refuse settings that do not go with this model.

    Args:
        settings: those chosen.
        machine: where it shall run.
        config: the model's ``config.json``.

    Raises:
        SettingsError: with a sentence that says what would do.
    """
    text = config.get("text_config", config)
    longest, heads = text.get("max_position_embeddings"), text.get("num_attention_heads")
    if settings.max_model_len and longest and settings.max_model_len > longest:
        raise SettingsError(
            _("max_model_len is {value}, but this model was trained for {longest} tokens; choose at most that.").format(
                value=settings.max_model_len, longest=longest
            )
        )
    if heads and heads % settings.tensor_parallel_size:
        raise SettingsError(
            _("tensor_parallel_size is {n}, which does not divide the model's {heads} attention heads.").format(
                n=settings.tensor_parallel_size, heads=heads
            )
        )
    length = settings.max_model_len or longest
    if settings.kv_cache_memory and length:
        _check_one_request(settings, from_config(config), length, cache_options(settings, on_cpu=not machine.gpus))


def cache_options(settings: VllmSettings, *, on_cpu: bool) -> dict[str, Any]:
    """The settings on which vLLM's KV cache depends, as ``courselib.memory.vllm`` names them."""
    options = {
        "block_size": settings.block_size or (vllm.CPU_BLOCK if on_cpu else vllm.GPU_BLOCK),
        "dtype": settings.dtype,
        "max_num_batched_tokens": settings.max_num_batched_tokens,
        "tensor_parallel_size": settings.tensor_parallel_size,
        "steps_in_flight": 1 if on_cpu else 2,
    }
    return {name: value for name, value in options.items() if value is not None}


def _check_one_request(settings: VllmSettings, model: Model, length: int, options: dict[str, Any]) -> None:
    available = settings.kv_cache_memory or 0
    needed = vllm.memory_for(model, 1, length, **options)
    if needed is not None and needed > available:
        raise SettingsError(
            _(
                "kv_cache_memory is {available} MiB, but one request of {length} tokens needs {needed} MiB; raise it,"
                " or lower max_model_len to {fits}."
            ).format(
                available=available // MIB,
                length=length,
                needed=-(-needed // MIB),
                fits=vllm.longest_request(model, available, **options),
            )
        )
