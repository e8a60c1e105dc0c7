"""Do live engines draw what is predicted? Long runs, over settings drawn across the controls' whole range.

    python -m benchmarks.agreement [--draws N] [--settings N] ENGINE …

ENGINE is one of llama.cpp, llama_cpp, tgi-gateway, vllm:float32 and vllm:bfloat16. Prints a table in Markdown for each,
a line for a setting as soon as it is done: the p-value of the chi-square test against this engine's own pipeline, and
against a rival's order. ``benchmarks/results/agreement.md`` keeps what it printed.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import time
from collections.abc import Iterator
from typing import Any

import courselib
from courselib.observe.logits import NextToken, ask, next_token
from courselib.sampling import total_variation
from tests.sampling import live

RIVALS = {"llama.cpp": "vllm", "llama_cpp": "vllm", "tgi-gateway": "llama.cpp", "vllm": "llama.cpp"}
# Orders that differ less than this may well agree with the same draws.
DIFFER = 0.1
BATCH = 64


@contextlib.contextmanager
def opened(name: str) -> Iterator[tuple[Any, NextToken]]:
    """A live engine, and what it (or for the gateway, the engine behind it) tells of the next token."""
    engine, _colon, dtype = name.partition(":")
    if engine == "llama_cpp":
        llm = courselib.native(context=512)
        yield llm, next_token(llm, live.PROMPT)
        llm.close()
    elif engine == "tgi-gateway":
        with courselib.launch("llama.cpp", context=512) as behind:
            told = next_token(behind, live.PROMPT)
        with courselib.launch(engine, context=512, max_batch_size=1, max_best_of=BATCH) as server:
            yield server, told
    elif engine == "vllm":
        options = {"max_model_len": 512, "kv_cache_memory": 256 * 2**20, "block_size": live.BLOCK}
        with courselib.launch(
            engine, dtype=dtype, max_logprobs=-1, logprobs_mode="raw_logits", **options
        ) as server:  # fmt: skip
            yield server, next_token(server, live.LONG_PROMPT)
    else:
        with courselib.launch(engine, context=BATCH * 256, parallel=BATCH) as server:
            yield server, next_token(server, live.PROMPT)


def drift(server: Any, told: NextToken) -> float:
    """How far the likeliest token's logit moves between requests that are computed together."""
    body = {
        "model": server.model, "prompt": told.prompt, "max_tokens": 1, "n": BATCH, "logprobs": 5, "temperature": 1,
        "return_tokens_as_token_ids": True,
    }  # fmt: skip
    best = f"token_id:{int(told.logprobs.argmax())}"
    answers = [choice["logprobs"]["top_logprobs"][0] for choice in ask(server, "/v1/completions", body)["choices"]]
    values = [answer[best] for answer in answers if best in answer]
    return max(values) - min(values)


def run(name: str, number: int, draws: int) -> None:
    """One engine's table."""
    engine = name.partition(":")[0]
    rival = RIVALS[engine]
    started = time.monotonic()
    print(f"\n## {name}, {draws} draws for each setting\n\n| # | controls | can be drawn | p | impossible | distance | "
          f"{rival}'s order: distance | p |\n|---|---|---|---|---|---|---|---|", flush=True)  # fmt: skip
    agreed = apart = rejected = 0
    with opened(name) as (server, told):
        orders = live.orders(number) if engine == "llama.cpp" else itertools.repeat({})
        for i, (controls, more) in enumerate(zip(live.settings(engine, number), orders, strict=False), 1):
            prompt = live.LONG_PROMPT if engine == "vllm" else live.PROMPT
            counts = live.drawn(server, controls, draws, prompt, **live.request_fields(more))
            ours, theirs = live.predicted(engine, controls, told, **more), live.predicted(rival, controls, told)
            mine, other = live.compare(counts, ours), live.compare(counts, theirs)
            between = total_variation(ours, theirs)
            agreed += mine.agrees
            apart += between > DIFFER
            rejected += between > DIFFER and not other.agrees
            words = ", ".join(f"{key}={_short(value)}" for key, value in {**controls.given(), **more}.items())
            print(f"| {i} | {words} | {(ours > 0).sum()} | {mine.p_value:.2g} | {mine.outside} | "
                  f"{mine.total_variation:.3f} | {between:.3f} | {other.p_value:.2g} |", flush=True)  # fmt: skip
        moved = (
            f" The likeliest token's logit moves by {drift(server, told):.4f} in a batch." if engine == "vllm" else ""
        )
    print(f"\n{agreed} of {number} agree at {live.LEVEL:.2g}; {rejected} of {apart} rivals further than {DIFFER} off "
          f"are rejected.{moved} {time.monotonic() - started:.0f} s.", flush=True)  # fmt: skip


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value).replace("'", "")


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser()
    parser.add_argument("engines", nargs="+", metavar="ENGINE")
    parser.add_argument("--draws", type=int, default=20_000)
    parser.add_argument("--settings", type=int, default=live.NUMBER)
    asked = parser.parse_args()
    for engine in asked.engines:
        run(engine, asked.settings, asked.draws)


if __name__ == "__main__":
    main()
