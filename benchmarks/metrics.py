"""Records vLLM's metrics under load into ``courselib/observe/recorded``, for lesson 50: python -m benchmarks.metrics.

Ten users share four places, each with four requests. The page is read every ten seconds; a client's own time to first
token is kept beside it.
"""

from __future__ import annotations

import json
import threading
import time

import courselib
from courselib.engines.server import Server
from courselib.observe.load import Load, Request, run_load, spread
from courselib.observe.logits import tokens_of
from courselib.observe.promise import TEXT
from courselib.observe.recorded import vllm

EVERY_S = 10.0
USERS, EACH, PLACES = 10, 4, 4
PROMPT, ANSWER = 64, 48
LIMIT_S = 600.0
KEPT = (
    "vllm:num_requests_running",
    "vllm:num_requests_waiting",
    "vllm:kv_cache_usage_perc",
    "vllm:prompt_tokens",
    "vllm:prompt_tokens_cached",
    "vllm:generation_tokens",
    "vllm:time_to_first_token_seconds",
)


def load_and_scrape(server: Server) -> tuple[list[tuple[float, str]], Load]:
    """Pages with their times, from before the load to after it, and what became of the load."""
    pages: list[tuple[float, str]] = []
    over = threading.Event()

    def scrape() -> None:
        pages.append((time.time(), server.http.get("/metrics").text))

    def scrape_on() -> None:
        while not over.wait(EVERY_S):
            scrape()

    warm, *prompts = spread(tokens_of(server, TEXT, special=False), PROMPT, places=1 + USERS * EACH)
    run_load(server, [[Request(warm, 2)]], limit_s=LIMIT_S)
    scrape()
    scraper = threading.Thread(target=scrape_on)
    scraper.start()
    users = [[Request(prompt, ANSWER) for prompt in prompts[user::USERS]] for user in range(USERS)]
    load = run_load(server, users, limit_s=LIMIT_S)
    over.set()
    scraper.join()
    scrape()
    return pages, load


def openmetrics(pages: list[tuple[float, str]]) -> str:
    """The pages as one text in the OpenMetrics format, each sample with its time."""
    from prometheus_client.parser import text_string_to_metric_families

    read = [(at, {family.name: family for family in text_string_to_metric_families(page)}) for at, page in pages]
    lines = []
    for name in KEPT:
        lines += [f"# HELP {name} {read[0][1][name].documentation}", f"# TYPE {name} {read[0][1][name].type}"]
        series: dict[str, list[str]] = {}
        for at, families in read:
            for sample in families[name].samples:
                labels = ",".join(f'{label}="{value}"' for label, value in sample.labels.items())
                series.setdefault(f"{sample.name}{{{labels}}}", []).append(f"{sample.value!r} {at:.3f}")
        lines += [f"{key} {value}" for key, values in series.items() for value in values]
    return "\n".join([*lines, "# EOF"]) + "\n"


def main() -> None:
    """Record, and write both files."""
    with courselib.launch(
        "vllm", max_model_len=512, kv_cache_memory=32 << 20, enforce_eager=True, max_num_seqs=PLACES
    ) as server:
        pages, load = load_and_scrape(server)
    assert not load.failed, load.failed
    recording = vllm()
    recording.path.write_text(openmetrics(pages), encoding="utf-8")
    times = {"begin_s": round(pages[0][0], 3), "end_s": round(pages[-1][0], 3)}
    kept = {**times, "ttft_s": [round(seconds, 3) for seconds in load.ttfts_s]}
    recording.path.with_suffix(".json").write_text(json.dumps(kept) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
