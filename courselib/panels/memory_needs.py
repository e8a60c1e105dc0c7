"""What the Memory panel must know of each engine: its inputs, its settings, what it needs, and its own command."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from courselib import machine, memory
from courselib.engines.base import AnyEngine, Command, prepared_as
from courselib.engines.launcher import make_settings
from courselib.engines.llamacpp.engine import ENGINE as LLAMACPP
from courselib.engines.llamacpp.settings import LlamaCppSettings, PreparedLlamaCpp
from courselib.engines.tgi.engine import ENGINE as TGI
from courselib.engines.tgi.settings import TgiSettings
from courselib.engines.vllm.checks import cache_options
from courselib.engines.vllm.engine import ENGINE as VLLM
from courselib.engines.vllm.settings import PreparedVllm, VllmSettings
from courselib.errors import ModelError, SettingsError
from courselib.i18n import N_, _
from courselib.memory import GIB, MIB, Model
from courselib.memory import fit as fits
from courselib.memory.fit import Fit
from courselib.models import locate

HERE = "here"
# Cards of so many GiB that can be chosen in place of what is here, and how many of them.
CARDS = {"16 GiB": (16, 1), "24 GiB": (24, 1), "80 GiB": (80, 1), "4 x 80 GiB": (80, 4)}
BUDGETS = {
    HERE: N_("what is free here"),
    "16 GiB": N_("a card of 16 GiB"),
    "24 GiB": N_("a card of 24 GiB"),
    "80 GiB": N_("a card of 80 GiB"),
    "4 x 80 GiB": N_("four cards of 80 GiB"),
}
ALL_LAYERS = 999
PORT = 8080


@dataclass(frozen=True)
class Budget:
    """Memory that a server may have.

    Args:
        each: bytes, of each card where there are some.
        cards: how many; 0 is the RAM.
        limited: whether it is a container's limit.
        here: whether it is this machine's.
    """

    each: int
    cards: int = 0
    limited: bool = False
    here: bool = True


def budget_of(name: str, engine: str, gpu_layers: int) -> Budget:
    """The budget of that name (of ``BUDGETS``), as it is now."""
    if name in CARDS:
        size, cards = CARDS[name]
        return Budget(size * GIB, cards, here=False)
    sizes = [gpu.memory_mib for gpu in machine.gpus() if gpu.memory_mib]
    if sizes and (engine != LLAMACPP.name or gpu_layers):
        return Budget(min(sizes) * MIB, len(sizes))
    found = machine.memory()
    return Budget(found.available, limited=found.limited)


@dataclass(frozen=True)
class Needs:
    """One engine.

    Args:
        engine: it.
        inputs: the panel's inputs that it has, besides those that every engine has.
    """

    engine: AnyEngine
    inputs: tuple[str, ...]

    def settings(self, values: Mapping[str, Any], budget: Budget) -> dict[str, Any]:
        """What ``launch`` takes."""
        raise NotImplementedError

    def fit(self, model: Model, values: Mapping[str, Any], budget: Budget) -> Fit:
        """What it needs, and whether that is there.

        Raises:
            SettingsError: the settings do not go together.
        """
        raise NotImplementedError

    def command(self, settings: Mapping[str, Any]) -> Command:
        """The engine's own command."""
        raise NotImplementedError

    def program(self, values: Mapping[str, Any], budget: Budget) -> str:
        """The lines that compute the same."""
        raise NotImplementedError


class LlamaCppNeeds(Needs):
    """llama.cpp: every part is predicted, and what a setting changes."""

    def settings(self, values: Mapping[str, Any], budget: Budget) -> dict[str, Any]:
        """On a CPU no layers go to a GPU; a batch is at least as long as a micro-batch."""
        names = ("model", "context", "parallel", "kv_unified", "ubatch", "cache_type_k", "cache_type_v", "flash_attn")
        layers = values["gpu_layers"] if budget.cards else 0
        return {**{name: values[name] for name in (*names, "cache_ram")}, "gpu_layers": layers}

    def _options(self, values: Mapping[str, Any], budget: Budget) -> dict[str, Any]:
        settings = make_settings(LLAMACPP, self.settings(values, budget))
        options = dataclasses.asdict(memory.llamacpp.Settings.of(settings))
        default = dataclasses.asdict(memory.llamacpp.Settings())
        return {name: value for name, value in options.items() if value != default[name]}

    def fit(self, model: Model, values: Mapping[str, Any], budget: Budget) -> Fit:
        """In RAM, or on cards."""
        options = self._options(values, budget)
        if budget.cards:
            return fits.on_gpu(model, budget.each, budget.cards, **options)
        return fits.in_ram(model, budget.each, **options)

    def command(self, settings: Mapping[str, Any]) -> Command:
        """llama-server's flags."""
        asked = make_settings(LLAMACPP, dict(settings))
        assert isinstance(asked, LlamaCppSettings)
        ready = prepared_as(PreparedLlamaCpp, asked, model=_place(asked.model))
        return LLAMACPP.command(ready, port=PORT, key="")

    def program(self, values: Mapping[str, Any], budget: Budget) -> str:
        """The estimate."""
        options = self._options(values, budget)
        call = "on_gpu" if budget.cards else "in_ram"
        return _found(call, budget, **options)


