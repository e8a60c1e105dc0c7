"""Choose an engine's settings, see the command change, start it, watch it, stop it."""

from __future__ import annotations

import dataclasses
import threading
from pathlib import Path
from typing import Any

import ipywidgets as widgets
import traitlets

from courselib.engines.launch import launch, make_settings
from courselib.engines.llamacpp import CACHE_TYPES, ENGINE, LlamaCppSettings, default_threads, kv_cache_bytes
from courselib.engines.server import Server
from courselib.environment import cores, gpus
from courselib.errors import CourseError
from courselib.i18n import _
from courselib.models import CATALOGUE, gguf_header, locate
from courselib.panels.base import Panel, button, escape, facts_table
from courselib.panels.code_fold import CodeFold
from courselib.panels.worker import Coalescer, Worker, thread

MIB = 1 << 20
LOG_LINES = 7
LOG_CHARACTERS = 100_000
EXAMPLE_PORT = 8080
WATCH_PERIOD_S = 1.0
CONTEXTS = (256, 512, 1024, 2048, 4096, 8192)
BATCHES = (32, 64, 128, 256, 512, 1024, 2048)
WIDE = {"description_width": "130px"}


class Cancelled(Exception):
    """A start was broken off on request."""


class Deploy(Panel):
    """A control desk for one llama.cpp server.

    The trait ``server`` is the running server or None; ``settings()`` what is chosen. The server stops with the
    panel's Stop, or with the kernel.
    """

    server: Server | None = traitlets.Any(None, allow_none=True)  # type: ignore[assignment]

    def __init__(self, **settings: Any) -> None:
        super().__init__(_("Deploy"), ENGINE.name, _("measured, where not marked otherwise"))
        self._worker = Worker(self._failed, self._ended)
        self._watch_stop = threading.Event()
        self._has_gpu = bool(gpus())
        self.fields = _fields(LlamaCppSettings(**settings))
        self.fields["gpu_layers"].disabled = not self._has_gpu
        for field in self.fields.values():
            field.observe(self._changed, "value")
        self.start_button = button(_("Start"), "play", "cl-start", self._start)
        self.stop_button = button(_("Stop"), "stop", "cl-stop", self._stop)
        self.stop_button.disabled = True
        self.code = CodeFold(title=_("The command"))
        self.code.opened = True
        self.code.add_class("cl-command")
        self.facts = widgets.HTML()
        self.log_view = widgets.HTML()
        self.log_view.add_class("cl-log-box")
        self._ticker = Coalescer(self._show_elapsed)
        grid = widgets.GridBox(
            list(self.fields.values()),
            layout=widgets.Layout(grid_template_columns="repeat(auto-fill, minmax(300px, 1fr))"),
        )
        buttons = widgets.HBox([self.start_button, self.stop_button])
        self.lay_out(grid, self.code, buttons, self.facts, self.log_view)
        self._changed()

    def settings(self) -> dict[str, Any]:
        """What is chosen, as ``launch`` takes it."""
        values = {name: field.value for name, field in self.fields.items()}
        if not self._has_gpu:
            values.pop("gpu_layers")
        return values

    def _changed(self, _change: object = None) -> None:
        """A setting was moved."""
        self.show_error(None)
        self._refresh()

    def _refresh(self) -> None:
        """Show the command for what is chosen and the memory it will need, or what is wrong."""
        try:
            settings = make_settings(ENGINE, self.settings())
            assert isinstance(settings, LlamaCppSettings)
            file = locate(settings.model)
            shown = dataclasses.replace(settings, model=str(file), alias=Path(settings.model).name)
            self._show_command(ENGINE.command(shown, port=EXAMPLE_PORT, key="").line())
            self._predict(settings)
            self.set_model(Path(settings.model).name)
            self.start_button.disabled = False
        except CourseError as error:
            self.show_error(error)
            self.start_button.disabled = True

    def _show_command(self, command: str) -> None:
        wrapped = command.replace(" --", " \\\n  --")
        self.code.programs = {_("terminal"): wrapped, "Python": _python(self.settings())}
        self.code.notes = [_("Put LLAMA_API_KEY=… in front of the command to make clients send that key.")]

    def _predict(self, settings: LlamaCppSettings) -> None:
        header = gguf_header(locate(settings.model))
        self._predicted = {"weights": header.weights_bytes, "kv_cache": kv_cache_bytes(settings, header)}
        weights, kv_cache = (size / MIB for size in self._predicted.values())
        rows = [
            (_("weights"), f"{weights:.2f} MiB", _("simulated: from the file's header")),
            (_("KV cache"), f"{kv_cache:.2f} MiB", _("simulated: by the formula")),
        ]
        if not self._has_gpu:
            rows.append(("gpu_layers", "-", _("not honoured here: no GPU")))
        self.facts.value = facts_table(rows)

    def _start(self, _button: object = None) -> None:
        self.show_error(None)
        self._set_running(True)
        self.set_state_text(_("starting"))
        self._worker.start(self._run)

    def _run(self) -> None:
        try:
            server = launch(ENGINE.name, on_wait=self._waiting, **self.settings())
        finally:
            self._ticker.flush()  # an elapsed time shown later would undo the state that follows
        self.server = server
        self._show_command(server.command)
        seconds = server.start_s or 0.0
        self.set_state_text(_("running, first token after {seconds:.1f} s").format(seconds=seconds))
        self._watch_stop.clear()
        thread(self._watch, server).start()

    def _waiting(self, elapsed_s: float) -> None:
        if self._worker.cancelled.is_set():
            raise Cancelled
        self._elapsed_s = elapsed_s
        self._ticker.touch()

    def _show_elapsed(self) -> None:
        if self.server is None:
            self.set_state_text(_("starting, {seconds:.1f} s").format(seconds=self._elapsed_s))

    def _watch(self, server: Server) -> None:
        """Show memory, speed and log once a second until the server stops."""
        while not self._watch_stop.is_set():
            try:
                self._show_facts(server)
            except CourseError as error:
                if not self._watch_stop.is_set():
                    self.show_error(error)
                    self._stopped()
                return
            except Exception as error:  # noqa: BLE001 - a thread's exception is otherwise seen by nobody
                self.show_error(error)
                return
            self._watch_stop.wait(WATCH_PERIOD_S)

    def _show_facts(self, server: Server) -> None:
        memory, speed = server.memory(), self._speed_rows(server)
        reported, measured = _("measured: the engine's log"), _("measured: the operating system")
        predicted = _("measured: the engine's log; predicted were {size:.2f} MiB")
        sizes = [
            (_("weights"), memory.weights, predicted.format(size=self._predicted["weights"] / MIB)),
            (_("KV cache"), memory.kv_cache, predicted.format(size=self._predicted["kv_cache"] / MIB)),
            (_("compute buffer"), memory.compute, reported),
            (_("in RAM now (RSS)"), memory.rss, measured),
        ]
        rows = [(name, f"{size / MIB:.2f} MiB", origin) for name, size, origin in sizes if size is not None]
        self.facts.value = facts_table(rows + speed)
        tail = "\n".join(newest_lines(server.logs(), LOG_LINES))
        self.log_view.value = (
            f"<div class='cl-newest' tabindex='0' role='log' aria-live='off' aria-label='{escape(_('log'))}'>"
            f"<pre class='cl-log'>{escape(tail)}</pre></div>"
        )

    def _speed_rows(self, server: Server) -> list[tuple[str, str, str]]:
        origin = _("measured: the engine's metrics")
        if not self.fields["metrics"].value:
            server.check()
            return [(_("tokens a second"), "-", _("not told: the server was started without metrics"))]
        metrics = server.metrics()
        speed = f"{metrics.tokens_per_s:.1f}" if metrics.tokens_per_s else "-"
        return [(_("tokens a second"), speed, origin), (_("requests running"), str(metrics.running), origin)]

    def _stop(self, _button: object = None) -> None:
        self._worker.cancel()
        self._watch_stop.set()
        if self.server:
            self._worker.start(self._stop_server)

    def _stop_server(self) -> None:
        assert self.server is not None
        self.server.stop()
        self.server = None

    def _failed(self, error: BaseException) -> None:
        if not isinstance(error, Cancelled):
            self.show_error(error)

    def _ended(self) -> None:
        if self.server is None:
            self._stopped()

    def _stopped(self) -> None:
        self._watch_stop.set()
        self.server = None
        self._set_running(False)
        self.set_state_text(_("stopped"))
        self._refresh()

    def _set_running(self, running: bool) -> None:
        self.start_button.disabled = running
        self.stop_button.disabled = not running
        for field in self.fields.values():
            field.disabled = running
        self.fields["gpu_layers"].disabled = running or not self._has_gpu

    def wait(self, timeout_s: float = 60) -> None:
        """Wait until a start or stop under way is done; raises what it raised."""
        self._worker.wait(timeout_s)

    def as_table(self) -> str:
        """The settings and the state as plain text."""
        chosen = "\n".join(f"{name:<16}{value}" for name, value in self.settings().items())
        return f"{super().as_table()}\n{chosen}"


