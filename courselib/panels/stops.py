"""The stop inspector: where an answer ends, what is cut, how near its end it was, and each dialect's word for it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import ipywidgets as widgets

from courselib.answers.stream import chat_messages
from courselib.answers.text import show
from courselib.controls.catalogue import CONTROLS
from courselib.controls.controls import Controls
from courselib.controls.route import Plan
from courselib.controls.routes import chat_route
from courselib.errors import SettingsError
from courselib.i18n import N_, _
from courselib.observe.endings import end_probability, end_tokens, spelled, written_as
from courselib.observe.logits import ask, pieces_of, templated
from courselib.observe.windows import sliding_window
from courselib.panels.asked import Asked
from courselib.panels.base import escape, facts_table
from courselib.panels.experiment import Experiment
from courselib.panels.fields import Choice, Flag, Lines, Text, Whole
from courselib.panels.packed_answers import pack_made, unpack_made
from courselib.panels.recording import Recording, readable
from courselib.panels.run import Run
from courselib.panels.server_facts import ServerFacts
from courselib.panels.stops_view import (
    Made,
    Seen,
    accounts_html,
    accounts_still,
    end_curve,
    ending_html,
    gauge_html,
    room,
    words_table,
)
from courselib.sampling.text_stops import DIALECTS, Account, Ending, Step, account

ROUTE = "llama.cpp /completion"
# What the library may generate beyond its limit to make a character whole.
MARGIN = 4


class Stops(Experiment):
    """What becomes of an answer under stop strings and limits of length, on every route at once.

    Generate makes the answer without stop strings and asks again with them: ``result`` holds both (``Made``). What each
    route would give back (``accounts``) is computed by its rules from the same tokens, under the inputs as they stand.

    Args:
        source: a llama.cpp server, or the panel (``Deploy``) that may start one; nobody, with a recording.
        values: inputs: ``prompt``, ``stop`` (texts), ``max_tokens``, ``min_tokens``, ``ignore_eos``,
            ``skip_special_tokens``, ``route`` (whose view of the answer is shown, a name of ``DIALECTS``).
    """

    heading, origin_words = N_("Length and stops"), N_("measured here; other engines by their rules")
    press, at_work = N_("Generate"), N_("answering")
    chats = True

    prompt = Text("Name the capital of France in one short sentence.", label=N_("Prompt"))
    # Rules are applied to an answer that is there already; only a token that is forbidden makes another one.
    stop = Lines(("ari",), sent=False, help=CONTROLS["stop"].sentence)
    max_tokens = Whole(32, low=1, high=256, sent=False, help=CONTROLS["max_tokens"].sentence)
    route = Choice(
        list(DIALECTS), sent=False, label=N_("seen by"), help=N_("the endpoint whose view of the answer is shown")
    )
    min_tokens = Whole(0, low=0, high=64, sent=False, folded=True, help=CONTROLS["min_tokens"].sentence)
    ignore_eos = Flag(False, folded=True, help=CONTROLS["ignore_eos"].sentence)
    skip_special_tokens = Flag(True, sent=False, folded=True, help=CONTROLS["skip_special_tokens"].sentence)

    def make_view(self) -> widgets.VBox:
        """The answer with its cut, the context's gauge, a table of all routes, and P(end) along the answer."""
        self.text, self.gauge, self.curve = widgets.HTML(), widgets.HTML(), widgets.HTML()
        self.table, self.words = widgets.HTML(), widgets.HTML(value=words_table())
        self.table.add_class("cl-accounts")
        return widgets.VBox([self.text, self.gauge, self.table, self.curve, self.words])

    @property
    def ending(self) -> Ending:
        """What is asked for."""
        return Ending(self.max_tokens, self.stop, self.min_tokens, self.ignore_eos, self.skip_special_tokens)

    def call(self, asked: Asked, facts: ServerFacts) -> tuple[Plan, list[dict[str, str]]]:
        """A chat with these endings."""
        ending = self.ending
        controls = Controls(
            temperature=0, max_tokens=ending.max_tokens, stop=ending.stop or None,
            min_tokens=ending.min_tokens or None, ignore_eos=ending.ignore_eos or None,
            skip_special_tokens=None if ending.skip_special_tokens else False,
        )  # fmt: skip
        plan = chat_route(self.engine_name).plan(controls, defaults=facts.defaults, origin=facts.origin)
        return plan, chat_messages(asked.prompt or _("Hello"))

    def notes(self, plan: Plan, asked: Asked) -> list[str]:
        """Where engines generate different tokens."""
        if not asked.ignore_eos:
            return plan.notes
        return [*plan.notes, _("llama.cpp forbids the end token, vLLM lets it come: they write different texts.")]

    def accounts(self) -> dict[str, Account]:
        """What each route gives back of the answer made; a route is out where the tokens are too few to tell."""
        self._drawing.flush()
        return _accounts(self.result, self.ending) if self.result else {}

    # What is asked of the engine, in a thread.

    def measure(self, run: Run) -> Iterator[Made]:
        """The answer, unless it is known, and what the engine makes of the stop strings; then P(end) token by token."""
        if self.engine_name != "llama.cpp":
            raise SettingsError(_("This panel asks llama.cpp's server for every token; start such a server to use it."))
        ending = self.ending
        made: Made | None = run.before
        if made is None or not _is_enough(made, ending):
            made = _generate(run, ending)
            yield made
        made = replace(made, seen=_see(run, made, ending))
        yield made
        for place in range(len(made.ends), len(made.steps)):
            if run.cancelled:
                return
            run.progress(place, len(made.steps))
            chance = end_probability(run.server, [*made.prompt, *made.tokens[:place]], made.end_ids)
            made = replace(made, ends=(*made.ends, chance))
            yield made

    # What is shown.

    def draw(self, result: Made | None, asked: Asked) -> None:
        """The answer as the chosen route gives it back, the room there is, all routes, and the curve of P(end)."""
        if result is None:
            self.text.value = self.gauge.value = self.table.value = self.curve.value = ""
            return
        ending = replace(self.ending, ignore_eos=asked.ignore_eos)
        accounts = _accounts(result, ending)
        told = accounts.get(self.route)
        self.text.value = (
            ending_html(_texts(result, ending, self.route, told), told)
            if told
            else f"<p>{escape(_('This answer is too short to show how it would end there. Press Generate.'))}</p>"
        )
        self.gauge.value = gauge_html(result, accounts[ROUTE].tokens if ROUTE in accounts else len(result.steps))
        self.table.value = accounts_html(accounts) + facts_table(_facts(result, ending))
        self.curve.value = end_curve(result)

    def lines(self, result: Made, asked: Asked) -> list[str]:
        """Every route's account, the room there is, and P(end) token by token."""
        accounts = _accounts(result, replace(self.ending, ignore_eos=asked.ignore_eos))
        return [
            *(
                f"{route}: {told.text!r} | cut {show(told.cut)!r} | {DIALECTS[route].word(told.reason)}"
                for route, told in accounts.items()
            ),
            room(result, len(result.steps)),
            _("ended by: {tokens}").format(tokens=result.end_words),
            *(f"{show(step.data)!r} {end:.2e}" for step, end in zip(result.steps, result.ends, strict=False)),
        ]

    def pack(self, result: Made) -> dict[str, Any]:
        """The answer, the engine's own word for its end, and P(end)."""
        return pack_made(result)

    def unpack(self, packed: Any) -> Made:
        """The answer again."""
        return unpack_made(packed)

    def recorded_rules(self, recording: Recording) -> dict[str, Any]:
        """The stop strings and limits with which the engine was asked."""
        made: Made = recording.unpacked(self)
        if made.seen is None:
            return {}
        names = ("stop", "max_tokens", "min_tokens", "skip_special_tokens")
        with readable(recording.panel):
            return {name: self._fields[name].checked(getattr(made.seen.ending, name)) for name in names}

    def still(self, result: Made, asked: Asked, caption: str) -> dict[str, str]:
        """What each route gives back of the answer, as a table."""
        accounts = _accounts(result, replace(self.ending, ignore_eos=asked.ignore_eos))
        return accounts_still(accounts, caption)


