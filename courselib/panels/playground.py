"""Ask a server something and watch it answer, token by token."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import ipywidgets as widgets

from courselib.answers.stream import Answer, ChatStream, chat_messages
from courselib.controls.catalogue import CONTROLS
from courselib.controls.controls import Controls
from courselib.controls.presets import PRESETS
from courselib.controls.route import Plan
from courselib.controls.routes import chat_route
from courselib.errors import CourseError
from courselib.i18n import N_, _
from courselib.panels.asked import Asked
from courselib.panels.controls_form import ControlsForm
from courselib.panels.experiment import Experiment
from courselib.panels.fields import Text
from courselib.panels.packed_answers import pack_reply, unpack_reply
from courselib.panels.reply import Reply, facts_html, panel_arguments, panel_notes, reply_of, reply_still, used_html
from courselib.panels.run import Run
from courselib.panels.server_facts import FACTS_WAIT_S, ServerFacts, wait_for_facts
from courselib.panels.token_text import TokenText, token_lines

# Enough for an answer, and the same one when asked again.
FIRST_CONTROLS = Controls(max_tokens=128, seed=42)


class Playground(Experiment):
    """A chat with one server.

    ``result`` is the answer to the inputs at hand (``Reply``), ``answer`` what was measured of it; ``form`` holds the
    controls, ``answer_view`` shows the tokens, ``code`` the programs that make the same request. An answer stays in
    view until the next one begins, and is marked once the settings have changed.

    Args:
        source: who answers: a server, or the panel (``Deploy``) that may start one; nobody, with a recording.
        controls: what the form holds at first.
        values: inputs: ``prompt``, ``system``.
    """

    heading, origin_words, press = N_("Playground"), N_("measured"), N_("Send")
    at_work, icon = N_("answering"), "paper-plane"
    groups = tuple(dict.fromkeys(control.group for control in CONTROLS.values()))
    first_controls = FIRST_CONTROLS
    chats = True

    form: ControlsForm
    prompt = Text("", rows=3, label=N_("Prompt"), help=N_("the text that the model answers; Ctrl+Enter sends it"))
    system = Text(
        "", label=N_("System prompt"), folded=True,
        help=N_("instructions that come before the prompt, such as how to answer"),
    )  # fmt: skip

    def make_beside(self) -> list[widgets.Widget]:
        """The controls, folded, below a choice of settings to start from."""
        self.form.opened = False
        self.presets = _preset_chooser()
        self.presets.observe(self._take_preset, "value")
        self.form.observe(self._name_preset, "entries")
        self._name_preset()
        return [widgets.VBox([self.presets, self.form])]

    def make_view(self) -> widgets.VBox:
        """The tokens, what was measured of them, and what the server reports that it used."""
        self._showing = threading.Lock()
        self._growing: Reply | None = None
        self._shown: Reply | None = None
        self.answer_view = TokenText()
        self.facts, self.used_view = widgets.HTML(), widgets.HTML()
        return widgets.VBox([self.answer_view, self.facts, self.used_view])

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

    @property
    def answer(self) -> Answer | None:
        """What was measured of the answer to the inputs at hand; ``None`` without one."""
        self._drawing.flush()
        return self.result.answer if self.result else None

    def plan(self) -> Plan:
        """The next request: what is sent for the controls, and what becomes of each.

        Raises:
            SettingsError: the form holds what is no value of a control.
        """
        return self._plan(self.asked, self.facts_at_hand())

    def ask(self, prompt: str, timeout_s: float = 120) -> str:
        """Send ``prompt`` as if it had been typed, wait for the answer, and return its text."""
        self.prompt = prompt
        reply = self.run(timeout_s)
        return reply.text if reply else ""

    def call(self, asked: Asked, facts: ServerFacts) -> tuple[Plan, list[dict[str, str]]]:
        """The request that Send makes."""
        return self._plan(asked, facts), chat_messages(asked.prompt.strip() or _("Hello"), asked.system)

    def _plan(self, asked: Asked, facts: ServerFacts) -> Plan:
        assert asked.controls is not None
        return chat_route(self.engine_name).plan(asked.controls, defaults=facts.defaults, origin=facts.origin)

    def notes(self, plan: Plan, asked: Asked) -> list[str]:  # noqa: ARG002
        """What the engine does not honour, and what the panel asks for besides."""
        return [*plan.notes, *panel_notes(plan.controls)]

    def measure(self, run: Run) -> Iterator[Reply]:
        """The answer: as it begins, and when it has ended. What came before it broke off is kept."""
        messages = chat_messages(run.asked.prompt, run.asked.system)
        plan = self._plan(run.asked, wait_for_facts(run.server, FACTS_WAIT_S))
        stream = ChatStream(run.server, messages, **panel_arguments(plan))
        run.breaks_off(stream.close)
        broken: CourseError | None = None
        try:
            for token in stream:
                if run.cancelled:
                    break
                if self._growing is None:
                    yield self._begin(stream)
                self.answer_view.feed(token)
        except CourseError as error:
            broken = error
        finally:
            reply = self._finish(stream, plan)
        if reply:
            yield reply
        if broken:
            raise broken

    def _begin(self, stream: ChatStream) -> Reply:
        """The first token has come: the earlier answer gives way to this one."""
        with self._showing:
            self._growing = Reply(None, stream.ttft_s)
            self.answer_view.clear()
            return self._growing

    def _finish(self, stream: ChatStream, plan: Plan) -> Reply | None:
        with self._showing:
            if self._growing is None:
                return None
            self._growing = None
            self.answer_view.finish()
            self._shown = reply_of(stream, tuple(self.answer_view.spans), plan)
            return self._shown

    def draw(self, result: Reply | None, asked: Asked) -> None:  # noqa: ARG002
        """An answer and its numbers; one that grows is drawn by ``answer_view`` itself, token by token."""
        with self._showing:
            shown = self._growing or result
            if shown is not self._shown and not self._growing:
                self._shown = shown
                self.answer_view.show(shown.spans or () if shown else ())
        self.facts.value = facts_html(shown)
        self.used_view.value = used_html(shown.used if shown else ())

    def lines(self, result: Reply, asked: Asked) -> list[str]:  # noqa: ARG002
        """The tokens with their probabilities."""
        return token_lines(result.spans or ())

    def pack(self, result: Reply) -> dict[str, Any]:
        """The answer, its tokens with their probabilities, and what was measured."""
        return pack_reply(result)

    def unpack(self, packed: Any) -> Reply:
        """The answer again."""
        return unpack_reply(packed)

    def still(self, result: Reply, asked: Asked, caption: str) -> dict[str, str]:
        """The answer, and its first tokens as a table."""
        return reply_still(result, asked.prompt, caption)

    def _why_stale(self, of: Asked, asked: Asked) -> str:
        if of.server != asked.server:
            return super()._why_stale(of, asked)
        names = ", ".join(of.changed_in(asked))
        return _("Settings changed since this answer: {names}. Code shows the next request.").format(names=names)


def _preset_chooser() -> widgets.Dropdown:
    chooser = widgets.Dropdown(
        options=[(_("settings of your own"), ""), *((_(name), name) for name in PRESETS)],
        description=_("start from"),
        style={"description_width": "110px"},
        layout=widgets.Layout(width="100%", max_width="460px"),
    )
    chooser.add_class("cl-presets")
    return chooser