class VllmNeeds(Needs):
    """vLLM: what it reserves for the KV cache is what it was told to."""

    def settings(self, values: Mapping[str, Any], budget: Budget) -> dict[str, Any]:
        """Bytes of KV cache, or a share of the memory."""
        space = values["kv_cache_mib"]
        share = {"kv_cache_memory": space * MIB} if space else {"gpu_memory_utilization": values["utilization"]}
        names = ("model", "max_model_len", "max_num_seqs")
        shards = {"tensor_parallel_size": budget.cards} if budget.cards > 1 else {}
        return {**{name: values[name] for name in names}, **share, **shards}

    def _options(self, values: Mapping[str, Any], budget: Budget) -> dict[str, Any]:
        asked = make_settings(VLLM, self.settings(values, budget))
        assert isinstance(asked, VllmSettings)
        options = {**cache_options(asked, on_cpu=not budget.cards), "max_model_len": values["max_model_len"]}
        default = dataclasses.asdict(memory.vllm.Settings())
        options.pop("tensor_parallel_size", None)
        return {name: value for name, value in options.items() if value != default[name]}

    def fit(self, model: Model, values: Mapping[str, Any], budget: Budget) -> Fit:
        """On a CPU everything comes out of the RAM; on cards the cache is what is left."""
        options, space = self._options(values, budget), values["kv_cache_mib"] * MIB
        if budget.cards:
            share = {"utilization": values["utilization"], "kv_cache_memory": space}
            return fits.vllm_on_gpu(model, budget.each, budget.cards, **share, **options)
        if not space:
            text = _(
                "On a CPU, gpu_memory_utilization is a share of the whole machine; set the KV cache space instead."
            )
            raise SettingsError(text)
        return fits.vllm_in_ram(model, budget.each, space, **options)

    def command(self, settings: Mapping[str, Any]) -> Command:
        """``vllm serve`` and its flags."""
        asked = make_settings(VLLM, dict(settings))
        assert isinstance(asked, VllmSettings)
        return VLLM.command(prepared_as(PreparedVllm, asked), port=PORT, key="")

    def program(self, values: Mapping[str, Any], budget: Budget) -> str:
        """The fit, which holds the estimate."""
        options, space = self._options(values, budget), values["kv_cache_mib"] * MIB
        if not budget.cards:
            return _found("vllm_in_ram", budget, kv_cache_memory=space, **options)
        share = {"kv_cache_memory": space} if space else {"utilization": values["utilization"]}
        return _found("vllm_on_gpu", budget, **share, **options)


class TgiNeeds(Needs):
    """TGI: the KV cache is what is left of a card."""

    def settings(self, values: Mapping[str, Any], budget: Budget) -> dict[str, Any]:
        """Its own defaults are left out."""
        chosen = {"model": values["model"], "max_total_tokens": values["max_total_tokens"]}
        if values["memory_fraction"] < 1:
            chosen["cuda_memory_fraction"] = values["memory_fraction"]
        if values["tgi_cache"] != "bfloat16":
            chosen["kv_cache_dtype"] = values["tgi_cache"]
        return {**chosen, **({"num_shard": budget.cards} if budget.cards > 1 else {})}

    def _options(self, values: Mapping[str, Any]) -> dict[str, Any]:
        found = {
            "max_total_tokens": values["max_total_tokens"],
            "cuda_memory_fraction": values["memory_fraction"],
            "kv_cache_dtype": values["tgi_cache"],
        }
        return {name: value for name, value in found.items() if value not in (1.0, "bfloat16")}

    def fit(self, model: Model, values: Mapping[str, Any], budget: Budget) -> Fit:
        """On cards alone."""
        if not budget.cards:
            raise SettingsError(_("TGI needs a GPU, and there is none here; choose a card as the budget."))
        return fits.tgi_on_gpu(model, budget.each, budget.cards, **self._options(values))

    def command(self, settings: Mapping[str, Any]) -> Command:
        """The launcher's flags, without Docker."""
        asked = make_settings(TGI, {**settings, "binary": "text-generation-launcher"})
        assert isinstance(asked, TgiSettings)
        return TGI.command(asked, port=PORT, key="")

    def program(self, values: Mapping[str, Any], budget: Budget) -> str:
        """The fit, which holds the estimate."""
        return _found("tgi_on_gpu", budget, **self._options(values))


def _found(call: str, budget: Budget, **named: Any) -> str:
    """The lines that compute whether it fits, and print the parts."""
    memory_there = [f"{budget.each // GIB} * memory.GIB", str(budget.cards)] if budget.cards else ["available"]
    first = "" if budget.cards else "available = machine.memory().available\n"
    lines = "".join(f"    {each},\n" for each in ["model", *memory_there, *(f"{k}={v!r}" for k, v in named.items())])
    return (
        f"{first}found = memory.fit.{call}(\n{lines})\nprint(found.estimate.as_table())\n"
        "print(found.starts, found.setting, found.value)\n"
    )


def _place(model: str) -> str:
    """The file, where it is here."""
    try:
        return str(locate(model))
    except ModelError:
        return model


NEEDS: dict[str, Needs] = {
    LLAMACPP.name: LlamaCppNeeds(
        LLAMACPP,
        (
            "context",
            "parallel",
            "cache_type_k",
            "cache_type_v",
            "kv_unified",
            "ubatch",
            "flash_attn",
            "gpu_layers",
            "cache_ram",
        ),
    ),
    VLLM.name: VllmNeeds(VLLM, ("max_model_len", "kv_cache_mib", "utilization", "max_num_seqs")),
    TGI.name: TgiNeeds(TGI, ("max_total_tokens", "memory_fraction", "tgi_cache")),
}
