"""The pages of metrics of all engines on one scale of names.

An engine publishes counters, gauges and histograms on ``/metrics``, in Prometheus's text format, under its own names.
``SCALE`` has one name for each thing, ``SOURCES`` where an engine's page has it, or why it does not:

    >>> from courselib.observe import metrics
    >>> reading = metrics.read("vllm", page)
    >>> reading.waiting, reading.ttft.count

``recording_rules`` writes the same table as rules of Prometheus. Names: llama.cpp b11549 and vLLM 0.32.0, read off
running engines; TGI 3.3.7, docs/source/reference/metrics.md and router/src/server.rs.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from courselib.errors import RequestRefused, SettingsError
from courselib.i18n import N_, _

if TYPE_CHECKING:
    from prometheus_client import Metric

    from courselib.engines.server import Server

GAUGE, COUNTER, HISTOGRAM = "gauge", "counter", "histogram"


@dataclass(frozen=True)
class Quantity:
    """A name of the scale.

    Args:
        kind: ``gauge``, ``counter`` or ``histogram``.
        about: what it says, for a person.
        rule: the name of the recording rule that ``recording_rules`` writes.
    """

    kind: str
    about: str
    rule: str


SCALE: Mapping[str, Quantity] = {
    "running": Quantity(GAUGE, N_("requests that the engine computes now"), "job:running:sum"),
    "waiting": Quantity(GAUGE, N_("requests that wait for a place"), "job:waiting:sum"),
    "kv_use": Quantity(GAUGE, N_("used share of the KV cache, 0 to 1"), "job:kv_use:max"),
    "prompt_tokens": Quantity(COUNTER, N_("prompt tokens, without cached ones"), "job:prompt_tokens:rate1m"),
    "cached_tokens": Quantity(COUNTER, N_("prompt tokens taken from a cache"), "job:cached_tokens:rate1m"),
    "generated_tokens": Quantity(COUNTER, N_("tokens of answers"), "job:generated_tokens:rate1m"),
    "ttft": Quantity(HISTOGRAM, N_("time to first token, in seconds"), "job:ttft_seconds:p95_5m"),
}


@dataclass(frozen=True)
class Series:
    """Where an engine's page has a quantity: in the series ``name``, less those of ``less``."""

    name: str
    less: str = ""

    def __str__(self) -> str:
        return f"{self.name} - {self.less}" if self.less else self.name


@dataclass(frozen=True)
class Lack:
    """Why an engine's page does not have a quantity, as a sentence."""

    reason: str

    def __str__(self) -> str:
        return _("none: {reason}").format(reason=_(self.reason))


_TGI: dict[str, Series | Lack] = {
    "running": Series("tgi_batch_current_size"),
    "waiting": Series("tgi_queue_size"),
    "kv_use": Lack(N_("TGI publishes the token budget of its batch, and not how full its KV cache is.")),
    "prompt_tokens": Series("tgi_request_input_length_sum"),
    "cached_tokens": Series("tgi_request_skipped_tokens_sum"),
    "generated_tokens": Series("tgi_request_generated_tokens_sum"),
    "ttft": Lack(
        N_("TGI has histograms of the wait in its queue and of whole requests, and none up to the first token.")
    ),
}
SOURCES: Mapping[str, Mapping[str, Series | Lack]] = {
    "llama.cpp": {
        "running": Series("llamacpp:requests_processing"),
        "waiting": Series("llamacpp:requests_deferred"),
        "kv_use": Lack(N_("llama.cpp has removed this gauge; its route /slots shows the tokens in each slot.")),
        "prompt_tokens": Series("llamacpp:prompt_tokens_total"),
        "cached_tokens": Series("llamacpp:prompt_tokens_cached_total"),
        "generated_tokens": Series("llamacpp:tokens_predicted_total"),
        "ttft": Lack(N_("llama.cpp has no histograms; each answer has its own times in the field timings.")),
    },
    "vllm": {
        "running": Series("vllm:num_requests_running"),
        "waiting": Series("vllm:num_requests_waiting"),
        "kv_use": Series("vllm:kv_cache_usage_perc"),
        # vLLM counts what came from the prefix cache, too.
        "prompt_tokens": Series("vllm:prompt_tokens_total", less="vllm:prompt_tokens_cached_total"),
        "cached_tokens": Series("vllm:prompt_tokens_cached_total"),
        "generated_tokens": Series("vllm:generation_tokens_total"),
        "ttft": Series("vllm:time_to_first_token_seconds"),
    },
    "tgi": _TGI,
    "tgi-gateway": {
        **_TGI,
        "cached_tokens": Lack(N_("The gateway leaves out what llama.cpp does not report for a batch's steps.")),
    },
}


