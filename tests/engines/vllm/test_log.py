"""What is read off a recorded start of vLLM 0.32 on a CPU (eager, 256 MiB of KV cache, 1,024 tokens)."""

import itertools
from pathlib import Path

from courselib.engines.vllm.engine import ENGINE, PHASES

LOG = (Path(__file__).parent / "recorded" / "start.log").read_text()


def test_phases_come_in_order_and_none_is_missed():
    lines = LOG.splitlines()
    seen = [ENGINE.passed("\n".join(lines[:n])) for n in range(len(lines) + 1)]
    assert all(before == after[: len(before)] for before, after in itertools.pairwise(seen))
    assert seen[-1] == [
        "importing vLLM",
        "reading the model's settings",
        "starting the engine",
        "loading weights",
        "measuring memory",
        "KV cache allocated",
        "warming up",
        "opening the server",
        "ready",
    ]
    assert len(seen[-1]) == len(PHASES)


def test_memory_is_what_the_log_reports():
    memory = ENGINE.memory(LOG, rss=1)
    assert (memory.rss, memory.kv_cache, memory.kv_cache_tokens, memory.weights) == (1, 256 * 2**20, 11_648, None)


def test_memory_vllm_chose_itself():
    log = "Auto set (0.91/19.21) GiB for KV cache on node 0\nCPU KV cache size: 42,240 tokens, Maximum"
    assert ENGINE.memory(log, rss=0).kv_cache == round(0.91 * 2**30)
    assert ENGINE.memory("", rss=0).kv_cache is None


def test_memory_on_a_gpu():
    log = "Model loading took 0.25 GiB memory\nAvailable KV cache memory: 60.5 GiB\nGPU KV cache size: 2,000 tokens"
    memory = ENGINE.memory(log, rss=0)
    assert (memory.weights, memory.kv_cache, memory.kv_cache_tokens) == (2**28, round(60.5 * 2**30), 2000)
