"""The penalty microscope: one prompt, two settings, what each says again, and what penalties do at one step."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets

from courselib.controls.catalogue import CONTROLS
from courselib.controls.code import openai_arguments, programs
from courselib.controls.controls import Controls
from courselib.controls.route import Plan
from courselib.controls.routes import chat_route
from courselib.engines.server import Server
from courselib.errors import CourseError, SettingsError
from courselib.i18n import _
from courselib.observe.logits import templated, tokens_of
from courselib.panels.base import button, escape, facts_table
from courselib.panels.code_fold import CodeFold
from courselib.panels.looking import look_at
from courselib.panels.marked_text import MarkedText, loop_words, marked, rings
from courselib.panels.penalty_table import NAMES, as_html, penalty_rows, rules
from courselib.panels.source import Asking, running
from courselib.panels.worker import Coalescer, Worker
from courselib.sampling.text_repetition import compression_ratio, distinct, find_loops, repetition
from courselib.sampling.text_scripts import largest_drift
from courselib.sampling.text_spans import longest_repeat
from courselib.stream import ChatStream, Token, chat_messages
from courselib.text import spans

if TYPE_CHECKING:
    from courselib.panels.deploy import Deploy

# Of the largest values, the range in which there is something to see.
SHOWN = {
    "repetition_penalty": (0.8, 2.0),
    "presence_penalty": (-2.0, 2.0),
    "frequency_penalty": (-2.0, 2.0),
    "dry_multiplier": (0.0, 5.0),
}
MAX_TOKENS = 96
# Engines that tell of every token.
ALL_TOLD = ("llama.cpp", "vllm")
SIDES = ("A", "B")


class Side:
    """One setting of the penalties, and what it made; ``tokens`` are those of the last answer."""

    def __init__(self, name: str, values: dict[str, float]) -> None:
        self.name = name
        self.fields = {control: _slider(name, control, values.get(control)) for control in NAMES}
        self.text, self.rings, self.facts = MarkedText(), widgets.HTML(), widgets.HTML()
        said = widgets.VBox([self.text, self.rings])
        said.add_class(f"cl-text-{name.lower()}")
        self.tokens: list[Token] = []
        self.box = widgets.VBox([widgets.HTML(f"<b>{escape(name)}</b>"), *self.fields.values(), said, self.facts])
        # Beside each other where there is room for both.
        self.box.layout = widgets.Layout(min_width="0", overflow="hidden")

    @property
    def controls(self) -> Controls:
        """The likeliest token each time, so that nothing but the penalties differs."""
        values = {name: round(field.value, 4) for name, field in self.fields.items()}
        set_ = {name: value for name, value in values.items() if value != CONTROLS[name].off}
        return Controls(temperature=0, max_tokens=MAX_TOKENS, **set_)

    @property
    def data(self) -> list[bytes]:
        """The tokens' bytes."""
        return [token.data for token in self.tokens]

    def show(self, prompt: str) -> None:
        """Show the text with its repetitions, and what was measured of it."""
        self.text.parts = marked(self.data)
        self.rings.value = rings(self.data, find_loops(self.data))
        self.facts.value = facts_table([(name, value, _("measured")) for name, value in self.measures(prompt)])

    def measures(self, prompt: str) -> list[tuple[str, str]]:
        """What is measured of the answer: name and value."""
        data, known = self.data, [token.logprob for token in self.tokens if token.logprob is not None]
        repeat = longest_repeat(data)
        drift = largest_drift(prompt, [span.text for span in spans(data)])
        return [
            (_("4-grams said before"), f"{repetition(data, 4):.0%}"),
            (_("distinct pairs per token"), f"{distinct(data, 2):.2f}"),
            (_("longest repetition, tokens"), str(repeat.length if repeat else 0)),
            (_("compression ratio"), f"{compression_ratio(b''.join(data)):.1f}"),
            (_("mean log-probability"), f"{sum(known) / len(known):.2f}" if known else "-"),
            (_("drift from the prompt's scripts"), f"{drift:.0%}"),
        ]


