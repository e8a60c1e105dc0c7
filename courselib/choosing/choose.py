"""Which engine for which need: facts that apply are added up, and what rules an engine out is said.

Pure: answers in, a ranking with its reasons out. The facts and their sources are in ``facts``.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from courselib.choosing.facts import ENGINES, FACTS, LLAMA_CPP, OTHERS, VLLM, Fact, Other
from courselib.errors import SettingsError
from courselib.i18n import N_, _

# Question -> answer -> what a person reads. Several answers are possible for operations alone.
QUESTIONS: dict[str, dict[str, str]] = {
    "hardware": {
        "laptop": N_("laptop or server, CPU only"),
        "gpu": N_("one NVIDIA GPU"),
        "gpus": N_("several NVIDIA GPUs"),
        "apple": N_("Apple silicon"),
        "amd": N_("AMD GPU"),
        "edge": N_("phone or small board"),
    },
    "users": {"one": N_("one"), "few": N_("up to ten or so"), "many": N_("dozens and more")},
    "api": {"openai": N_("OpenAI's"), "tgi": N_("TGI's (/generate)"), "library": N_("none: a Python library")},
    "model": {
        "small": N_("up to 3 billion parameters"),
        "medium": N_("up to 14 billion"),
        "large": N_("30 billion and more"),
    },
    "operations": {"kubernetes": "Kubernetes", "prometheus": "Prometheus", "ray": "Ray"},
    "licence": {"any": N_("any open one"), "apache": N_("Apache-2.0 only"), "mit": N_("MIT only")},
    "offline": {"no": N_("there is a network"), "yes": N_("no network")},
}
COURSE_MODELS = {"small": "smollm2-135m", "medium": "smollm2-1.7b", "large": "smollm2-1.7b"}
EXAMPLE_GPUS = 2
# The only one of the course whose attention heads, 32, can be shared out between two; the others have 9 and 15.
SHARED_MODEL = "smollm2-1.7b"


@dataclass(frozen=True, kw_only=True)
class Needs:
    """What is wanted; the answers are keys of ``QUESTIONS``.

    Args:
        hardware: laptop, gpu, gpus, apple, amd or edge.
        users: at once: one, few or many.
        api: openai, tgi or library.
        model: its size: small, medium or large.
        operations: any of kubernetes, prometheus and ray.
        licence: any, apache or mit.
        offline: no or yes.
    """

    hardware: str = "laptop"
    users: str = "one"
    api: str = "openai"
    model: str = "small"
    operations: tuple[str, ...] = ()
    licence: str = "any"
    offline: str = "no"

    def __post_init__(self) -> None:
        for question, answers in QUESTIONS.items():
            for answer in self.answers(question):
                if answer not in answers:
                    raise SettingsError(
                        _("{question} is {answer!r}; choose one of {answers}.").format(
                            question=question, answer=answer, answers=", ".join(answers)
                        )
                    )

    def answers(self, question: str) -> tuple[str, ...]:
        """All answers given to a question."""
        value = getattr(self, question)
        return (value,) if isinstance(value, str) else tuple(value)

    def meet(self, when: Mapping[str, tuple[str, ...]]) -> bool:
        """Whether each of these questions has one of the answers asked for."""
        return all(set(self.answers(question)) & set(answers) for question, answers in when.items())


@dataclass(frozen=True)
class Verdict:
    """An engine's place: its points, and the facts they come from, the weightiest first."""

    engine: str
    points: int
    facts: tuple[Fact, ...]

    @property
    def title(self) -> str:
        """The engine's name for people."""
        return ENGINES[self.engine]

    @property
    def ruled_out(self) -> bool:
        """Whether a fact makes it impossible."""
        return any(fact.points is None for fact in self.facts)


def rank(needs: Needs) -> tuple[Verdict, ...]:
    """The three engines, best first; those that are ruled out come last, and equals in the order of ``ENGINES``."""
    verdicts = [_verdict(engine, needs) for engine in ENGINES]
    return tuple(sorted(verdicts, key=lambda verdict: (verdict.ruled_out, -verdict.points)))


def _verdict(engine: str, needs: Needs) -> Verdict:
    facts = [fact for fact in FACTS if fact.engine == engine and needs.meet(fact.when)]
    facts.sort(key=lambda fact: (fact.points is not None, -abs(fact.points or 0)))
    return Verdict(engine, sum(fact.points or 0 for fact in facts), tuple(facts))


def others(needs: Needs) -> tuple[Other, ...]:
    """Engines beyond these three that one would look at for such needs."""
    return tuple(other for other in OTHERS if needs.meet(other.when))


def launch_settings(engine: str, needs: Needs) -> dict[str, Any]:
    """Settings of ``courselib.launch`` to begin with."""
    shared = engine != LLAMA_CPP and needs.hardware == "gpus"
    settings: dict[str, Any] = {"model": SHARED_MODEL if shared else COURSE_MODELS[needs.model]}
    if engine == LLAMA_CPP:
        slots = {"one": 1, "few": 4, "many": 16}[needs.users]
        if slots > 1:
            settings |= {"parallel": slots, "context": 1024 * slots}
    elif engine == VLLM:
        if needs.users != "one":
            settings["max_num_seqs"] = {"few": 8, "many": 64}[needs.users]
        if shared:
            settings["tensor_parallel_size"] = EXAMPLE_GPUS
    elif shared:
        settings["num_shard"] = EXAMPLE_GPUS
    return settings


def launch_line(engine: str, needs: Needs) -> str:
    """The Python that starts ``engine`` for such needs."""
    settings = launch_settings(engine, needs)
    if needs.api == "library":
        return _library_line(engine, str(settings["model"]), needs)
    arguments = "".join(f", {name}={json.dumps(value)}" for name, value in settings.items())
    return f'import courselib\n\nserver = courselib.launch("{engine}"{arguments})\n'


def _library_line(engine: str, model: str, needs: Needs) -> str:
    if engine == LLAMA_CPP:
        return f'import courselib\n\nllm = courselib.native("{model}")\n'
    if needs.hardware not in ("laptop", "apple"):
        from courselib.models import catalogue

        repository = next(entry.hf_repo for entry in catalogue() if entry.name == model)
        return f'from vllm import LLM\n\nllm = LLM("{repository}")\n'
    from courselib.engines.vllm.machine import CPU_KV_CACHE

    # On a CPU vLLM takes nearly all the memory there is, unless it is told a size, and compiles for a minute.
    sizes = f"max_model_len=1024, kv_cache_memory_bytes={CPU_KV_CACHE}, enforce_eager=True"
    prepared = f'from courselib.engines.vllm.native import prepare\n\nmodel = prepare("{model}")'
    return f"{prepared}\n\nfrom vllm import LLM\n\nllm = LLM(model, {sizes})\n"


def needs_of_this_machine() -> Needs:
    """Needs with the hardware that is here, and everything else as it usually is."""
    from courselib import machine

    if machine.apple_gpu():
        return Needs(hardware="apple")
    count = len(machine.gpus())
    return dataclasses.replace(Needs(), hardware="laptop" if not count else "gpu" if count == 1 else "gpus")
