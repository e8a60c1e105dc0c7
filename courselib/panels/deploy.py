"""Choose an engine's settings, see the command change, start it, watch it, stop it."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Mapping, Sequence
from typing import Any

import ipywidgets as widgets
import traitlets

from courselib.engines.base import Engine
from courselib.engines.launch import launch, make_settings
from courselib.engines.server import Server
from courselib.environment import gpus
from courselib.errors import CourseError
from courselib.i18n import N_, _
from courselib.panels.base import Panel, button, escape, facts_table
from courselib.panels.code_fold import CodeFold
from courselib.panels.desks import chosen, desk_of
from courselib.panels.worker import Coalescer, Worker, thread

MIB = 1 << 20
LOG_LINES = 7
LOG_CHARACTERS = 100_000
# What ``Memory`` holds, in the order shown.
SIZES = {
    "weights": N_("weights"),
    "kv_cache": N_("KV cache"),
    "kv_cache_tokens": N_("tokens in the KV cache"),
    "compute": N_("compute buffer"),
    "rss": N_("in RAM now (RSS)"),
}
WATCH_PERIOD_S = 1.0


class Cancelled(Exception):
    """A start was broken off on request."""


class Deploy(Panel):
    """A control desk for one server.

    The trait ``server`` is the running server or None; ``settings()`` what is chosen. The server stops with the
    panel's Stop, or with the kernel.

    Args:
        engine: which engine, as ``launch`` takes it.
        settings: what the fields hold at first.

    Raises:
        SettingsError: there is no desk for the engine, or it has no such setting.
    """

    server: Server | None = traitlets.Any(None, allow_none=True)  # type: ignore[assignment]

    def __init__(self, engine: str = "llama.cpp", **settings: Any) -> None:
        super().__init__(_("Deploy"), engine, _("measured, where not marked otherwise"))
        self._desk = desk_of(engine)
        self._worker = Worker(self._failed, self._ended)
        self._watch_stop = threading.Event()
        self._has_gpu = bool(gpus())
        self.fields: dict[str, Any] = self._desk.fields(make_settings(self._desk.engine, settings))
        for name, field in self.fields.items():
            field.add_class(f"cl-{name.replace('_', '-')}")
            field.disabled = name in self._unheard
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
            layout=widgets.Layout(grid_template_columns=f"repeat(auto-fill, minmax({self._desk.style[0]}, 1fr))"),
        )
        buttons = widgets.HBox([self.start_button, self.stop_button])
        self.lay_out(grid, self.code, buttons, self.facts, self.log_view)
        self._changed()

    @property
    def _unheard(self) -> tuple[str, ...]:
        """Settings that nothing honours on this machine."""
        return () if self._has_gpu else self._desk.gpu_only

    def settings(self) -> dict[str, Any]:
        """What is chosen, as ``launch`` takes it."""
        return {name: chosen(field) for name, field in self.fields.items() if name not in self._unheard}

    def _changed(self, _change: object = None) -> None:
        """A setting was moved."""
        self.show_error(None)
        self._refresh()

    def _refresh(self) -> None:
        """Show the command for what is chosen and the memory it will need, or what is wrong."""
        try:
            preview = self._desk.preview(self.settings())
            self._show_command(preview.command, preview.notes)
            self._predicted = dict(preview.predicted)
            self._show_predicted(preview.lost)
            self.set_model(preview.model)
            self.start_button.disabled = False
        except CourseError as error:
            self.show_error(error)
            self.start_button.disabled = True

    def _show_command(self, command: str, notes: Sequence[str]) -> None:
        wrapped = command.replace(" --", " \\\n  --")
        python = _python(self._desk.engine, self.settings())
        self.code.programs = {_("terminal"): wrapped, "Python": python}
        self.code.notes = list(notes)

    def _show_predicted(self, lost: Mapping[str, str]) -> None:
        formula, header = _("simulated: by the formula"), _("simulated: from the file's header")
        rows = [
            (_(SIZES[name]), size_words(name, size), header if name == "weights" else formula)
            for name, size in self._predicted.items()
        ]
        lost = {**{name: _("no GPU") for name in self._unheard}, **lost}
        rows += [(name, "-", _("not honoured here: {reason}").format(reason=reason)) for name, reason in lost.items()]
        self.facts.value = facts_table(rows)

    def _start(self, _button: object = None) -> None:
        self.show_error(None)
        self._set_running(True)
        self._phase, self._elapsed_s = "", 0.0
        self.set_state_text(_("starting"))
        self._worker.start(self._run)

    def _run(self) -> None:
        try:
            server = launch(self._desk.engine.name, on_wait=self._waiting, on_phase=self._in_phase, **self.settings())
        finally:
            self._ticker.flush()  # an elapsed time shown later would undo the state that follows
        self.server = server
        self._show_command(server.command, self.code.notes)
        seconds = server.start_s or 0.0
        self.set_state_text(_("running, first token after {seconds:.1f} s").format(seconds=seconds))
        self._watch_stop.clear()
        thread(self._watch, server).start()

    def _waiting(self, elapsed_s: float) -> None:
        if self._worker.cancelled.is_set():
            raise Cancelled
        self._elapsed_s = elapsed_s
        self._ticker.touch()

    def _in_phase(self, phase: str, _elapsed_s: float) -> None:
        self._phase = phase

    def _show_elapsed(self) -> None:
        if self.server is None:
            words = _("starting: {phase}, {seconds:.1f} s") if self._phase else _("starting, {seconds:.1f} s")
            self.set_state_text(words.format(phase=self._phase, seconds=self._elapsed_s))

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
        memory = server.memory()
        rows = []
        for name, words in SIZES.items():
            if (size := getattr(memory, name)) is None:
                continue
            origin = _("measured: the operating system") if name == "rss" else _("measured: the engine's log")
            if name in self._predicted:
                predicted = size_words(name, self._predicted[name])
                origin = _("{origin}; predicted were {size}").format(origin=origin, size=predicted)
            rows.append((_(words), size_words(name, size), origin))
        self.facts.value = facts_table(rows + self._speed_rows(server))
        tail = "\n".join(newest_lines(server.logs(), LOG_LINES))
        self.log_view.value = (
            f"<div class='cl-newest' tabindex='0' role='log' aria-live='off' aria-label='{escape(_('log'))}'>"
            f"<pre class='cl-log'>{escape(tail)}</pre></div>"
        )

    def _speed_rows(self, server: Server) -> list[tuple[str, str, str]]:
        origin = _("measured: the engine's metrics")
        if "metrics" in self.fields and not self.fields["metrics"].value:
            server.check()
            return [(_("tokens a second"), "-", _("not told: the server was started without metrics"))]
        metrics = server.metrics()
        speed = f"{metrics.tokens_per_s:.1f}" if metrics.tokens_per_s else "-"
        at_work = _("{running}, {waiting} waiting").format(running=metrics.running, waiting=metrics.waiting)
        return [(_("tokens a second"), speed, origin), (_("requests running"), at_work, origin)]

    def _stop(self, _button: object = None) -> None:
        self._worker.cancel()
        self._watch_stop.set()
        if self.server:
            self._worker.start(self._stop_server)

    def _stop_server(self) -> None:
        if self.server:
            self.server.stop()
            self.server = None

    def _failed(self, error: BaseException) -> None:
        if not isinstance(error, Cancelled):
            self.show_error(error)

    def _ended(self) -> None:
        if self._worker.cancelled.is_set():  # Stop was pressed at the moment of its first token, perhaps
            self._stop_server()
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
        for name, field in self.fields.items():
            field.disabled = running or name in self._unheard

    def wait(self, timeout_s: float = 60) -> None:
        """Wait until a start or stop under way is done; raises what it raised."""
        self._worker.wait(timeout_s)

    def as_table(self) -> str:
        """The settings and the state as plain text."""
        width = max(map(len, self.fields)) + 2
        chosen = "\n".join(f"{name:<{width}}{value}" for name, value in self.settings().items())
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


def size_words(name: str, size: int) -> str:
    """A size of ``Memory`` for people."""
    return str(size) if name == "kv_cache_tokens" else f"{size / MIB:.2f} MiB"


def _python(engine: Engine, settings: Mapping[str, Any]) -> str:
    """The launch that the chosen settings amount to, defaults left out."""
    defaults = {field.name: field.default for field in dataclasses.fields(engine.settings_type)}
    given = {name: value for name, value in settings.items() if value != defaults[name]}
    arguments = "".join(f"    {name}={value!r},\n" for name, value in given.items())
    return f'import courselib\n\nserver = courselib.launch(\n    "{engine.name}",\n{arguments})\n'
