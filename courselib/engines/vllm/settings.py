"""vLLM's settings, typed and checked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from courselib.checks import check_choice, check_share, check_whole
from courselib.engines.base import EngineSettings
from courselib.errors import SettingsError
from courselib.i18n import _

DTYPES = ("auto", "bfloat16", "float16", "float32")
LOGPROBS_MODES = ("raw_logprobs", "raw_logits", "processed_logprobs", "processed_logits")


@dataclass(frozen=True, kw_only=True)
class VllmSettings(EngineSettings):
    """Settings of vLLM that the course teaches, named as its flags; ``None`` leaves a flag out or chooses for it.

    Args:
        model: a catalogue name, a folder or repository in Hugging Face's format, or the name of a GGUF to convert.
        served_model_name: what clients must send; of several names the first answers (``--served-model-name``).
        max_model_len: tokens of prompt and answer together; the model's own by default (``--max-model-len``).
        max_num_batched_tokens: tokens computed in one step, of all requests (``--max-num-batched-tokens``).
        max_num_seqs: requests computed at once; others wait (``--max-num-seqs``).
        block_size: tokens in a block of KV cache; a multiple of 32 on a CPU, of 16 on a GPU (``--block-size``).
        dtype: number format of weights and KV cache; auto takes the model's own, if it works here (``--dtype``).
        gpu_memory_utilization: share of the GPU's memory vLLM may take, above 0 up to 1; on a CPU, of the machine's
            memory, which varies from start to start (``--gpu-memory-utilization``).
        kv_cache_memory: bytes of KV cache; used in place of gpu_memory_utilization (``--kv-cache-memory-bytes``).
        enable_prefix_caching: keep blocks of past prompts for later ones (``--enable-prefix-caching``).
        enforce_eager: do not compile the model; the default on a CPU (``--enforce-eager``).
        tensor_parallel_size: GPUs that share each layer; on a CPU, NUMA nodes (``--tensor-parallel-size``).
        max_logprobs: log-probabilities a request may ask for with each token; -1 is the whole vocabulary, vLLM's own
            limit 20 (``--max-logprobs``).
        logprobs_mode: what is returned as such: the model's own log-probabilities, its logits, or what the stages of
            sampling have made of either (``--logprobs-mode``).
        cpus: cores to compute on, such as 0-3; all by default, where vLLM itself spares one
            (``VLLM_CPU_OMP_THREADS_BIND``).
        python: interpreter of an environment that has vLLM; found by itself otherwise.
    """

    served_model_name: str | tuple[str, ...] | None = None
    max_model_len: int | None = None
    max_num_batched_tokens: int | None = None
    max_num_seqs: int | None = None
    block_size: int | None = None
    dtype: Literal["auto", "bfloat16", "float16", "float32"] = "auto"
    gpu_memory_utilization: float | None = None
    kv_cache_memory: int | None = None
    enable_prefix_caching: bool = True
    enforce_eager: bool | None = None
    tensor_parallel_size: int = 1
    max_logprobs: int | None = None
    logprobs_mode: Literal["raw_logprobs", "raw_logits", "processed_logprobs", "processed_logits"] | None = None
    cpus: str | None = None
    python: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("max_model_len", "max_num_batched_tokens", "max_num_seqs", "block_size", "tensor_parallel_size"):
            if getattr(self, name) is not None:
                check_whole(name, getattr(self, name), 1)
        check_choice("dtype", self.dtype, DTYPES)
        if self.max_logprobs is not None:
            check_whole("max_logprobs", self.max_logprobs, -1)
        if self.logprobs_mode is not None:
            check_choice("logprobs_mode", self.logprobs_mode, LOGPROBS_MODES)
        if self.gpu_memory_utilization is not None:
            check_share("gpu_memory_utilization", self.gpu_memory_utilization, most=1)
        _check_bytes("kv_cache_memory", self.kv_cache_memory)
        _check_cpus(self.cpus)
        _check_names(self.served_names)
        if self.max_num_batched_tokens and self.max_num_seqs and self.max_num_batched_tokens < self.max_num_seqs:
            raise SettingsError(
                _(
                    "max_num_batched_tokens is {tokens}, less than max_num_seqs ({seqs}): each request computes"
                    " at least one token a step; raise max_num_batched_tokens, or lower max_num_seqs."
                ).format(tokens=self.max_num_batched_tokens, seqs=self.max_num_seqs)
            )

    @property
    def served_names(self) -> tuple[str, ...]:
        """The names the model is served under; empty where vLLM takes the model's own."""
        names = self.served_model_name
        return () if names is None else (names,) if isinstance(names, str) else tuple(names)


@dataclass(frozen=True, kw_only=True)
class PreparedVllm(VllmSettings):
    """Settings that fit this machine.

    Args:
        notes: what was chosen and why, a sentence each.
        compiler: whether torch may compile anything at all.
    """

    notes: tuple[str, ...] = ()
    compiler: bool = True


def _check_bytes(name: str, value: object) -> None:
    if value is None:
        return
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise SettingsError(
            _("{name} is {value!r}; give a whole number of bytes, such as 256 * 2**20 for 256 MiB.").format(
                name=name, value=value
            )
        )


def _check_cpus(cpus: str | None) -> None:
    if cpus is None:
        return
    ranges = [part.split("-") for part in str(cpus).replace("|", ",").split(",")]
    if not all(1 <= len(ends) <= 2 and all(end.isdecimal() for end in ends) for ends in ranges):
        raise SettingsError(
            _("cpus is {value!r}; write cores and ranges of them, such as 0-3 or 0,2.").format(value=cpus)
        )


def _check_names(names: tuple[str, ...]) -> None:
    for name in names:
        if not isinstance(name, str) or not name.strip() or name.startswith("-"):
            raise SettingsError(
                _("served_model_name holds {name!r}; give names that clients can send.").format(name=name)
            )
