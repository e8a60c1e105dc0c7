"""Headline figures of the field: who says them, under which conditions, and where the course shows their shape.

A figure of another machine cannot be reproduced on a laptop. Its *shape* often can: what grows with what, which of two
is more, and why. ``docs/claims.md`` is made of this table by ``courselib build``, and the tests look up each part.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["measured here", "simulated", "quoted"]


@dataclass(frozen=True)
class Shown:
    """Where a lesson shows a claim's shape.

    Args:
        lesson: its file's name without ``.md``.
        part: the heading under which the cell stands.
        shape: what is seen there.
    """

    lesson: str
    part: str
    shape: str


@dataclass(frozen=True)
class Claim:
    """One figure.

    Args:
        topic: what it is about.
        figure: the claim, in a few words.
        source, url: whose it is.
        conditions: on what it was measured, and against what.
        kind: how the course knows its shape; ``quoted`` where it only repeats it.
        shown: where; empty for a claim that is only quoted.
        open: what the lesson does not prove about it.
    """

    topic: str
    figure: str
    source: str
    url: str
    conditions: str
    kind: Kind
    shown: tuple[Shown, ...]
    open: str


_ARXIV = "https://arxiv.org/abs"

CLAIMS = (
    Claim(
        "Paging", "20.4 % to 38.2 % of the KV cache held tokens", "Kwon et al. 2023, figure 2",
        f"{_ARXIV}/2309.06180", "Orca with three ways of reserving memory in one piece", "simulated",
        (Shown("33_paged", "One piece for each request", "21.5 %, 30.3 % and 42.0 % for the same three ways"),),
        "The figures themselves: the share depends on the lengths of the requests, and the lesson's is of the memory"
        " that is reserved, the paper's of the whole KV cache.",
    ),
    Claim(
        "Paging", "96.3 % of the KV cache held tokens", "Kwon et al. 2023, figure 2", f"{_ARXIV}/2309.06180",
        "vLLM in the same experiment", "simulated",
        (
            Shown("33_paged", "The same memory in blocks", "98.3 % of the blocks in use, with the same requests"),
            Shown("33_paged", "How large should a block be?", "the share falls as blocks grow"),
        ),
        "The figure itself, for the reason above; any gain in speed, and how much the kernel loses by reading scattered"
        " blocks.",
    ),
    Claim(
        "Paging", "2 to 4 times the throughput at the same latency", "Kwon et al. 2023, abstract",
        f"{_ARXIV}/2309.06180", "vLLM against FasterTransformer and Orca of 2023, on A100 GPUs", "quoted", (),
        "Nothing is shown: vLLM and TGI both use pages, and the course runs neither baseline.",
    ),
    Claim(
        "Engine", "up to 24 times the throughput of transformers", "vLLM's announcement, June 2023",
        "https://blog.vllm.ai/2023/06/20/vllm.html", "LLaMA-7B on an A10G and 13B on an A100; transformers of 2023",
        "measured here",
        (Shown("01_answer", "Eight at once", "requests computed together give more tokens a second in all"),),
        "The factor: it was measured against a library that then served one fixed batch after another.",
    ),
    Claim(
        "Continuous batching", "up to 23 times the throughput", "Anyscale, June 2023",
        "https://www.anyscale.com/blog/continuous-batching-llm-inference",
        "OPT-13B on an A100 with 40 GB; vLLM against static batches, answers of very different lengths",
        "measured here",
        (
            Shown("14_vllm_native", "Batching", "eight answers together take far less than eight times as long"),
            Shown("41_batching", "Static and continuous, for real", "an engine's steps, counted with both schedulers"),
        ),
        "The factor: it includes memory that paging saves, and is of a GPU, where a further request adds little time.",
    ),
    Claim(
        "Continuous batching", "8 times the throughput by continuous batching", "Anyscale, June 2023, summary",
        "https://www.anyscale.com/blog/continuous-batching-llm-inference",
        "OPT-13B on an A100 with 40 GB; Ray Serve and TGI against static batches, exponentially distributed lengths",
        "simulated",
        (
            Shown("41_batching", "The gain depends on the lengths", "1 at equal lengths, more with their spread"),
            Shown("41_batching", "What was published", "how many slots the lengths alone would take"),
        ),
        "What differed between the systems besides their schedulers.",
    ),
    Claim(
        "Continuous batching", "36.9 times the throughput at the same latency", "Yu et al. 2022 (Orca), abstract",
        "https://www.usenix.org/conference/osdi22/presentation/yu",
        "GPT-3 with 175B parameters, on A100 GPUs; against FasterTransformer", "simulated",
        (Shown("41_batching", "One trace, two schedulers", "the same tokens in fewer steps, scheduled by step"),),
        "The factor, which is for a model spread over many GPUs.",
    ),
    Claim(
        "Prefix reuse", "a known beginning costs no prefill", "vLLM: automatic prefix caching",
        "https://docs.vllm.ai/en/latest/features/automatic_prefix_caching/", "Prompts that begin with the same tokens",
        "measured here",
        (
            Shown("32_kv_cache", "From one request to the next", "24, 60 or 1 tokens computed, after three changes"),
            Shown("11_vllm", "Prefix caching: the same beginning twice", "whole blocks are reused"),
        ),
        "How often real prompts share a beginning.",
    ),
    Claim(
        "FlashAttention", "40.3 GB moved without it, 4.4 GB with it; 41.7 and 7.3 ms", "Dao et al. 2022, figure 2",
        f"{_ARXIV}/2205.14135",
        "Attention of GPT-2 medium, forward and backward, 1,024 tokens, on an A100", "simulated",
        (Shown("34_flash", "Bytes moved", "bytes counted in the running code: about a sixth as many at 2,048 tokens"),),
        "Any time on a GPU, and the backward pass.",
    ),
    Claim(
        "FlashAttention", "memory in proportion to the length and not to its square", "Dao et al. 2022, theorem 1",
        f"{_ARXIV}/2205.14135", "Exact attention, any model", "measured here",
        (
            Shown("34_flash", "Memory: a square and a line", "the peak of both algorithms, by Python's own count"),
            Shown("34_flash", "What an engine saves", "llama.cpp's compute buffer, predicted and as reported"),
        ),
        "That a longer context then fits: the KV cache takes as much memory as before.",
    ),
    Claim(
        "FlashAttention", "3 times as fast in training", "Dao et al. 2022, abstract", f"{_ARXIV}/2205.14135",
        "GPT-2 with 1,024 tokens on A100 GPUs; against GPT-2 as implemented in transformers", "measured here",
        (Shown("34_flash", "Two kernels, timed", "a fused kernel is faster than the formula step by step, on a CPU"),),
        "The factor, which depends on the ratio of arithmetic to bandwidth, and training as a whole.",
    ),
    Claim(
        "FlashAttention-2", "around 2 times FlashAttention, 50 % to 73 % of an A100's maximum", "Dao 2023, abstract",
        f"{_ARXIV}/2307.08691", "The kernel alone, on an A100", "quoted", (),
        "Nothing is shown: the gain comes from how work is divided among a GPU's threads.",
    ),
    Claim(
        "Grouped-query attention", "a KV cache smaller by the number of heads that share", "Ainslie et al. 2023",
        f"{_ARXIV}/2305.13245", "Any model with fewer KV heads than heads", "simulated",
        (Shown("32_kv_cache", "What it takes: shared heads", "3 to 8 times less, from the models' own headers"),),
        "That the quality is nearly the same: two trained models would be needed to compare.",
    ),
    Claim(
        "Quantised KV cache",
        "2.6 times less peak memory, the weights included, with a cache in 2 bits and almost the same quality",
        "Liu et al. 2024 (KIVI), abstract", f"{_ARXIV}/2402.02750",
        "Llama, Falcon and Mistral; keys scaled by channel, values by token", "measured here",
        (
            Shown("32_kv_cache", "A cache in 8 bits, and in 4", "memory as predicted and as reported"),
            Shown("32_kv_cache", "What it costs", "divergence grows with fewer bits, more for keys than for values"),
        ),
        "KIVI's format, 2 bits, the quality of answers, and anything about large models.",
    ),
    Claim(
        "Quantisation", "3 or 4 bits per weight with negligible loss; 3.25 to 4.5 times as fast as 16 bits",
        "Frantar et al. 2022 (GPTQ), abstract", f"{_ARXIV}/2210.17323",
        "OPT and BLOOM with up to 176B parameters; 3.25 times on A100 GPUs, 4.5 times on A6000", "measured here",
        (
            Shown("31_quantisation", "Size, speed and perplexity", "smaller files, faster decode, higher perplexity"),
            Shown("31_quantisation", "What changed in the predictions", "how far each format is from its parent"),
        ),
        "GPTQ's format; that a large model loses as little, since the lesson's is small and was in 4 bits before.",
    ),
    Claim(
        "Offloading", "1 token/s from OPT-175B on one GPU of 16 GB", "Sheng et al. 2023 (FlexGen), abstract",
        f"{_ARXIV}/2303.06865", "144 sequences together; weights and KV cache in 4 bits, on GPU, RAM and disk",
        "simulated",
        (
            Shown("35_memory_settings", "Layers on the CPU", "the slower side takes nearly all of the time"),
            Shown("35_memory_settings", "Many sequences share the reading", "tokens a second grow with the batch"),
        ),
        "The figure, and FlexGen's way: it moves weights to the GPU, and llama.cpp computes where they are stored.",
    ),
)  # fmt: skip

PAGE = "docs/claims.md"
INTRODUCTION = """\
<!-- Written by `courselib build` from courselib/memory/claims.py; do not edit. -->
# Headline figures, and what the course shows of them

