"""TGI's Prometheus page, as far as the gateway can know it.

Names and buckets are TGI's (docs/source/reference/metrics.md, router/src/server.rs), so that its dashboards read it.
What TGI tells of each step of its batches is left out: llama.cpp does not tell it, and zeros would be lies. Written
out here, because ``prometheus_client`` puts ``_total`` behind every counter and TGI does not.
"""

from __future__ import annotations

from bisect import bisect_left

from courselib.gateway.answer import Answer
from courselib.gateway.limits import Limits

SECONDS = [0.0001 * 1.5**step for step in range(1, 36)]
DURATIONS = (
    "tgi_request_duration",
    "tgi_request_validation_duration",
    "tgi_request_queue_duration",
    "tgi_request_inference_duration",
    "tgi_request_mean_time_per_token_duration",
)


class Histogram:
    """Counts of values at most as large as each bucket."""

    def __init__(self, bounds: list[float]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def observe(self, value: float) -> None:
        """Count a value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value

    def lines(self, name: str) -> list[str]:
        """As Prometheus reads it."""
        total, lines = 0, []
        for bound, count in zip([*map(str, self.bounds), "+Inf"], self.counts, strict=True):
            total += count
            lines.append(f'{name}_bucket{{le="{bound}"}} {total}')
        return [*lines, f"{name}_sum {self.sum}", f"{name}_count {total}"]


class GatewayMetrics:
    """All the counters of one gateway."""

    def __init__(self, limits: Limits) -> None:
        inputs = [limits.max_input_tokens / 100 * step for step in range(1, 101)]
        totals = [limits.max_total_tokens / 100 * step for step in range(1, 101)]
        self._counters: dict[tuple[str, str], int] = {("tgi_request_count", ""): 0, ("tgi_request_success", ""): 0}
        self._histograms = {
            **{name: Histogram(SECONDS) for name in DURATIONS},
            "tgi_request_input_length": Histogram(inputs),
            "tgi_request_generated_tokens": Histogram(totals),
            "tgi_request_max_new_tokens": Histogram(totals),
        }

    def count(self, name: str, **labels: str) -> None:
        """One more of ``name``."""
        written = ",".join(f'{label}="{value}"' for label, value in labels.items())
        key = (name, f"{{{written}}}" if written else "")
        self._counters[key] = self._counters.get(key, 0) + 1

    def finished(self, answer: Answer, max_new_tokens: int) -> None:
        """Take in a whole answer."""
        self.count("tgi_request_success")
        durations = (
            answer.total_s,
            answer.validation_s,
            answer.queue_s,
            answer.inference_s,
            answer.inference_s / answer.generated_tokens,
        )
        for name, value in zip(DURATIONS, durations, strict=True):
            self._histograms[name].observe(value)
        self._histograms["tgi_request_input_length"].observe(answer.input_length)
        self._histograms["tgi_request_generated_tokens"].observe(answer.generated_tokens)
        self._histograms["tgi_request_max_new_tokens"].observe(max_new_tokens)

    def page(self, *, waiting: int, running: int) -> str:
        """The page, with the queue as it is now."""
        lines: list[str] = []
        for name in dict.fromkeys(name for name, _labels in self._counters):
            lines.append(f"# TYPE {name} counter")
            lines += [f"{key}{labels} {value}" for (key, labels), value in self._counters.items() if key == name]
        for name, gauge in (("tgi_queue_size", waiting), ("tgi_batch_current_size", running)):
            lines += [f"# TYPE {name} gauge", f"{name} {gauge}"]
        for name, histogram in self._histograms.items():
            lines += [f"# TYPE {name} histogram", *histogram.lines(name)]
        return "\n".join(lines) + "\n"
