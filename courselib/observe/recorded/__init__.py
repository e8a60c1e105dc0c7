"""Metrics of a loaded vLLM, recorded by ``benchmarks/metrics.py`` for machines that have no vLLM.

vLLM 0.32.0 with SmolLM2-135M on two cores, which other programs used as well. Four requests at a time at most; ten
users, four requests each: 64 tokens of prompt, 48 of answer.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

_FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Recording:
    """Scrapes of one server's page of metrics, and what its clients saw meanwhile.

    Args:
        path: the scrapes, in the OpenMetrics format, with times.
        begin_s: of the first scrape, in seconds since 1970.
        end_s: of the last one.
        ttft_s: time to first token of each request, in seconds, as its client measured it.
    """

    path: Path
    begin_s: float
    end_s: float
    ttft_s: tuple[float, ...]


def vllm() -> Recording:
    """The recording of vLLM."""
    kept = json.loads((_FOLDER / "vllm.json").read_text(encoding="utf-8"))
    return Recording(_FOLDER / "vllm.openmetrics", kept["begin_s"], kept["end_s"], tuple(kept["ttft_s"]))
