"""One server's part of a panel: its controls, its answer as it comes, what was measured of it, the code of the call."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets

from courselib.controls.code import openai_arguments, programs
from courselib.controls.controls import Controls
from courselib.controls.effective import Used, compare, told_settings
from courselib.controls.presets import PRESETS
from courselib.controls.route import Plan
from courselib.controls.routes import chat_route
from courselib.engines.server import Server
from courselib.errors import CourseError
from courselib.i18n import _
from courselib.observe.effective import server_defaults
from courselib.panels.base import error_line, escape, facts_table
from courselib.panels.code_fold import CodeFold
from courselib.panels.controls_form import ControlsForm
from courselib.panels.source import running, server_of
from courselib.panels.token_text import TokenText
from courselib.panels.worker import Worker
from courselib.stream import Answer, ChatStream, chat_messages

if TYPE_CHECKING:
    from courselib.panels.deploy import Deploy

TOP_LOGPROBS = 5


class Column:
    """A chat with one server.

    Its widgets are ``presets``, ``form``, ``answer_view``, ``facts``, ``used_view``, ``error_line`` and ``code``.
    ``answer`` holds what was measured of the last answer, ``used`` what the engine says of the controls, if anything.

    Args:
        source: who answers: a server, or the desk (``Deploy``) that may start one.
        controls: what the form holds at first.
        opened: whether the form's first group is open.
        on_change: called, from any thread, when ``state`` or ``model`` has changed.
    """

    def __init__(
        self, source: Server | Deploy, controls: Controls, *, opened: bool, on_change: Callable[[], None]
    ) -> None:
        self.source = source
        self.answer: Answer | None = None
        self.used: list[Used] = []
        self.answering = False
        self.state = _("ready")
        self.model = ""
        self._on_change = on_change
        self._stream: ChatStream | None = None
        self._defaults: tuple[Server, dict[str, Any], str] | None = None
        self._worker = Worker(self._show_error, self._ended)
        self.form = ControlsForm(controls, opened=opened)
        self.presets = _preset_chooser()
        self.presets.observe(self._take_preset, "value")
        self.form.observe(self._name_preset, "entries")
        self._name_preset()
        self.answer_view = TokenText()
        self.facts = widgets.HTML()
        self.used_view = widgets.HTML()
        self.code = CodeFold()
        self.code.add_class("cl-code-fold")
        self.error_line = widgets.HTML()
        self.error_line.add_class("cl-error-line")

    @property
    def engine_name(self) -> str:
        """The engine that answers."""
        return self.source.engine_name

    @property
    def server(self) -> Server:
        """Who answers.

        Raises:
            Unreachable: it is a desk's, and none runs there.
        """
        return server_of(self.source, _("Send"))

    def plan(self) -> Plan:
        """The next call: what is sent for the controls, and what becomes of each.

        Raises:
            SettingsError: the form holds what is no value of a control.
        """
        defaults, origin = self._server_defaults()
        return chat_route(self.engine_name).plan(self.form.controls, defaults=defaults, origin=origin)

    def _server_defaults(self) -> tuple[dict[str, Any], str]:
        """What this very server applies where nothing is sent; asked for once, and empty where it does not say."""
        import httpx

        server = running(self.source)
        if server is None:
            return {}, ""
        if self._defaults is None or self._defaults[0] is not server:
            try:
                self._defaults = (server, *server_defaults(server))
            except httpx.HTTPError:
                return {}, ""  # what is wrong with the server is told by the call itself
        return self._defaults[1:]

    def _take_preset(self, _change: object) -> None:
        if self.presets.value:
            self.form.controls = PRESETS[self.presets.value]

    def _name_preset(self, _change: object = None) -> None:
        """Show the preset that the form holds, or that it holds none."""
        try:
            controls = self.form.controls
        except CourseError:
            controls = None
        self.presets.value = next((name for name, preset in PRESETS.items() if preset == controls), "")

    def refresh(self, prompt: str, system: str) -> None:
        """Show what becomes of each control, and the programs of the call that ``start`` would make now."""
        try:
            plan = self.plan()
            self.form.show(plan)
            self._show_code(plan, prompt, system)
            self._show_error(None)
        except CourseError as error:
            self._show_error(error)
        self._on_change()

    def _show_code(self, plan: Plan, prompt: str, system: str) -> None:
        if running(self.source) is None:
            self.code.programs = {}
            self.code.notes = [_("The code appears once a server runs."), *plan.notes]
            return
        messages = chat_messages(prompt or _("Hello"), system)
        self.code.programs = programs(plan, messages, self.server.endpoint)
        self.code.notes = [*plan.notes, *_panel_notes(plan.controls)]
        self.model = self.server.model

    def start(self, prompt: str, system: str) -> None:
        """Ask in the background; nothing happens while an answer is under way."""
        if self._worker.busy:
            return
        self.refresh(prompt, system)
        self.answer, self.used = None, []
        self.facts.value = self.used_view.value = ""
        self.answer_view.clear()
        self._set_state(_("answering"), answering=True)
        self._worker.start(lambda: self._run(prompt, system), on_cancel=self._break_off)

    def cancel(self) -> None:
        """Break off the answer under way, if there is one."""
        self._worker.cancel()

    def wait(self, timeout_s: float) -> None:
        """Wait until the answer under way is done; raises what it raised."""
        self._worker.wait(timeout_s)

    def _break_off(self) -> None:
        if self._stream:
            self._stream.close()

    def _run(self, prompt: str, system: str) -> None:
        messages = chat_messages(prompt, system)
        plan = self.plan()
        stream = self._stream = ChatStream(self.server, messages, **_panel_arguments(plan))
        if self._worker.cancelled.is_set():
            return
        begun = False
        try:
            for token in stream:
                self.answer_view.feed(token)
                if not begun:
                    begun = True
                    self.facts.value = facts_table([_first_token(stream.ttft_s)])
        finally:
            self.answer_view.finish()
        if stream.answer:
            self.answer = stream.answer
            self.facts.value = facts_table(answer_facts(stream.answer))
            if told := told_settings(stream.told):
                self.used = compare(plan, told)
                self.used_view.value = _used_table(self.used)

    @property
    def text(self) -> str:
        """The answer, or as much of it as has come."""
        return self.answer.text if self.answer else self.answer_view.text

    def _ended(self) -> None:
        self._set_state(self._worker.outcome)

    def _set_state(self, state: str, *, answering: bool = False) -> None:
        self.state, self.answering = state, answering
        self._on_change()

    def _show_error(self, error: BaseException | None) -> None:
        self.error_line.value = "" if error is None else error_line(error)


def _preset_chooser() -> widgets.Dropdown:
    chooser = widgets.Dropdown(
        options=[(_("settings of your own"), ""), *((_(name), name) for name in PRESETS)],
        description=_("start from"),
        style={"description_width": "110px"},
        layout=widgets.Layout(width="100%", max_width="460px"),
    )
    chooser.add_class("cl-presets")
    return chooser


def answer_facts(answer: Answer) -> list[tuple[str, str, str]]:
    """What is known of an answer: name, value, where that comes from."""
    speed = "-" if answer.tokens_per_s is None else f"{answer.tokens_per_s:.1f}"
    return [
        _first_token(answer.ttft_s),
        (_("tokens a second"), speed, _("measured")),
        (_("finish reason"), answer.finish_reason, _("the engine's word")),
        (_("prompt tokens"), str(answer.prompt_tokens or "-"), _("counted by the engine")),
        (_("answer tokens"), str(answer.completion_tokens), _("counted by the engine")),
    ]


def _first_token(seconds: float | None) -> tuple[str, str, str]:
    shown = "-" if seconds is None else f"{1000 * seconds:.0f} ms"
    return _("time to first token"), shown, _("measured")


def _used_table(used: list[Used]) -> str:
    """The engine's word on each control, folded; what is not as asked, or as expected, is marked."""

    def shown(value: Any) -> str:
        return "-" if value is None else repr(value)

    heads = ("", _("asked"), _("used"), "", "")
    rows = [
        (row.control, shown(row.asked), shown(row.used), row.origin, _("≠ differs") if row.differs else "")
        for row in used
    ]
    head = "".join(f"<th scope='col'>{escape(word)}</th>" for word in heads)
    body = "".join(
        f"<tr><th scope='row'>{escape(name)}</th>" + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>"
        for name, *cells in rows
    )
    return (
        f"<details class='cl-used'><summary>{escape(_('What the engine says it used'))}</summary>"
        f"<table class='cl-told'><tr>{head}</tr>{body}</table></details>"
    )


def _panel_arguments(plan: Plan) -> dict[str, Any]:
    """The call's arguments, with what only the panel wants: probabilities, and llama.cpp's word on what it used."""
    options = openai_arguments(plan)
    if plan.controls.logprobs is None:
        options |= {"logprobs": True, "top_logprobs": TOP_LOGPROBS}
    if plan.route.engine == "llama.cpp":
        options["extra_body"] = {**options.get("extra_body", {}), "verbose": True}
    return options


def _panel_notes(controls: Controls) -> list[str]:
    """Where the panel's own call is not the program's."""
    notes = [_("The panel asks for log-probabilities and for what the engine used as well; the text stays as it is.")]
    if controls.n is not None and controls.n > 1:
        notes.append(_("The panel shows the first of the answers."))
    return notes