Others have published these figures, under the conditions in the table. A laptop cannot reproduce the figures,
but it can often show their *shape*: what grows with what, and why. The column *the course* has one of three values.
*Measured here* means that a lesson measures the shape on your machine, *simulated* that a lesson counts or computes it,
and *quoted* that the course only repeats the figure. The last column lists what stays unproven.
"""


def page() -> str:
    """The page's text."""
    return f"{INTRODUCTION}\n{table()}\n"


def table(notebooks: str = "../notebooks/en/") -> str:
    """All figures as a table in Markdown.

    Args:
        notebooks: the folder of the lessons, as seen from where the table is shown; empty from a lesson.
    """
    head = ("about", "figure", "conditions", "the course", "where, and what is seen", "not proven by it")
    rows = [head, ("---",) * len(head), *(_row(claim, notebooks) for claim in CLAIMS)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _row(claim: Claim, notebooks: str) -> tuple[str, ...]:
    figure = f"{claim.figure} ([{claim.source}]({claim.url}))"
    shown = "<br>".join(
        f"[{each.lesson[:2]}]({notebooks}{each.lesson}.ipynb), *{each.part}*: {each.shape}" for each in claim.shown
    )
    return claim.topic, figure, claim.conditions, claim.kind, shown or "-", claim.open