class Penalties(Asking):
    """One prompt under two settings of the penalties, side by side.

    ``sides`` are the two; ``run`` answers with both and waits. ``step`` and ``which`` choose the token whose logits the
    table takes apart: before penalties as the engine tells them, and after each one by its formula.

    Args:
        server: who answers: a server, or the desk (``Deploy``) that may start one.
        prompt: what is asked.
        a, b: penalties of the two sides, by name; B has a frequency penalty unless told otherwise.
    """

    def __init__(
        self,
        server: Server | Deploy,
        *,
        prompt: str = "Write a poem about rain.",
        a: dict[str, float] | None = None,
        b: dict[str, float] | None = None,
    ) -> None:
        super().__init__(_("Penalties"), server, _("measured"), _("Generate"))
        self._stream: ChatStream | None = None
        self._worker = Worker(self.show_error, self._ended)
        self._looker = Worker(self.show_error, lambda: None)
        self.sides = [Side("A", a or {}), Side("B", {"frequency_penalty": 0.5} if b is None else b)]
        self.prompt = widgets.Textarea(
            value=prompt, description=_("Prompt"), rows=2, layout=widgets.Layout(width="100%")
        )
        self.prompt.add_class("cl-prompt")
        self.run_button = button(_("Generate"), "play", "cl-run", self._start)
        self.cancel_button = button(_("Cancel"), "times", "cl-cancel", self._cancel)
        self.cancel_button.disabled = True
        self.which = widgets.ToggleButtons(options=list(SIDES), description=_("Look at"))
        self.step = widgets.IntSlider(value=0, min=0, max=0, description=_("token"), continuous_update=False)
        self.step.add_class("cl-step")
        self.look_button = button(_("Take apart"), "search", "cl-look", self._look)
        self.table = widgets.HTML()
        self.table.add_class("cl-logits")
        self.rows: list[tuple[str, ...]] = []
        self.code = CodeFold()
        self._shown = Coalescer(self._show_sides)
        for field in (self.prompt, *(field for side in self.sides for field in side.fields.values())):
            field.observe(self._changed, "value")
        self.which.observe(self._fit_step, "value")
        if not isinstance(server, Server):
            server.observe(self._changed, "server")
        columns = widgets.GridBox(
            [side.box for side in self.sides],
            layout=widgets.Layout(grid_template_columns="repeat(auto-fit, minmax(320px, 1fr))", grid_gap="8px"),
        )
        self.lay_out(
            self.prompt,
            widgets.HBox([self.run_button, self.cancel_button]),
            columns,
            widgets.HBox([self.which, self.step, self.look_button], layout=widgets.Layout(flex_flow="row wrap")),
            self.table,
            self.code,
        )
        self._changed()

    def _plan(self, side: Side) -> Plan:
        return chat_route(self.engine_name).plan(side.controls)

    def _changed(self, _change: object = None) -> None:
        """Show the programs of both sides' calls, and what the engine does not honour."""
        if running(self._source) is None:
            self.code.programs, self.code.notes = {}, [_("The code appears once a server runs.")]
            return
        try:
            messages = chat_messages(self.prompt.value)
            plans = {side.name: self._plan(side) for side in self.sides}
            self.code.programs = {
                f"{name}: {client}": program
                for name, plan in plans.items()
                for client, program in programs(plan, messages, self.server.endpoint).items()
                if client in ("openai", "curl")
            }
            self.code.notes = [f"{name}: {note}" for name, plan in plans.items() for note in plan.notes]
            self.set_model(self.server.model)
            self.show_error(None)
        except CourseError as error:
            self.show_error(error)

    def _start(self, _button: object = None) -> None:
        if self._worker.busy:
            return
        for side in self.sides:
            side.tokens = []
        self.rows, self.table.value = [], ""
        self.show_error(None)
        self.run_button.disabled, self.cancel_button.disabled = True, False
        self.set_state_text(_("answering"))
        self._worker.start(self._answer, on_cancel=self._break_off)

    def _answer(self) -> None:
        messages = chat_messages(self.prompt.value)
        for side in self.sides:
            options = openai_arguments(self._plan(side)) | {"logprobs": True, "top_logprobs": 1}
            self._stream = ChatStream(self.server, messages, **options)
            for token in self._stream:
                side.tokens.append(token)
                self._shown.touch()
            if self._worker.cancelled.is_set():
                break

    def _show_sides(self) -> None:
        for side in self.sides:
            side.show(self.prompt.value)

    def _break_off(self) -> None:
        if self._stream:
            self._stream.close()

    def _cancel(self, _button: object = None) -> None:
        self._worker.cancel()

    def _ended(self) -> None:
        self._shown.touch()
        self._shown.flush()
        self._fit_step()
        self.run_button.disabled, self.cancel_button.disabled = False, True
        self.set_state_text(self._worker.outcome)

    @property
    def _side(self) -> Side:
        return self.sides[SIDES.index(self.which.value)]

    def _fit_step(self, _change: object = None) -> None:
        self.step.max = max(0, len(self._side.tokens) - 1)

    def _look(self, _button: object = None) -> None:
        self.show_error(None)
        self._looker.start(self._take_apart)

    def _take_apart(self) -> None:
        side, step = self._side, self.step.value
        if not side.tokens:
            raise SettingsError(_("There is no answer yet; press Generate, then choose one of its tokens."))
        if self.engine_name not in ALL_TOLD:
            raise SettingsError(
                _(
                    "{engine} tells of a few tokens only; logits are taken apart on llama.cpp's server and on vLLM."
                ).format(engine=self.engine_name)
            )
        start = templated(self.server, chat_messages(self.prompt.value))
        said = b"".join(side.data[:step])
        try:
            look = look_at(self.server, start + said.decode())
        except UnicodeDecodeError:
            raise SettingsError(
                _("This token is in the middle of a character; choose the one that begins it.")
            ) from None
        asked = len(tokens_of(self.server, start))
        context = replace(look.context, prompt=look.told.prompt[:asked], output=look.told.prompt[asked:])
        self.rows = penalty_rows(self.engine_name, side.controls, context, look.told)
        head = _("Side {side}, token {step}: the text so far ends with “{tail}”.").format(
            side=side.name, step=step, tail=(start + said.decode())[-30:]
        )
        self.table.value = f"<div>{escape(head)}</div>{as_html(self.rows)}{rules()}"

    def run(self, timeout_s: float = 120) -> None:
        """Answer with both sides and wait; raises what went wrong."""
        self._start()
        self._worker.wait(timeout_s)

    def look(self, side: str, step: int, timeout_s: float = 120) -> list[tuple[str, ...]]:
        """Take one step apart and wait; gives the rows of the table, the first being its heads."""
        self.which.value, self.step.value = side, step
        self._look()
        self._looker.wait(timeout_s)
        return self.rows

    def as_table(self) -> str:
        """Both texts with their loops and measures, and the step taken apart."""
        lines = [super().as_table()]
        for side in self.sides:
            lines += [f"{side.name}: {side.controls!r}", b"".join(side.data).decode("utf-8", "replace")]
            lines += [loop_words(loop) for loop in find_loops(side.data)]
            lines += [f"{name}: {value}" for name, value in side.measures(self.prompt.value)] if side.tokens else []
        return "\n".join([*lines, *(" | ".join(row) for row in self.rows)])


def _slider(side: str, name: str, value: float | None) -> Any:
    low, high = SHOWN[name]
    off: float = CONTROLS[name].off
    slider = widgets.FloatSlider(
        value=off if value is None else value,
        min=low,
        max=high,
        step=0.05,
        description=name,
        style={"description_width": "140px"},
        layout=widgets.Layout(width="100%"),
    )
    slider.add_class(f"cl-{side.lower()}-{name.replace('_', '-')}")
    return slider