@dataclass(frozen=True)
class Histogram:
    """A histogram as it stands on the page, its label sets summed.

    Args:
        buckets: upper bounds in seconds, each with how many values were at most that large; the last bound is infinite.
        sum: of all values.
        count: how many there were.
    """

    buckets: Mapping[float, float]
    sum: float
    count: float


@dataclass(frozen=True)
class Reading:
    """One page of metrics on the scale; ``None`` where the page has no such value, with the reason in ``lacks``."""

    engine: str
    running: float | None
    waiting: float | None
    kv_use: float | None
    prompt_tokens: float | None
    cached_tokens: float | None
    generated_tokens: float | None
    ttft: Histogram | None
    lacks: Mapping[str, str]


def read(engine: str, page: str) -> Reading:
    """Read a page of metrics.

    Args:
        engine: whose page it is, a name of ``SOURCES``.
        page: its text.

    Raises:
        SettingsError: the engine is not known.
        RequestRefused: the text is no page of metrics.
    """
    from prometheus_client.parser import text_string_to_metric_families

    sources = _sources(engine)
    try:
        families = list(text_string_to_metric_families(page))
    except ValueError as error:
        text = _("This is not a page of metrics; give the text of a server's /metrics.")
        raise RequestRefused(text, details=str(error)) from None
    by_name = {family.name: family for family in families}
    values, histograms, lacks = _values(families), {}, {}
    found: dict[str, float | None] = {}
    for name, source in sources.items():
        if isinstance(source, Lack):
            lacks[name] = _(source.reason)
        elif SCALE[name].kind == HISTOGRAM and source.name in by_name:
            histograms[name] = _histogram(by_name[source.name])
        elif source.name in values:
            found[name] = values[source.name] - values.get(source.less, 0.0)
        else:
            lacks[name] = _("The page has no {series}; the engine's version may be another one.").format(
                series=source.name
            )
    numbers = {name: found.get(name) for name in SCALE if SCALE[name].kind != HISTOGRAM}
    return Reading(engine, **numbers, ttft=histograms.get("ttft"), lacks=lacks)


def read_server(server: Server) -> Reading:
    """Read the page of a running server.

    Raises:
        SettingsError: its engine has no place on the scale, or it was started without metrics.
        RequestError: it does not answer, or gives no metrics.
    """
    _sources(server.engine_name)
    server.metrics()  # raises what is wrong as a sentence
    return read(server.engine_name, server.http.get("/metrics").text)


def recording_rules(window: str = "1m") -> str:
    """The scale as Prometheus computes it: one rule for each quantity, for all engines together, as YAML.

    Args:
        window: of the rates, as PromQL writes it; four scrapes or more.
    """
    lines = ["groups:", "- name: scale", "  rules:"]
    for name, quantity in SCALE.items():
        expressions = list(dict.fromkeys(_expressions(name, window)))
        lines += [f"  - record: {quantity.rule}", f"    expr: {_over_jobs(quantity.rule, expressions)}"]
    return "\n".join(lines) + "\n"


def _expressions(name: str, window: str) -> Iterator[str]:
    """What stands for a quantity on each engine that has it."""
    for sources in SOURCES.values():
        source = sources[name]
        if isinstance(source, Lack):
            continue
        if SCALE[name].kind == HISTOGRAM:
            yield f"rate({source.name}_bucket[5m])"
        elif SCALE[name].kind == COUNTER:
            less = f" - rate({source.less}[{window}])" if source.less else ""
            yield f"(rate({source.name}[{window}]){less})" if less else f"rate({source.name}[{window}])"
        else:
            yield source.name


def _over_jobs(rule: str, expressions: list[str]) -> str:
    together = " or ".join(expressions)
    if "p95" in rule:
        return f"histogram_quantile(0.95, sum by (job, le) ({together}))"
    return f"{'max' if rule.endswith(':max') else 'sum'} by (job) ({together})"


def _sources(engine: str) -> Mapping[str, Series | Lack]:
    if engine not in SOURCES:
        text = _("The metrics of {engine!r} are not known; take one of {engines}.")
        raise SettingsError(text.format(engine=engine, engines=", ".join(SOURCES)))
    return SOURCES[engine]


def _values(families: Iterable[Metric]) -> dict[str, float]:
    """Series by name: of several label sets the sum, or the largest where it is a share."""
    found: dict[str, list[float]] = defaultdict(list)
    for family in families:
        for sample in family.samples:
            found[sample.name].append(sample.value)
    return {name: max(values) if name.endswith("_perc") else sum(values) for name, values in found.items()}


def _histogram(family: Metric) -> Histogram:
    buckets: dict[float, float] = defaultdict(float)
    for sample in family.samples:
        if sample.name.endswith("_bucket"):
            buckets[float(sample.labels["le"])] += sample.value
    ends = _values([family])
    return Histogram(dict(sorted(buckets.items())), ends[f"{family.name}_sum"], ends[f"{family.name}_count"])
