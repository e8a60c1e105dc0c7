"""The base of every panel that asks a live engine something and shows what came.

    inputs, form, server --asked (frozen)--> measure, in the worker --result (immutable)--> kept under asked
                                                                                                |
    code fold <--call--  drawn at most 20 times a second  --draw--> view, text twin, mark of what is out of date

A panel declares its inputs (``fields``) and writes what is its own (``Recipe``): ``call``, the call whose programs the
**Code** fold shows; ``measure``, which asks the server and yields results; and ``draw`` with ``lines``, a result as a
picture and as text. The rest is done once, here: one job at a time, which can be cancelled; no request in the kernel's
own thread; a result is shown as that of its own server and settings only, or marked as another's; drawing happens in
one place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import ipywidgets as widgets
import traitlets

from courselib.controls.controls import Controls
from courselib.engines.server import Server
from courselib.errors import CourseError, PanelBusy, Unreachable
from courselib.i18n import _
from courselib.panels.asked import Asked, Kept
from courselib.panels.base import button, escape
from courselib.panels.code_fold import CodeFold
from courselib.panels.controls_form import ControlsForm
from courselib.panels.fields import Text, fields_of
from courselib.panels.fold import Fold
from courselib.panels.recordable import Recordable
from courselib.panels.recording import NoServer, Recording, answering, read
from courselib.panels.run import Run
from courselib.panels.server_facts import FACTS_WAIT_S, ServerFacts, facts_of, forget, number_of, wait_for_facts
from courselib.panels.state import WORDS, State
from courselib.panels.worker import Coalescer, Worker

if TYPE_CHECKING:
    from courselib.panels.deploy import Deploy

Measure: TypeAlias = Callable[[Run], Iterator[Any]]
ROW = {"flex_flow": "row wrap", "align_items": "center", "grid_gap": "4px 8px"}


class Experiment(Recordable):
    """A panel that asks one server; see the module's text.

    The trait ``result`` is what belongs to the inputs as they stand, ``None`` if there is nothing; ``state`` how the
    panel stands; ``progress`` how much of how much is done. All may be observed.

    Args:
        source: who answers: a server, or the panel (``Deploy``) that may start one; none, with a recording.
        controls: what the form holds at first, where the panel has one.
        recording: what is shown as long as no server runs: a file that ``record`` wrote, or one of the course's own.
        values: inputs by name, where they differ from their defaults, or from those of the recording.

    Raises:
        SettingsError: an input does not take its value, or the recording cannot be opened.
    """

    prompt = Text("", label="Prompt")
    state = traitlets.UseEnum(State, State.READY)
    result = traitlets.Any(None)
    progress = traitlets.Any((0, 0))

    def __init__(
        self,
        source: Server | Deploy | None = None,
        *,
        controls: Controls | None = None,
        recording: str | Path | Recording | None = None,
        **values: Any,
    ) -> None:
        self._recording = kept = None if recording is None else read(recording, type(self).__name__)
        self._source = answering(source, kept)
        super().__init__(_(self.heading), self._source.engine_name, _(self.origin_words))
        self._kept = Kept()
        self._outcome: tuple[Asked, State] | None = None
        self._fault: BaseException | None = None
        self._drawing = Coalescer(self._draw)
        self._worker = Worker(self._failed, self._ended)
        self._fields = fields_of(type(self))
        recorded = kept.inputs(self._fields) if kept else {}
        first = kept.given_controls() if kept else self.first_controls
        shown = self.recorded_rules(kept) if kept else {}
        for name, value in {**recorded, **shown, **values}.items():
            if name not in self._fields:
                raise TypeError(f"{type(self).__name__} has no input {name!r}; it has {', '.join(self._fields)}")
            setattr(self, name, value)
        self.inputs = {name: field.widget(self) for name, field in self._fields.items()}
        self.form = ControlsForm(controls or first, groups=self.groups) if self.groups else None
        self.run_button = button(_(self.press), self.icon, "cl-run", lambda _button: self._press())
        self.run_button.button_style = "primary"
        self.cancel_button = button(_("Cancel"), "times", "cl-cancel", lambda _button: self.cancel())
        self.cancel_button.disabled = True
        self.bar = widgets.IntProgress(value=0, min=0, max=1, layout=widgets.Layout(width="160px", display="none"))
        self.stale = widgets.HTML()
        self.stale.add_class("cl-stale")
        self.code = CodeFold(title=_(self.code_title) if self.code_title else "")
        self.page.submit_to(self._press)
        self._measured: Asked | None = None
        self.view = self.make_view()
        self.view.add_class("cl-view")
        self.lay_out(*self._arranged())
        self.observe(self._changed, list(self._fields))
        if self.form:
            self.form.observe(self._changed, "entries")
        if not isinstance(self._source, Server):
            self._source.observe(self._changed, "server")
        if kept:
            self._open(kept, recorded)
        self._changed()

    def _arranged(self) -> list[widgets.Widget]:
        own = [self.inputs[name] for name, field in self._fields.items() if name != "prompt" and not field.folded]
        rare = [self.inputs[name] for name, field in self._fields.items() if field.folded]
        body = widgets.Box([*self.make_beside(), widgets.VBox([self.stale, self.view])])
        body.add_class("cl-body")
        buttons = [self.run_button, *self.make_buttons(), self.cancel_button, self.bar]
        rows = [widgets.HBox(row, layout=widgets.Layout(**ROW)) for row in (own, buttons) if row]
        folded = [Fold(_("More settings"), widgets.HBox(rare, layout=widgets.Layout(**ROW)))] if rare else []
        prompt = [self.inputs["prompt"]] if "prompt" in self.inputs else []
        return [*prompt, *rows, *folded, *self.make_forms(), body, self.code]

    def make_beside(self) -> list[widgets.Widget]:
        """What stands beside the result: the form, where there is one."""
        return [self.form] if self.form else []

    @property
    def server(self) -> Server:
        """Who answers.

        Raises:
            Unreachable: it belongs to a ``Deploy`` panel, where no server runs.
        """
        if server := self._running():
            return server
        text = _("No server runs; press Start in the Deploy panel, then {button}.")
        if isinstance(self._source, NoServer):
            text = _("This is a recording; to measure, give the panel a server of your own, then press {button}.")
        raise Unreachable(text.format(button=_(self.press)))

    def _running(self) -> Server | None:
        return self._source if isinstance(self._source, Server) else self._source.server

    @property
    def asked(self) -> Asked:
        """What would be asked now.

        Raises:
            SettingsError: the form holds what is no value of a control.
        """
        server = self._running()
        values = tuple((name, getattr(self, name)) for name, field in self._fields.items() if field.sent)
        controls = self.form.controls if self.form and self.sends_controls else None
        return Asked(number_of(server) if server else 0, values, controls)

    def start(self, measure: Measure | None = None) -> None:
        """Begin to measure, in the background.

        Args:
            measure: what is done, where a panel can do more than one thing; ``self.measure`` by default.

        Raises:
            PanelBusy: it is measuring already.
            SettingsError, Unreachable: it cannot be asked so, or there is no server.
        """
        if self._worker.busy or not self._worker.start(self._job(measure or self.measure)):
            raise PanelBusy(_("This panel is still at work; wait for its end, or press Cancel."))
        self._show_start()

    def follow(self, measure: Measure) -> None:
        """Begin to measure, or do it after what is under way; for what a person clicks several times in a row.

        Raises:
            SettingsError, Unreachable: it cannot be asked so, or there is no server.
        """
        begins = not self._worker.busy
        self._worker.follow(self._job(measure))
        if begins:
            self._show_start()

    def _job(self, measure: Measure) -> Callable[[], None]:
        run = Run(self.server, self.asked, self._worker, self._show_progress)
        forget(run.server)
        self._fault = None
        return lambda: self._measure(run, measure)

    def _show_start(self) -> None:
        self._drawing.touch()
        self._drawing.flush()  # a button that still looks as if it could be pressed is pressed again

    @property
    def is_busy(self) -> bool:
        """Whether a job is under way."""
        return self._worker.busy

    def cancel(self) -> None:
        """End the job under way, and what it waits for; what it has measured so far is kept."""
        self._worker.cancel()

    def wait(self, timeout_s: float = 120) -> None:
        """Wait until nothing is under way and all is drawn; raises the job's error, once."""
        try:
            self._worker.wait(timeout_s)
        finally:
            self._drawing.flush()  # which asks a server that is new here for its facts
            if server := self._running():
                wait_for_facts(server, FACTS_WAIT_S)
            self._drawing.flush()

    def run(self, timeout_s: float = 300) -> Any:
        """Measure, wait, and give the result; raises what went wrong."""
        self.start()
        self.wait(timeout_s)
        return self.result

    def _press(self, prompt: str | None = None) -> None:
        """The button, or its key; with the key comes the prompt, which may not have come yet by itself."""

        def begin() -> None:
            if prompt is not None:
                self.prompt = prompt
            self.start()

        self.attempt(begin)

    def attempt(self, act: Callable[[], None]) -> None:
        """Do what was clicked, and show why it cannot be done."""
        try:
            act()
        except CourseError as error:
            self._fault = error
            self._drawing.touch()

    def _measure(self, run: Run, measure: Measure) -> None:
        self.progress = (0, 0)
        self._measured = run.asked = self._with_model(run)
        run.before = self._kept.get(run.asked)
        for result in measure(run):
            self._kept.put(run.asked, result)
            self._drawing.touch()
            if run.cancelled:
                return

    def _with_model(self, run: Run) -> Asked:
        """What is asked, with the name of the model, which may not have been known when the button was pressed."""
        facts_of(run.server, self._drawing.touch)
        return replace(run.asked, model=wait_for_facts(run.server, FACTS_WAIT_S).model)

    def _show_progress(self, done: int, of: int) -> None:
        self.progress = (done, of)
        self._drawing.touch()

    def _failed(self, error: BaseException) -> None:
        """A server that its ``Deploy`` panel has ended meanwhile is not an error of this panel."""
        server = self._running()
        if not self._measured or (server and number_of(server) == self._measured.server):
            self._fault = error

    def _ended(self) -> None:
        """The job's last act, in its thread."""
        cancelled = self._worker.cancelled.is_set()
        state = State.FAILED if self._worker.error else State.CANCELLED if cancelled else State.DONE
        self._outcome = (self._measured, state) if self._measured else None
        self._drawing.touch()
        self._drawing.flush()

    def _changed(self, _change: object = None) -> None:
        """An input, a control or the server has changed."""
        if not self._worker.busy:
            self._fault = None
        self._drawing.touch()

    # Drawing: by the coalescer alone.

    def _draw(self) -> None:
        server, facts = self._running(), self.facts_at_hand()
        self.set_model(facts.model)
        self.set_remark(facts.remark if self.chats else "")
        asked, fault = None, self._fault
        try:
            asked = self.asked
            self._show_call(asked, facts)
            self._show_result(asked)
        except CourseError as error:
            fault = error
        self._show_state(asked, server)
        self.show_error(fault or facts.error)

    def _show_call(self, asked: Asked, facts: ServerFacts) -> None:
        found = self.call(asked, facts)
        if found is None:
            return
        plan, prompt = found
        if self.form:
            self.form.show(plan)
        notes = self.notes(plan, asked)
        if facts.endpoint is None:
            self.code.programs, self.code.notes = {}, [_("The code appears once a server runs."), *notes]
        else:
            self.code.programs, self.code.notes = self.programs(plan, prompt, asked, facts.endpoint), notes

    def _show_result(self, asked: Asked) -> None:
        own = self._kept.get(asked)
        self.result = own
        here = self.known(asked) if own is None else own
        latest = None if here is not None else self._kept.latest()
        shown, of = (here, asked) if latest is None else (latest[1], latest[0])
        self.stale.value = "" if latest is None else f"<p>{escape(self._why_stale(latest[0], asked))}</p>"
        (self.add_class if latest else self.remove_class)("cl-out-of-date")
        self._show_origin(of, shown)
        self.draw(shown, of)

    def _why_stale(self, of: Asked, asked: Asked) -> str:
        if recorded := self._why_recorded(of, asked):
            return recorded
        if of.server != asked.server:
            model = f" ({of.model})" if of.model else ""
            return _("This is from another server{model}. Press {button}.").format(model=model, button=_(self.press))
        names = ", ".join(of.changed_in(asked))
        return _("Changed since this result: {names}. Press {button}.").format(names=names, button=_(self.press))

    def _show_state(self, asked: Asked | None, server: Server | None) -> None:
        busy = self._worker.busy
        self.run_button.disabled, self.cancel_button.disabled = busy, not busy
        done, of = self.progress
        self.bar.max, self.bar.value = max(of, 1), done
        self.bar.layout.display = "" if busy and of else "none"
        self.state = State.BUSY if busy else self._state_at_rest(asked, server)
        self.show_header(self._busy_words() if busy else _(WORDS[self.state]))

    def _state_at_rest(self, asked: Asked | None, server: Server | None) -> State:
        if server is None:
            return State.WAITING if self.result is None else State.RECORDED
        if self._outcome and self._outcome[0] == asked:
            return self._outcome[1]
        return State.DONE if self.result is not None else State.READY

    def _busy_words(self) -> str:
        return _(self.at_work)

    def set_state_text(self, state: str) -> None:
        """Say in the header what the panel is doing; ``state`` is a trait of its own here."""
        self.show_header(state)
