"""Where a server's memory goes: predicted before it starts, then measured with just these settings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import ipywidgets as widgets

from courselib import machine, memory
from courselib.engines.llamacpp.values import CACHE_RAM_MIB, CACHE_TYPES
from courselib.engines.registry import engine_words
from courselib.errors import CourseError, OutOfMemory, SettingsError
from courselib.i18n import N_, _
from courselib.memory import MIB
from courselib.memory.fit import Fit
from courselib.models import CATALOGUE
from courselib.panels import shapes
from courselib.panels.asked import Asked
from courselib.panels.base import escape
from courselib.panels.desk_facts import python_program, wrapped
from courselib.panels.fields import Choice, Flag, Name, Number, Whole
from courselib.panels.launching import Launching
from courselib.panels.memory_needs import ALL_LAYERS, BUDGETS, HERE, NEEDS, Budget, budget_of
from courselib.panels.memory_run import MemoryRun, later_parts, lines_of, measured, packed, predicted_sizes, unpacked
from courselib.panels.memory_verdict import Verdict, notes_of, refused, verdict
from courselib.panels.memory_view import (
    asked_words,
    bars_of,
    calibration_svg,
    measured_html,
    parts_html,
    scrolling,
    sizes_of,
    stacked_svg,
)
from courselib.panels.recording import read
from courselib.panels.run import Run
from courselib.panels.shapes import LLAMACPP, Shapes
from courselib.panels.still import framed

MODELS = (*(model.name for model in CATALOGUE), *memory.known_models())
UBATCHES = (32, 64, 128, 256, 512, 1024, 2048)
STEPS = 2


@dataclass(frozen=True)
class Ahead:
    """What is known of settings before a start: the budget, what is needed (None where it is not known), the answer."""

    budget: Budget
    fit: Fit | None
    verdict: Verdict


class Memory(Launching):
    """Where the bytes of a server go, whether it would start, and what it takes when it does.

    ``result`` is a tuple of ``MemoryRun``: all starts so far, the one with the settings at hand last. ``verdict`` is
    the answer to "would this start?". **Measure** starts the engine with the settings, measures and stops it; other
    servers keep running.

    Args:
        engine: the engine chosen at first: ``llama.cpp``, ``vllm`` or ``tgi``; that of the recording, if there is one.
        recording: measurements that are shown beside those made here.
        values: inputs: ``model``, ``budget``, and those that the engine has, under the names of its settings.
    """

    heading, origin_words, press = N_("Memory"), N_("predicted: simulated; Measure: measured here"), N_("Measure")
    at_work, icon, code_title = N_("starting"), "balance-scale", N_("The same without this panel")

    model = Name(CATALOGUE[0].name, offered=MODELS, label=N_("Model"), help=N_("a name, a file, or a place on the hub"))
    engine = Choice(list(NEEDS), names={"vllm": "vLLM", "tgi": "TGI"}, label=N_("Engine"))
    budget = Choice(list(BUDGETS), names=BUDGETS, sent=False, label=N_("Budget"), help=N_("the memory there is"))
    context = Whole(4096, low=1, high=1 << 20, help=N_("tokens of KV cache, shared out to the slots"))
    parallel = Whole(1, low=1, high=256, help=N_("slots: requests served at once"))
    cache_type_k = Choice(CACHE_TYPES, default="f16", help=N_("number format of the keys"))
    cache_type_v = Choice(CACHE_TYPES, default="f16", help=N_("number format of the values"))
    kv_unified = Flag(False, help=N_("all slots share one KV cache"))
    ubatch = Choice(UBATCHES, default=512, help=N_("tokens computed in one pass"))
    flash_attn = Choice(["auto", "on", "off"], help=N_("FlashAttention"))
    gpu_layers = Whole(ALL_LAYERS, low=0, high=ALL_LAYERS, help=N_("layers on the GPU; 999 is all"))
    # Nothing of it is taken at a start, so measurements do not depend on it.
    cache_ram = Whole(
        CACHE_RAM_MIB, low=0, high=1 << 20, sent=False, help=N_("MiB of RAM for the prompts of earlier requests")
    )
    max_model_len = Whole(2048, low=1, high=1 << 20, help=N_("tokens of the longest request"))
    kv_cache_mib = Whole(
        512, low=0, high=1 << 20, label=N_("KV cache, MiB"), help=N_("0: what gpu_memory_utilization leaves")
    )
    utilization = Number(
        0.92, low=0.05, high=1, step=0.01, label=N_("utilization"), help=N_("share of the GPU's memory")
    )
    max_num_seqs = Whole(16, low=1, high=4096, help=N_("requests computed at once"))
    max_total_tokens = Whole(4096, low=2, high=1 << 20, help=N_("tokens of the longest request"))
    memory_fraction = Number(1.0, low=0.05, high=1, step=0.05, help=N_("cuda_memory_fraction"))
    tgi_cache = Choice(list(memory.tgi.BYTES), label="kv_cache_dtype", help=N_("number format of the KV cache"))

    def __init__(self, engine: str = "", *, recording: str | Path | None = None, **values: Any) -> None:
        first = engine or (read(recording, "Memory").engine if recording else LLAMACPP)
        self._shapes = Shapes(lambda: self._drawing.touch())
        self._ahead: Ahead | None = None
        super().__init__(first, recording=recording, **{**({"engine": engine or first}), **values})
        self.add_class("cl-memory")
        for each in self.inputs.values():
            each.style.description_width = "110px"
            if isinstance(each, widgets.Checkbox):
                each.indent, each.layout.width = True, "300px"

    # The view.

    def make_view(self) -> widgets.VBox:
        """The answer, the bars, the parts, what was measured, and all starts so far."""
        self.answer, self.bytes, self.parts, self.found, self.plot = (widgets.HTML() for _number in range(5))
        for each, css in ((self.answer, "cl-answer"), (self.found, "cl-found"), (self.plot, "cl-calibration")):
            each.add_class(css)
        return widgets.VBox([self.answer, self.bytes, self.parts, self.found, self.plot])

    def model_words(self) -> str:
        """The model's name."""
        return str(self.model).rsplit("/", 1)[-1]

    def engine_words(self) -> str:
        """The engine's name."""
        return engine_words(self.engine)

    @property
    def verdict(self) -> Verdict | None:
        """Whether it would start, with the setting to change; ``None`` while the model's header is being read."""
        self._drawing.flush()
        return self._ahead.verdict if self._ahead else None

    @property
    def estimate(self) -> memory.Estimate | None:
        """The parts, where they are known."""
        self._drawing.flush()
        return self._ahead.fit.estimate if self._ahead and self._ahead.fit else None

    def _values(self, asked: Asked) -> dict[str, Any]:
        return {**dict(asked.values), "cache_ram": self.cache_ram}

    def _look_ahead(self, asked: Asked) -> Ahead | None:
        """What is known before a start.

        Raises:
            CourseError: the model is not known.
        """
        values = self._values(asked)
        budget = budget_of(self.budget, values["engine"], values["gpu_layers"])
        shape = self._shapes.get(values["model"], values["engine"])
        if shape is None:
            return None
        try:
            found = NEEDS[values["engine"]].fit(shape, values, budget)
        except CourseError as error:
            return Ahead(budget, None, refused(error))
        return Ahead(budget, found, verdict(found, budget))

    def draw(self, result: Any, asked: Asked) -> None:  # noqa: ARG002 - it depends on all that is kept
        """The answer, the bars and the plot."""
        self._show_inputs()
        own, runs = self._runs(asked)
        self._ahead = None
        try:
            self._ahead = ahead = self._look_ahead(asked)
        except CourseError:
            self.answer.value = self.bytes.value = self.parts.value = ""
            raise
        finally:
            self.found.value = measured_html(own, self._origin(own)) if own else ""
            self.plot.value = calibration_svg(runs) if runs else ""
        if ahead is None:
            self.answer.value = f"<p role='status'>{escape(_('Reading the header of the model …'))}</p>"
            self.bytes.value = self.parts.value = ""
            return
        self.answer.value = _answer_html(ahead.verdict)
        self.bytes.value = self._bars(ahead, own) if ahead.fit else ""
        notes = notes_of(ahead.fit, self._values(asked)) if ahead.fit else []
        quiet = "".join(f"<div class='cl-quiet'>{escape(note)}</div>" for note in notes)
        on_gpu = bool(ahead.budget.cards) and self.engine == LLAMACPP
        self.parts.value = parts_html(ahead.fit.estimate, on_gpu=on_gpu) + quiet if ahead.fit else ""

    def _bars(self, ahead: Ahead, own: MemoryRun | None) -> str:
        assert ahead.fit is not None
        words = _("free for this process") if ahead.budget.here else _(BUDGETS[self.budget])
        shown = own if ahead.budget.here else None
        later = later_parts(self.engine, on_cards=bool(ahead.budget.cards))
        sizes = sizes_of(ahead.fit.estimate, on_gpu=bool(ahead.budget.cards))
        bars = bars_of(sizes, shown, later=later, measured=self._origin(own))
        return scrolling(stacked_svg(bars, ahead.fit.available, words))

    def _origin(self, run: MemoryRun | None) -> str:
        return _("measured here") if run is None or run.here else _("recorded")

    def _runs(self, asked: Asked) -> tuple[MemoryRun | None, tuple[MemoryRun, ...]]:
        """The last start with these settings, and all starts."""
        latest = self._kept.latest()
        runs: tuple[MemoryRun, ...] = latest[1] if latest else ()
        return _of(runs, asked), runs

    def _show_inputs(self) -> None:
        """Only what the engine has, and what counts with this budget."""
        has = {"model", "engine", "budget", *NEEDS[self.engine].inputs}
        if self.engine == LLAMACPP and not (self._ahead and self._ahead.budget.cards) and self.budget == HERE:
            has.discard("gpu_layers" if not machine.gpus() else "")
        for name, each in self.inputs.items():
            each.layout.display = "" if name in has else "none"

    # Measuring.

    def measure(self, run: Run) -> Iterator[tuple[MemoryRun, ...]]:
        """Start the engine, look, and stop it."""
        asked, values = run.asked.values, self._values(run.asked)
        if values["model"] in memory.known_models():
            text = _("Only the shape of {model} is known here; to measure, choose a model that is on this machine.")
            raise SettingsError(text.format(model=values["model"]))
        needs, budget = NEEDS[values["engine"]], budget_of(HERE, values["engine"], values["gpu_layers"])
        shape = self._shapes.get(values["model"], values["engine"])
        predicted = {}
        if shape is not None:
            found = needs.fit(shape, values, budget)
            self._refuse_what_would_not_start(found, budget)
            later = later_parts(values["engine"], on_cards=bool(budget.cards))
            predicted = predicted_sizes(found.estimate, later)
        run.progress(0, STEPS)
        with self.launch(run, values["engine"], needs.settings(values, budget)) as server:
            run.progress(1, STEPS)
            done = measured(server, asked, predicted, budget.each)
        run.progress(STEPS, STEPS)
        yield (*self._runs(run.asked)[1], done)

    def _refuse_what_would_not_start(self, fit: Fit, budget: Budget) -> None:
        """A system that runs out of memory ends programs as it likes, this kernel among them."""
        found = verdict(fit, budget)
        if found.answer == "no" and not fit.is_close:
            raise OutOfMemory(found.sentence)

    # The same without the panel.

    def code_of(self, asked: Asked) -> tuple[dict[str, str], list[str]]:
        """The estimate, the launch, and the engine's own command."""
        values = self._values(asked)
        needs, budget = NEEDS[self.engine], budget_of(self.budget, self.engine, values["gpu_layers"])
        try:
            settings = needs.settings(values, budget)
            command = needs.command(settings)
            shape = shapes.program(values["model"], self.engine, *([] if budget.cards else ["machine"]))
            estimate = shape + needs.program(values, budget)
        except CourseError as error:
            return {}, [str(error)]
        launch = python_program(needs.engine, settings) + "print(server.memory())\n"
        programs = {"courselib.memory": estimate, "courselib.launch": launch, _("terminal"): wrapped(command.line())}
        return programs, []

    # Text and recordings.

    def lines(self, result: Any, asked: Asked) -> list[str]:
        """The answer, the parts, what was measured, and all starts; of a recording, only what is always the same."""
        if not asked.server:
            return _run_lines(_of(result, asked), result, _("recorded"))
        ahead = self._ahead
        text = [ahead.verdict.sentence] if ahead else []
        if ahead and ahead.fit:
            text += [*ahead.fit.estimate.as_table().splitlines(), *notes_of(ahead.fit, self._values(asked))]
        own, runs = self._runs(asked)
        return [*text, *_run_lines(own, runs, self._origin(own))]

    def pack(self, result: tuple[MemoryRun, ...]) -> list[dict[str, Any]]:
        """All starts."""
        return [packed(run) for run in result]

    def unpack(self, found: Any) -> tuple[MemoryRun, ...]:
        """The starts again, as recorded ones."""
        runs = tuple(map(unpacked, found))
        # Inputs are given back as the fields keep them.
        checked = tuple(
            replace(run, asked=tuple((name, self._fields[name].checked(value)) for name, value in run.asked))
            for run in runs
        )
        if not checked:
            raise ValueError("no start")
        return checked

    def still(self, result: Any, asked: Asked, caption: str) -> dict[str, str]:
        """The bars, against what there was when it was measured: always the same."""
        own = _of(result, asked) or result[-1]
        sizes = [(name, size) for name, size in own.predicted.items() if name != "resident"]
        bars = bars_of(sizes, own, later=later_parts(own.engine, on_cards=False), measured=_("recorded"))
        return framed(stacked_svg(bars, own.available, _("free then"), legend=True), caption)


def _of(runs: tuple[MemoryRun, ...], asked: Asked) -> MemoryRun | None:
    """The last start with these settings."""
    return next((run for run in reversed(runs) if run.asked == asked.values), None)


def _run_lines(own: MemoryRun | None, runs: tuple[MemoryRun, ...], origin: str) -> list[str]:
    text = []
    if own:
        text += [_("predicted (simulated), then {origin}, and the error:").format(origin=origin), *lines_of(own)]
    for run in runs:
        predicted = run.predicted.get("resident")
        if predicted and run is not own:
            words = _("{asked}: predicted {predicted:.1f} MiB, measured {measured:.1f} MiB, {error:+.1%}")
            text.append(
                words.format(
                    asked=asked_words(run),
                    predicted=predicted / MIB,
                    measured=run.resident / MIB,
                    error=predicted / run.resident - 1,
                )
            )
    return text


def _answer_html(found: Verdict) -> str:
    sign = {"yes": "✓", "no": "✕"}.get(found.answer, "!")
    return (
        f"<div role='status' class='cl-would cl-would-{found.answer}'><b>{escape(_('Would this start?'))} {sign}</b> "
        f"{escape(found.sentence)}</div>"
    )