def newest_lines(log: str, count: int) -> list[str]:
    """The last lines of a log; one that only repeats the line before, but for its time, replaces that.

    llama.cpp writes "all slots are idle" each time its metrics are read, which would push out all else.
    """
    lines: list[str] = []
    for line in log[-LOG_CHARACTERS:].splitlines():
        if lines and lines[-1].partition(" ")[2] == line.partition(" ")[2]:
            lines.pop()
        lines.append(line)
    return lines[-count:]


def _fields(settings: LlamaCppSettings) -> dict[str, Any]:
    """One control for each setting taught, under the setting's own name."""
    here = [model.name for model in CATALOGUE]
    top = max(2, 2 * cores())

    def common(name: str) -> dict[str, Any]:
        return {"description": name, "style": WIDE, "layout": widgets.Layout(width="300px")}

    def choice(name: str, options: Any) -> widgets.Dropdown:
        return widgets.Dropdown(options=options, value=getattr(settings, name), **common(name))

    def check(name: str) -> widgets.Checkbox:
        return widgets.Checkbox(value=getattr(settings, name), indent=True, **common(name))

    fields = {
        "model": widgets.Combobox(options=here, value=settings.model, ensure_option=False, **common("model")),
        "context": choice("context", _with(CONTEXTS, settings.context)),
        "parallel": widgets.IntSlider(value=settings.parallel, min=1, max=16, **common("parallel")),
        "threads": widgets.IntSlider(value=settings.threads or default_threads(), min=1, max=top, **common("threads")),
        "batch": choice("batch", _with(BATCHES, settings.batch)),
        "ubatch": choice("ubatch", _with(BATCHES, settings.ubatch)),
        "gpu_layers": widgets.IntSlider(value=settings.gpu_layers or 0, min=0, max=99, **common("gpu_layers")),
        "cache_type_k": choice("cache_type_k", CACHE_TYPES),
        "cache_type_v": choice("cache_type_v", CACHE_TYPES),
        "flash_attn": choice("flash_attn", ("auto", "on", "off")),
        "mlock": check("mlock"),
        "cont_batching": check("cont_batching"),
        "metrics": check("metrics"),
    }
    for name, field in fields.items():
        field.add_class(f"cl-{name.replace('_', '-')}")
    return fields


def _with(options: tuple[int, ...], value: int) -> list[int]:
    return sorted({*options, value})


def _python(settings: dict[str, Any]) -> str:
    """The launch that the chosen settings amount to, defaults left out."""
    defaults = {field.name: field.default for field in dataclasses.fields(LlamaCppSettings)}
    given = {name: value for name, value in settings.items() if value != defaults[name]}
    arguments = "".join(f"    {name}={value!r},\n" for name, value in given.items())
    return f'import courselib\n\nserver = courselib.launch(\n    "llama.cpp",\n{arguments})\n'
