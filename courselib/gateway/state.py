"""One gateway: its engine, limits and key, and how it tells that it is not TGI."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from courselib.gateway.limits import Backend, Limits
from courselib.gateway.llama_client import LlamaClient
from courselib.gateway.metrics import GatewayMetrics
from courselib.gateway.service import Service

ROUTER = "courselib-tgi-gateway"
DIFFERENCES = (
    "frequency_penalty: TGI subtracts penalty * count / length, llama.cpp penalty * count",
    "logprob: left out where a greedy choice follows penalties, and for all but the last token of a character",
    "id: left out for tokens of a character that the answer's end cut off",
    "seed: repeats an answer here, but not the answer TGI would give",
    "max_new_tokens: never exceeded, where TGI rounds more than 1024 up",
    "prefill: always empty, as on a TGI without --enable-prefill-logprobs",
    "top_tokens: no more than asked for, where TGI tells all of equal probability",
    "watermark, regex grammars, tools: refused; images and adapters: without effect",
    "CORS: closed to web pages, where TGI is open to all",
    "routes: no /invocations, /vertex, /docs",
    "metrics: none of a batch's steps",
)


@dataclass
class Gateway:
    """What the routes share.

    Args:
        model_id: the name under which the model is served.
        api_key: what clients must send; empty lets everyone in.
        version: the gateway's own.
        backend: the engine behind it.
        limits: TGI's limits.
    """

    model_id: str
    api_key: str
    version: str
    backend: Backend
    limits: Limits

    @cached_property
    def service(self) -> Service:
        """Made in the event loop that uses it."""
        return Service(LlamaClient(self.backend), self.limits, GatewayMetrics(self.limits))

    @property
    def headers(self) -> dict[str, str]:
        """On every answer."""
        return {"x-gateway": f"courselib {self.version}; protocol=TGI; engine=llama.cpp"}

    @property
    def fingerprint(self) -> str:
        """``system_fingerprint`` of OpenAI's routes."""
        return f"courselib-gateway-{self.version}-llama.cpp"

    def info(self) -> dict[str, Any]:
        """The answer of ``/info``: TGI's fields where they are known, then what this really is."""
        told = asdict(self.limits)
        return {
            "model_id": self.model_id,
            "model_sha": None,
            "model_pipeline_tag": None,
            **{key: told[key] for key in ("max_concurrent_requests", "max_best_of", "max_stop_sequences")},
            **{key: told[key] for key in ("max_input_tokens", "max_total_tokens", "max_client_batch_size")},
            "router": ROUTER,
            "version": self.version,
            "sha": None,
            "docker_label": None,
            "gateway": "courselib",
            "protocol": "TGI 3.3.7",
            "engine": "llama.cpp",
            "engine_version": self.backend.version,
            "differences": list(DIFFERENCES),
        }

    async def close(self) -> None:
        """Let go of the engine."""
        await self.service.llama.close()
