"""This machine, as vLLM sees it, and what is chosen for it where nothing was asked for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from courselib import machine as this_machine
from courselib.engines.base import prepared_as
from courselib.engines.vllm.environment import INSTALL, NO_COMPILER, VllmEnvironment
from courselib.engines.vllm.settings import PreparedVllm, VllmSettings
from courselib.errors import EngineMissing
from courselib.i18n import _

MIB = 1 << 20
GIB = 1 << 30
BFLOAT16_CAPABILITY = 8.0
CPU_BLOCK = 32
CPU_KV_CACHE = 512 * MIB
# About what vLLM's three processes take without weights and KV cache; by model it is 1.6 to 3.4 GiB (memory/vllm.py).
CPU_PROCESSES = 2 * GIB


@dataclass(frozen=True)
class Machine:
    """What decides how vLLM runs here.

    Args:
        gpus: GPUs that vLLM would use; empty on the CPU.
        capability: CUDA compute capability of the least of them.
        spare_gpu: name of a GPU that is there but that this build of vLLM cannot use.
        features: vector instructions of the processor.
        cpus: cores this process may use, as ``VLLM_CPU_OMP_THREADS_BIND`` writes them.
        nodes: NUMA nodes with memory.
        free: bytes of memory free now.
        total: bytes of memory.
    """

    gpus: tuple[this_machine.Gpu, ...] = ()
    capability: float | None = None
    spare_gpu: str = ""
    features: tuple[str, ...] = ()
    cpus: str = "0"
    nodes: int = 1
    free: int = 0
    total: int = 0


def look(found: VllmEnvironment) -> Machine:
    """This machine, for that build of vLLM.

    Raises:
        EngineMissing: the build is for GPUs and there is none, or for processors newer than this one.
    """
    gpus = tuple(this_machine.gpus())
    features = tuple(this_machine.cpu_features())
    if not found.cpu and not gpus:
        text = (
            _("This vLLM is built for NVIDIA GPUs, and there is none here; get the build for CPUs with: {install}")
            if this_machine.visible_gpus() is None
            else _(
                "This vLLM is built for NVIDIA GPUs, but CUDA_VISIBLE_DEVICES shows it none; change that variable, or"
                " get the build for CPUs with: {install}"
            )
        )
        raise EngineMissing(text.format(install=INSTALL))
    if found.cpu and not {"avx2", "neon", "asimd"} & set(features) and Path("/proc/cpuinfo").exists():
        raise EngineMissing(
            _("vLLM's build for CPUs needs AVX2, which this processor ({name}) lacks; llama.cpp runs here.").format(
                name=this_machine.cpu_name()
            )
        )
    memory = this_machine.memory()
    return Machine(
        gpus=() if found.cpu else gpus,
        capability=None if found.cpu else this_machine.compute_capability(),
        spare_gpu=gpus[0].name if found.cpu and gpus else "",
        features=features,
        cpus=_cpus(),
        nodes=len(list(Path("/sys/devices/system/node").glob("node[0-9]*"))) or 1,
        free=memory.available,
        total=memory.total,
    )


def _cpus() -> str:
    """The first of the usable processors, as many as there are cores: a quota of time names no processors."""
    cores = this_machine.usable_cpus()[: this_machine.cores()]
    first, last = cores[0], cores[-1]
    whole = len(cores) > 1 and last - first + 1 == len(cores)
    return f"{first}-{last}" if whole else ",".join(map(str, cores))


def choose(settings: VllmSettings, machine: Machine) -> PreparedVllm:
    """The settings with what was left open chosen for this machine, and why."""
    chosen = prepared_as(PreparedVllm, settings)
    return _for_gpu(chosen, machine) if machine.gpus else _for_cpu(chosen, machine)


def _gpu_attention(capability: float) -> str:
    """The backend that vLLM 0.32 chooses where all are installed (platforms/cuda.py, v1/attention/backends)."""
    if capability < BFLOAT16_CAPABILITY:  # the others need 8.0, too
        return "TRITON_ATTN"
    return "FLASHINFER" if int(capability) == 10 else "FLASH_ATTN"


def _for_gpu(settings: PreparedVllm, machine: Machine) -> PreparedVllm:
    notes = [_("On the GPU ({name}).").format(name=machine.gpus[0].name)]
    if machine.capability is not None:
        notes.append(
            _("Attention is {backend}: what vLLM takes first for compute capability {capability}.").format(
                backend=_gpu_attention(machine.capability), capability=machine.capability
            )
        )
    if settings.dtype == "auto" and machine.capability is not None and machine.capability < BFLOAT16_CAPABILITY:
        settings = replace(settings, dtype="float16")
        notes.append(
            _("float16, because bfloat16 needs compute capability 8.0 and this GPU has {capability}.").format(
                capability=machine.capability
            )
        )
    return replace(settings, notes=tuple(notes))


def _for_cpu(settings: PreparedVllm, machine: Machine) -> PreparedVllm:
    notes = [
        _("On the CPU: this is vLLM's build for CPUs, so {gpu} stays unused.").format(gpu=machine.spare_gpu)
        if machine.spare_gpu
        else _("On the CPU: there is no NVIDIA GPU."),
        _("Attention is CPU_ATTN, the only one vLLM has for a CPU; its blocks are multiples of {n}.").format(
            n=CPU_BLOCK
        ),
    ]
    if "avx2" in machine.features and "avx512f" not in machine.features:
        notes.append(_("This processor has no AVX-512: vLLM takes the kernels it has for AVX2."))
    if settings.dtype in ("auto", "bfloat16") and not {"avx512_bf16", "bf16"} & set(machine.features):
        notes.append(_("This processor has no instructions for bfloat16: the model runs, but slower than with them."))
    if settings.enforce_eager is None:
        settings = replace(settings, enforce_eager=True)
        notes.append(_("Eager: on a CPU, compiling takes a minute at each start and makes the model a tenth quicker."))
    if settings.enforce_eager:
        settings = replace(settings, compiler=False)
        notes.append(
            _(
                "{name}=1, since eager mode still compiles some helpers when they are first used: the first answer with"
                " log-probabilities would wait 15 s for that, measured on two cores."
            ).format(name=NO_COMPILER)
        )
    if settings.cpus is None and settings.tensor_parallel_size == 1:
        settings = replace(settings, cpus=machine.cpus)
    if settings.kv_cache_memory is None and settings.gpu_memory_utilization is None:
        # vLLM's own default takes 92 % of the machine's memory, or refuses to start where that is not free.
        settings = replace(settings, kv_cache_memory=max(1, min(CPU_KV_CACHE, (machine.free - CPU_PROCESSES) // 2)))
        notes.append(
            _("{n} MiB of KV cache, because vLLM would otherwise take nearly all the memory of the machine.").format(
                n=(settings.kv_cache_memory or 0) // MIB
            )
        )
    return replace(settings, notes=tuple(notes))
