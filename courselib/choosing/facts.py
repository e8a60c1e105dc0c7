"""What speaks for and against each engine, one fact a line, each with its source.

A fact counts when all its conditions are met. Its points are this course's judgement of how much it should weigh, from
-2 to 2; ``None`` rules the engine out. What the facts say is quoted from their sources, or was recorded by this course.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from courselib.i18n import N_

VLLM, LLAMA_CPP, TGI = "vllm", "llama.cpp", "tgi"
ENGINES = {VLLM: "vLLM", LLAMA_CPP: "llama.cpp", TGI: "TGI"}


@dataclass(frozen=True)
class Source:
    """Where a fact comes from: a title, and an address unless this course has measured it."""

    title: str
    url: str = ""


@dataclass(frozen=True)
class Fact:
    """One fact about one engine.

    Args:
        engine: whom it is about.
        points: what it weighs, -2 to 2; ``None`` rules the engine out.
        text: what is so, in a sentence.
        source: key of ``SOURCES``.
        when: question -> answers for which it counts; always, if empty.
        changed: whether it is news that older texts do not have.
    """

    engine: str
    points: int | None
    text: str
    source: str
    when: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    changed: bool = False


_GITHUB, _VLLM_DOCS = "https://github.com", "https://docs.vllm.ai/en/latest"
SOURCES = {
    "tgi": Source(N_("TGI's README"), f"{_GITHUB}/huggingface/text-generation-inference"),
    "tgi-source": Source(N_("TGI 3.3.7's source"), f"{_GITHUB}/huggingface/text-generation-inference/tree/v3.3.7"),
    "vllm-install": Source(N_("vLLM: installation"), f"{_VLLM_DOCS}/getting_started/installation/"),
    "vllm-gpu": Source(N_("vLLM: GPUs"), f"{_VLLM_DOCS}/getting_started/installation/gpu/"),
    "vllm-scaling": Source(N_("vLLM: parallelism and scaling"), f"{_VLLM_DOCS}/serving/parallelism_scaling/"),
    "vllm-kubernetes": Source(N_("vLLM: production stack"), f"{_VLLM_DOCS}/deployment/integrations/production-stack/"),
    "vllm-usage": Source(N_("vLLM: usage statistics"), f"{_VLLM_DOCS}/usage/usage_stats/"),
    "vllm-licence": Source(N_("vLLM's licence"), f"{_GITHUB}/vllm-project/vllm/blob/main/LICENSE"),
    "paged": Source(N_("Kwon et al. 2023, PagedAttention"), "https://arxiv.org/abs/2309.06180"),
    "llama": Source(N_("llama.cpp's README"), f"{_GITHUB}/ggml-org/llama.cpp"),
    "llama-server": Source(N_("llama-server's README"), f"{_GITHUB}/ggml-org/llama.cpp/tree/master/tools/server"),
    "llama-gpus": Source(N_("llama.cpp: several GPUs"), f"{_GITHUB}/ggml-org/llama.cpp/blob/master/docs/multi-gpu.md"),
    "llama-android": Source(N_("llama.cpp: Android"), f"{_GITHUB}/ggml-org/llama.cpp/blob/master/docs/android.md"),
    "llama-python": Source(N_("llama-cpp-python"), f"{_GITHUB}/abetlen/llama-cpp-python"),
    "ollama": Source(N_("Ollama"), f"{_GITHUB}/ollama/ollama"),
    "sglang": Source(N_("SGLang"), f"{_GITHUB}/sgl-project/sglang"),
    "mlx": Source(N_("MLX LM"), f"{_GITHUB}/ml-explore/mlx-lm"),
    "recorded": Source(N_("recorded by this course, November 2026")),
    "recorded-speed": Source(N_("recorded by this course on two cores: SmolLM2-135M in 16 bits, November 2026")),
    "formula": Source(N_("by the formula: parameters times bits, divided by 8")),
}

_NVIDIA = ("gpu", "gpus")

FACTS = (
    # Always.
    Fact(
        TGI, -2,
        N_("In maintenance mode since December 2025; it recommends vLLM, SGLang, llama.cpp and MLX itself."),
        "tgi", changed=True,
    ),
    # Hardware.
    Fact(
        LLAMA_CPP, 2, N_("Made for CPUs, with weights of 1.5 to 8 bits."), "llama", {"hardware": ("laptop",)},
    ),
    Fact(
        VLLM, -1, N_("It runs on a CPU, but takes half a minute to start, where llama.cpp takes half a second."),
        "recorded-speed", {"hardware": ("laptop",)},
    ),
    Fact(
        TGI, -1, N_("For CPUs there is a container only, for x86-64, and it refuses quantised models."),
        "tgi-source", {"hardware": ("laptop",)},
    ),
    Fact(
        VLLM, 2, N_("Ready for NVIDIA GPUs of compute capability 7.5 or more: T4, RTX 20 and later."),
        "vllm-gpu", {"hardware": _NVIDIA},
    ),
    Fact(
        TGI, 1, N_("Ready for NVIDIA GPUs of compute capability 8.0 or more; a T4 is not covered."),
        "tgi-source", {"hardware": _NVIDIA}, changed=True,
    ),
    Fact(LLAMA_CPP, 1, N_("It has its own compute kernels for NVIDIA GPUs."), "llama", {"hardware": _NVIDIA}),
    Fact(
        VLLM, 1, N_("Several GPUs share each layer (tensor parallelism), on several machines if need be."),
        "vllm-scaling", {"hardware": ("gpus",)},
    ),
    Fact(
        TGI, 1, N_("Several GPUs of one machine share each layer (--num-shard)."), "tgi-source",
        {"hardware": ("gpus",)},
    ),
    Fact(
        LLAMA_CPP, 0, N_("GPUs take turns, with some layers on each; sharing layers is still experimental."),
        "llama-gpus", {"hardware": ("gpus",)},
    ),
    Fact(
        LLAMA_CPP, 2, N_("Apple silicon comes first: Metal, NEON and Accelerate."), "llama", {"hardware": ("apple",)},
    ),
    Fact(
        VLLM, -1, N_("Apple's GPU works only with a community plug-in, vLLM-Metal."), "vllm-gpu",
        {"hardware": ("apple",)}, changed=True,
    ),
    Fact(
        TGI, None, N_("There is no TGI for Apple silicon: its containers are for x86-64."), "tgi-source",
        {"hardware": ("apple",)},
    ),
    Fact(VLLM, 2, N_("AMD GPUs by ROCm, with wheels ready to install."), "vllm-gpu", {"hardware": ("amd",)}),
    Fact(LLAMA_CPP, 1, N_("AMD GPUs by HIP, and nearly any GPU by Vulkan."), "llama", {"hardware": ("amd",)}),
    Fact(
        TGI, 0, N_("A container for AMD's MI210, MI250 and MI300, and no other AMD GPU."), "tgi-source",
        {"hardware": ("amd",)},
    ),
    Fact(
        LLAMA_CPP, 2, N_("C and C++ without dependencies; it builds on Android."), "llama-android",
        {"hardware": ("edge",)},
    ),
    Fact(
        VLLM, None, N_("It needs Linux, Python and some 3.5 GB of packages."), "recorded", {"hardware": ("edge",)},
    ),
    Fact(
        TGI, None, N_("Its containers are for servers with x86-64 processors."), "tgi-source",
        {"hardware": ("edge",)},
    ),
    # Users at once.
    Fact(
        LLAMA_CPP, 2, N_("A single request ran at 54 tokens/s on it, and at 31 on vLLM."), "recorded-speed",
        {"users": ("one",), "hardware": ("laptop",)},
    ),
    Fact(LLAMA_CPP, 1, N_("One program and one file are all that one user needs."), "llama", {"users": ("one",)}),
    Fact(
        LLAMA_CPP, 1, N_("It serves several requests at once, in as many slots as it was started with."),
        "llama-server", {"users": ("few",)},
    ),
    Fact(
        VLLM, 1, N_("Requests join and leave the running batch as they come."), "paged", {"users": ("few",)},
    ),
    Fact(
        VLLM, 2, N_("PagedAttention shares memory out in small blocks, so that requests of all lengths fit."),
        "paged", {"users": ("many",)},
    ),
    Fact(
        VLLM, 1, N_("16 requests at once ran at 335 tokens/s in all on it, 226 on llama.cpp."), "recorded-speed",
        {"users": ("many",), "hardware": ("laptop",)},
    ),
    Fact(
        LLAMA_CPP, -1, N_("Its slots are fixed at the start, and so is the context that they share."),
        "llama-server", {"users": ("many",)},
    ),
    Fact(
        TGI, 1, N_("It batches continuously and pages its cache as well."), "tgi-source",
        {"users": ("few", "many")}, changed=True,
    ),
    # The API wanted.
    Fact(
        VLLM, 1, N_("It replaces OpenAI's API without changes, chat and completions."), "vllm-install",
        {"api": ("openai",)},
    ),
    Fact(LLAMA_CPP, 1, N_("Its server has OpenAI's endpoints."), "llama-server", {"api": ("openai",)}),
    Fact(
        TGI, 0, N_("It has OpenAI's endpoints, but ignores n, takes no logit_bias, and has finish reasons of its own."),
        "tgi-source", {"api": ("openai",)},
    ),
    Fact(TGI, 2, N_("Nothing else speaks TGI's own protocol (/generate) in full."), "tgi-source", {"api": ("tgi",)}),
    Fact(
        VLLM, -1, N_("Clients of TGI's /generate must be rewritten for OpenAI's endpoints."), "vllm-install",
        {"api": ("tgi",)},
    ),
    Fact(
        LLAMA_CPP, -1, N_("Clients of TGI's /generate must be rewritten for OpenAI's endpoints."), "llama-server",
        {"api": ("tgi",)},
    ),
    Fact(
        LLAMA_CPP, 1, N_("llama-cpp-python runs it inside your own program."), "llama-python", {"api": ("library",)},
    ),
    Fact(VLLM, 1, N_("Its class LLM works through batches in Python."), "vllm-install", {"api": ("library",)}),
    Fact(TGI, None, N_("It is a server only; there is no library."), "tgi-source", {"api": ("library",)}),
    # Size of the model.
    Fact(
        LLAMA_CPP, 1, N_("135 million parameters in under 6 bits each are one file of 98 MB."), "recorded",
        {"model": ("small",)},
    ),
    Fact(
        LLAMA_CPP, 1, N_("8 billion parameters take 4.5 GB in 4.5 bits, where 16 bits take 16 GB."), "formula",
        {"model": ("medium",), "hardware": ("laptop", "gpu", "apple", "edge")},
    ),
    Fact(
        VLLM, 1, N_("8 billion parameters in 16 bits take 16 GB: a GPU of 24 GB has room for them and the cache."),
        "formula", {"model": ("medium",), "hardware": ("gpu", "gpus", "amd")},
    ),
    Fact(
        LLAMA_CPP, 2, N_("It shares a model that is too large for the GPU between GPU and CPU."), "llama",
        {"model": ("large",), "hardware": ("gpu", "amd")},
    ),
    Fact(
        LLAMA_CPP, 1, N_("70 billion parameters take 40 GB in 4.5 bits: slow on a CPU, but they load."), "formula",
        {"model": ("large",), "hardware": ("laptop", "apple")},
    ),
    Fact(
        VLLM, -2, N_("70 billion parameters in 16 bits take 140 GB: more than one GPU or a laptop has."), "formula",
        {"model": ("large",), "hardware": ("laptop", "gpu", "apple")},
    ),
    Fact(
        TGI, -2, N_("70 billion parameters in 16 bits take 140 GB, and TGI moves no part of a model to the CPU."),
        "tgi-source", {"model": ("large",), "hardware": ("laptop", "gpu")}, changed=True,
    ),
    Fact(
        VLLM, 1, N_("70 billion parameters in 16 bits take 140 GB, which several GPUs hold together."),
        "formula", {"model": ("large",), "hardware": ("gpus",)},
    ),
    Fact(
        LLAMA_CPP, None, N_("70 billion parameters take 40 GB in 4.5 bits: no phone has that."), "formula",
        {"model": ("large",), "hardware": ("edge",)},
    ),
    # Operations.
    Fact(
        VLLM, 2, N_("The project has a Helm chart and a router for Kubernetes, with Grafana's dashboards."),
        "vllm-kubernetes", {"operations": ("kubernetes",)},
    ),
    Fact(
        TGI, 0, N_("It has a health route and a container, but no chart, no manifest and no autoscaler."),
        "tgi-source", {"operations": ("kubernetes",)}, changed=True,
    ),
    Fact(
        LLAMA_CPP, 0, N_("It has a health route and containers; chart and scaling are left to you."), "llama",
        {"operations": ("kubernetes",)},
    ),
    Fact(VLLM, 1, N_("/metrics for Prometheus is always there."), "vllm-install", {"operations": ("prometheus",)}),
    Fact(
        TGI, 1, N_("/metrics for Prometheus is always there, and a dashboard for Grafana comes with it."),
        "tgi-source", {"operations": ("prometheus",)},
    ),
    Fact(
        LLAMA_CPP, 0, N_("/metrics for Prometheus is there if it was started with --metrics."), "llama-server",
        {"operations": ("prometheus",)},
    ),
    Fact(VLLM, 2, N_("It runs across machines with Ray."), "vllm-scaling", {"operations": ("ray",)}),
    Fact(TGI, -2, N_("It does not support Ray and stays on one machine."), "tgi-source", {"operations": ("ray",)}),
    Fact(LLAMA_CPP, -2, N_("It does not support Ray."), "llama", {"operations": ("ray",)}),
    # Licence.
    Fact(VLLM, 0, N_("Apache-2.0, which grants patents too."), "vllm-licence", {"licence": ("apache",)}),
    Fact(TGI, 0, N_("Apache-2.0, which grants patents too."), "tgi", {"licence": ("apache",)}),
    Fact(
        LLAMA_CPP, None, N_("MIT, which does not mention patents."), "llama", {"licence": ("apache",)},
    ),
    Fact(LLAMA_CPP, 0, N_("MIT."), "llama", {"licence": ("mit",)}),
    Fact(VLLM, None, N_("Apache-2.0, not MIT."), "vllm-licence", {"licence": ("mit",)}),
    Fact(TGI, None, N_("Apache-2.0, not MIT."), "tgi", {"licence": ("mit",)}),
    # Without a network.
    Fact(
        LLAMA_CPP, 1, N_("One program and one file with the model: two things to carry in."), "llama",
        {"offline": ("yes",)},
    ),
    Fact(
        VLLM, -1, N_("It sends usage statistics unless VLLM_NO_USAGE_STATS=1, and is gigabytes of packages."),
        "vllm-usage", {"offline": ("yes",)},
    ),
    Fact(
        TGI, -1, N_("It sends usage statistics unless --usage-stats off, and a whole container must be carried in."),
        "tgi-source", {"offline": ("yes",)},
    ),
)  # fmt: skip


@dataclass(frozen=True)
class Other:
    """An engine this course does not teach: when one would look at it."""

    name: str
    text: str
    source: str
    when: Mapping[str, tuple[str, ...]]


OTHERS = (
    Other(
        "SGLang", N_("close to vLLM in kind and speed, with a cache shared as a tree of prompts"), "sglang",
        {"hardware": ("gpu", "gpus", "amd")},
    ),
    Other(
        "Ollama", N_("models by name and a server in one program, on the same core as llama.cpp"), "ollama",
        {"hardware": ("laptop", "apple", "gpu"), "users": ("one", "few")},
    ),
    Other("MLX", N_("Apple's own, for its GPUs and memory; MLX LM has a server"), "mlx", {"hardware": ("apple",)}),
)  # fmt: skip
