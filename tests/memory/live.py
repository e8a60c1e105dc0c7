"""What llama.cpp reports at its start and what the system sees, beside what was predicted."""

import re
from collections import Counter
from dataclasses import dataclass, replace

import courselib
from courselib.memory import MIB, Estimate, Model, from_gguf, llamacpp
from courselib.models import gguf_header

CACHE = re.compile(r"llama_kv_cache: +\S+ KV buffer size = +([\d.]+) MiB")
STATE = re.compile(r"llama_memory_recurrent: +\S+ RS buffer size = +([\d.]+) MiB")
# What llama.cpp itself projects before it loads the weights: model, context and compute buffers, in whole MiB.
PROJECTED = re.compile(r"projected to use (\d+) MiB")
MODEL = re.compile(r"load_tensors: +(\S+) model buffer size = +([\d.]+) MiB")


@dataclass(frozen=True)
class Run:
    """One start: what was predicted, and what was reported, in bytes (``caches`` and ``states`` as printed)."""

    model: Model
    settings: dict
    predicted: Estimate
    caches: list
    states: list
    buffers: dict
    memory: object
    projected: int | None

    @property
    def weights(self):
        """Bytes of the model's buffers but for the copies that the CPU's backend makes."""
        return sum(size for name, size in self.buffers.items() if name != "CPU_REPACK")

    def expected_caches(self):
        """The sizes the engine should print: a cache for layers that see all, then one for windows."""
        layers = self.model.layers
        kinds = ([one for one in layers if not one.window], [one for one in layers if one.window])
        sizes = [llamacpp.kv_cache(replace(self.model, layers=tuple(kind)), **self.settings) for kind in kinds]
        return [f"{size / MIB:.2f}" for size in sizes if size]


def start(path, settings):
    """Start llama.cpp with these settings, wait for its first token, and read its log."""
    model = from_gguf(gguf_header(path))
    with courselib.launch("llama.cpp", model=str(path), gpu_layers=0, **settings) as server:
        log, memory = server.logs(), server.memory()
    buffers = Counter()
    for name, size in MODEL.findall(log):
        buffers[name] += round(float(size) * MIB)
    projected = PROJECTED.search(log)
    return Run(
        model=model,
        settings=settings,
        predicted=llamacpp.estimate(model, **settings),
        caches=CACHE.findall(log),
        states=STATE.findall(log),
        buffers=dict(buffers),
        memory=memory,
        projected=int(projected[1]) * MIB if projected else None,
    )


def grid():
    """Settings that vary everything on which memory depends."""
    one = [{"context": n} for n in (100, 512, 1000, 2048, 8192)]
    types = [("f32", "f32"), ("bf16", "bf16"), ("q8_0", "q8_0"), ("q5_1", "q4_1"), ("q4_0", "iq4_nl"), ("q8_0", "f16")]
    kinds = [{"context": 4096, "cache_type_k": key, "cache_type_v": value} for key, value in types]
    slots = [
        {"context": 4096, "parallel": 4},
        {"context": 4096, "parallel": 4, "kv_unified": True},
        {"context": 5000, "parallel": 3},
        {"context": 513, "parallel": 2},
        {"context": 8192, "parallel": 16, "cache_type_k": "q8_0", "cache_type_v": "q8_0"},
        {"context": 8192, "parallel": 8, "kv_unified": True, "ubatch": 128},
    ]
    buffers = [
        {"context": 4096, "ubatch": 64},
        {"context": 4096, "ubatch": 2048},
        {"context": 2048, "batch": 128, "ubatch": 128},
        {"context": 4096, "flash_attn": "off"},
        {"context": 2048, "flash_attn": "off", "parallel": 4},
        {"context": 4096, "flash_attn": "off", "cache_type_k": "q8_0", "ubatch": 256},
    ]
    return [*one, *kinds, *slots, *buffers]


def words(settings):
    """Settings as one word, for the tests' names."""
    return "-".join(f"{name}={value}" for name, value in settings.items())