def _is_enough(made: Made, ending: Ending) -> bool:
    """Whether an answer made before tells how one with these limits ends."""
    return made.limit >= ending.max_tokens + MARGIN or any(ending.ended_by(step) for step in made.steps)


def _body(prompt: tuple[int, ...], ending: Ending) -> dict[str, Any]:
    return {
        "prompt": prompt, "temperature": 0, "n_predict": ending.max_tokens, "ignore_eos": ending.ignore_eos,
    }  # fmt: skip


def _generate(run: Run, ending: Ending) -> Made:
    """The answer without stop strings; not streamed, since a stream has one id for a character of several tokens."""
    server, limit = run.server, ending.max_tokens + MARGIN
    prompt = templated(server, chat_messages(run.asked.prompt))
    ends = end_tokens(server)
    pieces = pieces_of(server)
    whole = {**_body(prompt, ending), "n_predict": limit, "return_tokens": True}
    tokens = tuple(ask(server, "/completion", whole, breaks_off=run.breaks_off)["tokens"])
    return Made(
        prompt=prompt,
        context=ask(server, "/props")["default_generation_settings"]["n_ctx"],
        limit=limit,
        tokens=tokens,
        steps=tuple(
            Step(pieces[token] or spelled(server, token).encode(), not pieces[token], token in ends) for token in tokens
        ),
        end_ids=ends,
        end_words=written_as(server, ends),
        window=sliding_window(server),
    )


def _see(run: Run, made: Made, ending: Ending) -> Seen:
    """The engine's own answer to the stop strings."""
    body = {**_body(made.prompt, ending), "stop": list(ending.stop)}
    answer = ask(run.server, "/completion", body, breaks_off=run.breaks_off)
    return Seen(ending, answer["content"], answer["stop_type"], answer["stopping_word"])


def _accounts(made: Made, ending: Ending) -> dict[str, Account]:
    found = {}
    for route in DIALECTS:
        try:
            found[route] = account(made.steps, ending, route)
        except SettingsError:
            continue
    return found


def _texts(made: Made, ending: Ending, route: str, told: Account) -> list[bytes]:
    """What a route makes of each token it generated; of a special one, mostly nothing."""
    written = route.startswith("vLLM") and not ending.skip_special_tokens
    return [
        step.data if not step.special or (written and not ending.ended_by(step)) else b""  # the last one never
        for step in made.steps[: told.tokens]
    ]


def _facts(made: Made, ending: Ending) -> list[tuple[str, str, str]]:
    facts = [(_("tokens that end an answer in llama.cpp"), made.end_words, _("reported by the engine"))]
    if made.seen is None:
        return facts
    seen = made.seen
    name = _("this engine, asked with stop={stop}, max_tokens={most}").format(
        stop=list(seen.ending.stop), most=seen.ending.max_tokens
    )
    changed = (seen.ending.stop, seen.ending.max_tokens) != (ending.stop, ending.max_tokens)
    origin = _("measured, before the settings were changed") if changed else _("measured")
    words = f"{seen.reason} {seen.stop!r}" if seen.stop else seen.reason
    return [(name, repr(seen.text), origin), (_("and why it ended"), words, _("reported by the engine")), *facts]
