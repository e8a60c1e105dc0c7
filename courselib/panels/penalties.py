"""The penalty microscope: one prompt, two settings, what each says again, and what penalties do at one step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets

from courselib.answers.stream import ChatStream, chat_messages
from courselib.controls.catalogue import CONTROLS, REPETITION
from courselib.controls.code import openai_arguments, programs
from courselib.controls.controls import Controls
from courselib.controls.route import Plan
from courselib.controls.routes import chat_route
from courselib.engines.endpoint import Endpoint
from courselib.errors import SettingsError
from courselib.i18n import N_, _
from courselib.observe.logits import templated
from courselib.panels.answer_ids import answer_ids
from courselib.panels.asked import Asked
from courselib.panels.base import escape
from courselib.panels.controls_form import ControlsForm
from courselib.panels.experiment import Experiment, Measure
from courselib.panels.fields import Text, Whole
from courselib.panels.looking import applied, look_at
from courselib.panels.packed_answers import pack_pair, unpack_pair
from courselib.panels.penalty_sides import SIDES, Apart, Pair, Said, SideView
from courselib.panels.penalty_table import apart_html, pair_still, penalty_rows
from courselib.panels.recording import Recording
from courselib.panels.run import Run
from courselib.panels.server_facts import ServerFacts
from courselib.panels.state import State

if TYPE_CHECKING:
    from courselib.engines.server import Server
    from courselib.panels.deploy import Deploy

# Engines that tell of every token.
ALL_TOLD = ("llama.cpp", "vllm")
# Of side A and of side B.
FIRST = (Controls(), Controls(frequency_penalty=0.5))
COLUMNS = "repeat(auto-fit, minmax(min(100%, 320px), 1fr))"


class Penalties(Experiment):
    """One prompt under two settings of the penalties, A and B, side by side.

    ``result`` holds both answers (``Pair``). A click on a token, or ``look``, takes its step apart: its rivals' logits
    before penalties as the engine tells them, and after each one by its formula.

    Args:
        source: who answers: a server, or the panel (``Deploy``) that may start one; nobody, with a recording.
        a: penalties of side A, by name; none, if not given, or those of the recording.
        b: penalties of side B; a frequency penalty, if not given, or those of the recording.
        values: inputs: ``prompt``, ``max_tokens``.
    """

    heading, origin_words = N_("Penalties"), N_("measured")
    press, at_work = N_("Generate"), N_("asking")
    chats = True

    prompt = Text("Write a poem about rain.", label=N_("Prompt"))
    max_tokens = Whole(96, low=1, high=512, help=CONTROLS["max_tokens"].sentence)

    def __init__(
        self,
        source: Server | Deploy | None = None,
        *,
        a: Mapping[str, Any] | None = None,
        b: Mapping[str, Any] | None = None,
        **values: Any,
    ) -> None:
        self._given = (a, b)
        super().__init__(source, **values)

    def make_forms(self) -> list[widgets.Widget]:
        """The penalties of both sides, beside each other where there is room."""
        recorded = self._recorded_sides(self._recording) if self._recording else FIRST
        pairs = zip(self._given, recorded, strict=True)
        first = [known if given is None else Controls(**given) for given, known in pairs]
        self.forms = tuple(ControlsForm(each, groups=(REPETITION,), opened=False) for each in first)
        boxes = []
        for name, form in zip(SIDES, self.forms, strict=True):
            form.observe(self._changed, "entries")
            boxes.append(widgets.VBox([widgets.HTML(f"<b>{escape(name)}</b>"), form]))
            boxes[-1].add_class(f"cl-form-{name.lower()}")
        return [_columns(boxes)]

    def make_view(self) -> widgets.VBox:
        """Both answers, the table of the step taken apart, and the measures."""
        self.views = tuple(SideView(name, partial(self._picked, side)) for side, name in enumerate(SIDES))
        self.table = widgets.HTML()
        self.table.add_class("cl-logits")
        self.observe(self._show_busy, "state")
        return widgets.VBox([_columns(self.views), self.table, _columns([view.facts for view in self.views])])

    def _show_busy(self, _change: object) -> None:
        for view in self.views:
            view.text.busy = self.state == State.BUSY

    @property
    def a(self) -> Controls:
        """The penalties of side A."""
        return self.forms[0].controls

    @a.setter
    def a(self, controls: Controls) -> None:
        self.forms[0].controls = controls

    @property
    def b(self) -> Controls:
        """The penalties of side B."""
        return self.forms[1].controls

    @b.setter
    def b(self, controls: Controls) -> None:
        self.forms[1].controls = controls

    # The calls.

    @property
    def asked(self) -> Asked:
        """What would be asked now, the penalties of both sides in it."""
        asked = super().asked
        return replace(asked, values=(*asked.values, ("a", self.a), ("b", self.b)))

    def call(self, asked: Asked, facts: ServerFacts) -> tuple[Plan, list[dict[str, str]]]:
        """That of side A; ``programs`` has both."""
        plans = [self._plan(asked, side, facts.defaults, facts.origin) for side in range(len(SIDES))]
        for form, plan in zip(self.forms, plans, strict=True):
            form.show(plan)
        return plans[0], chat_messages(asked.prompt or _("Hello"))

    def _plan(self, asked: Asked, side: int, defaults: Mapping[str, Any] | None = None, origin: str = "") -> Plan:
        """The likeliest token each time, so that nothing but the penalties differs."""
        controls = (asked.a, asked.b)[side].with_(temperature=0, max_tokens=asked.max_tokens)
        return chat_route(self.engine_name).plan(controls, defaults=defaults, origin=origin)

    def programs(self, plan: Plan, prompt: Any, asked: Asked, endpoint: Endpoint) -> dict[str, str]:  # noqa: ARG002
        """Those of both sides."""
        return {
            f"{name}: {client}": program
            for side, name in enumerate(SIDES)
            for client, program in programs(self._plan(asked, side), prompt, endpoint).items()
            if client in ("openai", "curl")
        }

    def notes(self, plan: Plan, asked: Asked) -> list[str]:  # noqa: ARG002
        """Those of both sides."""
        return [f"{name}: {note}" for side, name in enumerate(SIDES) for note in self._plan(asked, side).notes]

    # What is asked of the engine, in a thread.

    def measure(self, run: Run) -> Iterator[Pair]:
        """Both answers, one after the other, token by token."""
        sides = [Said(), Said()]
        for side in range(len(SIDES)):
            for said in self._answer(run, side):
                sides[side] = said
                yield Pair((sides[0], sides[1]))
            if run.cancelled:
                return

    def _answer(self, run: Run, side: int) -> Iterator[Said]:
        options = self._options(run.asked, side)
        if self.engine_name == "vllm":
            options["extra_body"] = {**options.get("extra_body", {}), "return_token_ids": True}
        stream = ChatStream(run.server, chat_messages(run.asked.prompt), **options)
        run.breaks_off(stream.close)
        said = Said()
        for token in stream:
            said = replace(said, tokens=(*said.tokens, token), prompt=tuple(stream.told.get("prompt_token_ids") or ()))
            yield said
        if stream.answer:
            yield replace(said, prompt_tokens=stream.answer.prompt_tokens)

    def _options(self, asked: Asked, side: int) -> dict[str, Any]:
        return openai_arguments(self._plan(asked, side)) | {"logprobs": True, "top_logprobs": 1}

    def _picked(self, side: int, step: int) -> None:
        """A click on a token; it waits for what is under way."""
        self.attempt(lambda: self.follow(self._take_apart(side, step)))

    def _take_apart(self, side: int, step: int) -> Measure:
        def take_apart(run: Run) -> Iterator[Pair]:
            pair: Pair | None = run.before
            if pair is None or step >= len(pair.sides[side].tokens):
                raise SettingsError(_("There is no such token yet; press Generate, then choose a token of an answer."))
            if self.engine_name not in ALL_TOLD:
                text = _(
                    "{engine} reports only a few tokens; logits can be taken apart on llama.cpp's server and on vLLM."
                )
                raise SettingsError(text.format(engine=self.engine_name))
            said = self._with_ids(run, side, pair.sides[side])
            rows = self._rows(run, side, said, step)
            sides = (said, pair.sides[1]) if side == 0 else (pair.sides[0], said)
            yield Pair(sides, Apart(side, step, said.before(step), rows))

        return take_apart

    def _with_ids(self, run: Run, side: int, said: Said) -> Said:
        """The answer with the ids of its tokens and of its prompt's, of which the engine must have counted as many."""
        if said.ids is not None:
            return said
        messages = chat_messages(run.asked.prompt)
        prompt = said.prompt or templated(run.server, messages)
        if said.prompt_tokens not in (None, len(prompt)):
            text = _("The engine read {n} tokens as the prompt and its template makes {m}; no step can be taken apart.")
            raise SettingsError(text.format(n=said.prompt_tokens, m=len(prompt)))
        options = self._options(run.asked, side)
        more = options.pop("extra_body", {})
        body = {"messages": messages, **options, **more}
        return replace(said, prompt=prompt, ids=answer_ids(run.server, said.tokens, body, run.breaks_off))

    def _rows(self, run: Run, side: int, said: Said, step: int) -> tuple[tuple[str, ...], ...]:
        assert said.ids is not None
        output = tuple(own for group in said.ids[:step] for own in group)
        look = look_at(run.server, said.prompt + output)
        context = replace(look.context, prompt=said.prompt, output=output)
        controls = applied(self._plan(run.asked, side, *look.defaults))
        return tuple(penalty_rows(self.engine_name, controls, context, look.told))

    def look(self, side: str, step: int, timeout_s: float = 120) -> list[tuple[str, ...]]:
        """Take one step apart and wait; gives the rows of the table, the first being its heads.

        Raises:
            PanelBusy: the panel is at work.
            SettingsError: there is no such token, or the engine does not tell enough.
        """
        self.start(self._take_apart(SIDES.index(side), step))
        self.wait(timeout_s)
        apart = self.result.apart if self.result else None
        return list(apart.rows) if apart else []

    # What is shown.

    def draw(self, result: Pair | None, asked: Asked) -> None:
        """Both answers, and the table."""
        pair = result or Pair()
        for side, (view, said) in enumerate(zip(self.views, pair.sides, strict=True)):
            picked = pair.apart.step if pair.apart and pair.apart.side == side else -1
            view.show(said, asked.prompt, picked)
        self.table.value = apart_html(pair.apart) if pair.sides[0].tokens else ""

    def lines(self, result: Pair, asked: Asked) -> list[str]:
        """Both texts with their loops and measures, and the step taken apart."""
        lines = []
        for name, controls, said in zip(SIDES, (asked.a, asked.b), result.sides, strict=True):
            lines += [f"{name}: {controls!r}", *said.lines(asked.prompt)]
        return [*lines, *(" | ".join(row) for row in (result.apart.rows if result.apart else ()))]

    # For recordings.

    def pack(self, result: Pair) -> dict[str, Any]:
        """Both answers, and the step taken apart."""
        return pack_pair(result)

    def unpack(self, packed: Any) -> Pair:
        """Both answers again."""
        return unpack_pair(packed)

    def still(self, result: Pair, asked: Asked, caption: str) -> dict[str, str]:
        """Both answers beside each other, and the step taken apart, as tables."""
        return pair_still(result, (asked.a, asked.b), asked.prompt, caption)

    def _open(self, recording: Recording, values: dict[str, Any]) -> None:
        """Keep the recorded result under the penalties of both sides, too."""
        super()._open(recording, {**values, **dict(zip(("a", "b"), self._recorded_sides(recording), strict=True))})

    def _recorded_sides(self, recording: Recording) -> tuple[Controls, Controls]:
        return recording.settings("a"), recording.settings("b")


def _columns(boxes: Any) -> widgets.GridBox:
    """Beside each other where there is room for both."""
    for box in boxes:
        box.layout = widgets.Layout(min_width="0", overflow="hidden")
    return widgets.GridBox(list(boxes), layout=widgets.Layout(grid_template_columns=COLUMNS, grid_gap="8px 16px"))
