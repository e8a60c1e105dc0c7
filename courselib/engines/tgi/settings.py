"""TGI's settings, typed and checked."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from courselib.checks import check_choice, check_share, check_whole
from courselib.engines.base import EngineSettings
from courselib.engines.tgi.rules import check_rules
from courselib.engines.tgi.values import CPU_IMAGE, DTYPES, KV_CACHE_DTYPES, QUANTIZATIONS, SHM_SIZE
from courselib.errors import SettingsError
from courselib.i18n import _

# Nothing is checked against 0 but by the rules: TGI has words of its own for it.
COUNTS = (
    "max_input_tokens", "max_input_length", "max_total_tokens", "max_batch_prefill_tokens", "max_batch_total_tokens",
    "max_batch_size", "max_waiting_tokens", "max_concurrent_requests", "max_best_of", "max_stop_sequences",
    "max_top_n_tokens", "max_client_batch_size", "validation_workers", "num_shard",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class TgiSettings(EngineSettings):
    """Settings of TGI, named as its launcher's flags; ``None`` leaves a flag out, and TGI finds the value itself.

    Args:
        revision: a commit or branch of the model's repository; None takes the course's models at a fixed commit,
            others at their newest (``--revision``).
        max_input_tokens: maximum length of a prompt, in tokens (``--max-input-tokens``).
        max_input_length: the former name of ``max_input_tokens`` (``--max-input-length``).
        max_total_tokens: maximum length of prompt and answer together, in tokens (``--max-total-tokens``).
        max_batch_prefill_tokens: maximum of prompt tokens in one step, for which it needs memory
            (``--max-batch-prefill-tokens``).
        max_batch_total_tokens: IGNORED on models with FlashAttention: tokens in a batch (``--max-batch-total-tokens``).
        max_batch_size: IGNORED but on hardware that pads: requests in a batch (``--max-batch-size``).
        waiting_served_ratio: IGNORED with prefill_chunking: waiting to running requests (``--waiting-served-ratio``).
        max_waiting_tokens: IGNORED with prefill_chunking: steps a request waits at most (``--max-waiting-tokens``).
        prefill_chunking: read long prompts in pieces, between the steps of others (``PREFILL_CHUNKING``).
        cuda_memory_fraction: share of the GPU's memory, above 0 up to 1 (``--cuda-memory-fraction``).
        quantize: quantisation of the weights, or none (``--quantize``).
        dtype: number format of the weights, float16 or bfloat16 (``--dtype``).
        kv_cache_dtype: number format of the KV cache, fp8_e4m3fn or fp8_e5m2 (``--kv-cache-dtype``).
        sharded: whether several GPUs share the model (``--sharded``).
        num_shard: number of GPUs that share the model; by default, all (``--num-shard``).
        cuda_graphs: batch sizes recorded as CUDA graphs, such as 1,2,4; 0 records none (``--cuda-graphs``).
        max_concurrent_requests: maximum of requests accepted; others get status 429 at once
            (``--max-concurrent-requests``).
        max_best_of: highest best_of a client may ask for (``--max-best-of``).
        max_stop_sequences: maximum of stop sequences in a request (``--max-stop-sequences``).
        max_top_n_tokens: the maximum of most likely tokens returned for a step (``--max-top-n-tokens``).
        max_client_batch_size: maximum of prompts in one request (``--max-client-batch-size``).
        validation_workers: processes that check and tokenise requests (``--validation-workers``).
        usage_stats: what TGI reports to its makers: off, on, or no-stack (``--usage-stats``).
        token: for gated models; None takes the one this machine is signed in with, for them only (``HF_TOKEN``).
        binary: auto (a launcher on the PATH, else Docker), docker, or the path of a text-generation-launcher.
        image: container image; None takes the pinned one for what this machine has.
        prometheus_port: a port that TGI takes without Docker and serves nothing on (``--prometheus-port``).
        gpus: GPUs for the container: auto, none, all, a number, or device=0 (docker's ``--gpus``).
        shm_size: shared memory of the container; several GPUs talk through it (docker's ``--shm-size``).
        volume: a folder (docker's ``--mount``), or a volume of Docker's (``--volume``), that keeps the models.
        container: its name; None makes one from the port (docker's ``--name``).
    """

    revision: str | None = None
    max_input_tokens: int | None = None
    max_input_length: int | None = None
    max_total_tokens: int | None = None
    max_batch_prefill_tokens: int | None = None
    max_batch_total_tokens: int | None = None
    max_batch_size: int | None = None
    waiting_served_ratio: float | None = None
    max_waiting_tokens: int | None = None
    prefill_chunking: bool = True
    cuda_memory_fraction: float | None = None
    quantize: str | None = None
    dtype: str | None = None
    kv_cache_dtype: str | None = None
    sharded: bool | None = None
    num_shard: int | None = None
    cuda_graphs: str | None = None
    max_concurrent_requests: int | None = None
    max_best_of: int | None = None
    max_stop_sequences: int | None = None
    max_top_n_tokens: int | None = None
    max_client_batch_size: int | None = None
    validation_workers: int | None = None
    usage_stats: Literal["off", "on", "no-stack"] = "off"
    token: str | None = field(default=None, repr=False)
    binary: str = "auto"
    prometheus_port: int = 9000
    image: str | None = None
    gpus: str | None = "auto"
    shm_size: str = SHM_SIZE
    volume: str = "tgi-data"
    container: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in COUNTS:
            if getattr(self, name) is not None:
                check_whole(name, getattr(self, name), 0)
        choices = {"quantize": QUANTIZATIONS, "dtype": DTYPES, "kv_cache_dtype": KV_CACHE_DTYPES}
        for name, allowed in choices.items():
            if getattr(self, name) is not None:
                check_choice(name, getattr(self, name), allowed)
        check_choice("usage_stats", self.usage_stats, ("off", "on", "no-stack"))
        if self.cuda_memory_fraction is not None:
            check_share("cuda_memory_fraction", self.cuda_memory_fraction, most=1)
        if self.waiting_served_ratio is not None:
            check_share("waiting_served_ratio", self.waiting_served_ratio, most=1000)
        self._check_texts()
        check_rules(self)

    def _check_texts(self) -> None:
        if self.cuda_graphs is not None and not re.fullmatch(r"\d+(,\d+)*", str(self.cuda_graphs)):
            raise SettingsError(
                _("cuda_graphs is {value!r}; give batch sizes such as '1,2,4', or '0' for none.").format(
                    value=self.cuda_graphs
                )
            )
        if not re.fullmatch(r"\d+(\.\d+)?[bkmgBKMG]?", str(self.shm_size)):
            raise SettingsError(
                _("shm_size is {value!r}; give a number and a unit, such as '1g'.").format(value=self.shm_size)
            )

    @property
    def longest_input(self) -> int | None:
        """The longest prompt in tokens, by whichever name it was given."""
        return self.max_input_length if self.max_input_tokens is None else self.max_input_tokens

    @property
    def on_cpu(self) -> bool:
        """Whether it is the image for CPUs that will run."""
        return self.runs_image(CPU_IMAGE)

    def runs_image(self, kind: str) -> bool:
        """Whether a container will run, of an image of this kind: what the image's tag ends with."""
        return self.binary in ("auto", "docker") and kind in (self.image or "")

    @property
    def model_folder(self) -> Path | None:
        """The model as a folder of this machine; ``None`` where it is a name on the hub."""
        return Path(self.model) if Path(self.model).is_absolute() else None
