"""The stop inspector: where an answer ends, what is cut, how near its end it was, and each dialect's word for it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets

from courselib.controls.controls import Controls
from courselib.controls.routes import chat_route
from courselib.engines.server import Server
from courselib.errors import CourseError, SettingsError
from courselib.i18n import _
from courselib.observe.logits import FORCE, ask, templated, tokens_of
from courselib.panels.base import button, escape, facts_table
from courselib.panels.code_fold import CodeFold
from courselib.panels.figure import Picture
from courselib.panels.source import Asking
from courselib.panels.stops_view import Made, accounts_html, ending_html, gauge_html, room, words_table
from courselib.panels.worker import Worker
from courselib.sampling.text_stops import DIALECTS, Account, Ending, Step, account
from courselib.stream import chat_messages
from courselib.text import show

if TYPE_CHECKING:
    from courselib.panels.deploy import Deploy

ROUTE = "llama.cpp /completion"
# What the library may generate beyond its limit to make a character whole.
MARGIN = 4
WHOLE_VOCABULARY = 1 << 20


class Stops(Asking):
    """What becomes of an answer under stop strings and limits of length, on every route at once.

    ``run`` makes the answer without stop strings and asks again with them; ``made`` is the one, ``seen`` what the
    engine said to the other. What other engines would give back is told by their rules, from the same tokens.

    Args:
        server: a llama.cpp server, or the desk (``Deploy``) that may start one.
        prompt: what is asked.
        stop: the stop strings.
        max_tokens: how many tokens may come.
    """

    def __init__(
        self,
        server: Server | Deploy,
        *,
        prompt: str = "Name the capital of France in one short sentence.",
        stop: Sequence[str] = ("ari",),
        max_tokens: int = 32,
    ) -> None:
        super().__init__(_("Length and stops"), server, _("measured here, others by their rules"), _("Generate"))
        self._worker = Worker(self.show_error, self._ended)
        self._pieces: dict[int, bytes] = {}
        self.made: Made | None = None
        self.seen: dict[str, Any] = {}
        wide = widgets.Layout(width="100%")
        label = {"description_width": "110px"}
        self.prompt = widgets.Textarea(value=prompt, description=_("Prompt"), rows=2, layout=wide, style=label)
        self.stops = widgets.Textarea(
            value="\n".join(_escaped(each) for each in stop),
            description="stop",
            placeholder=_("one a line; \\n is a line break"),
            rows=2,
            layout=wide,
            style=label,
        )
        self.max_tokens = widgets.IntSlider(value=max_tokens, min=1, max=256, description="max_tokens", style=label)
        self.min_tokens = widgets.IntSlider(value=0, min=0, max=64, description="min_tokens", style=label)
        self.ignore_eos = widgets.Checkbox(
            value=False, description="ignore_eos", indent=False, layout={"width": "auto"}
        )
        self.skip_special = widgets.Checkbox(
            value=True, description="skip_special_tokens", indent=False, layout={"width": "auto"}
        )
        self.run_button = button(_("Generate"), "play", "cl-run", self._start)
        self.cancel_button = button(_("Cancel"), "times", "cl-cancel", self._cancel)
        self.cancel_button.disabled = True
        self.route = widgets.Dropdown(options=list(DIALECTS), value=ROUTE, description=_("seen by"), style=label)
        self.route.add_class("cl-route")
        self.text, self.gauge, self.table = widgets.HTML(), widgets.HTML(), widgets.HTML(value=words_table())
        self.text.add_class("cl-ending-view")
        self.table.add_class("cl-accounts")
        self.curve, self.code = widgets.VBox(), CodeFold()
        for css, field in (("cl-prompt", self.prompt), ("cl-stops", self.stops), ("cl-ignore-eos", self.ignore_eos)):
            field.add_class(css)
        asked = (self.stops, self.max_tokens, self.min_tokens, self.ignore_eos, self.skip_special)
        for field in (*asked, self.route):
            field.observe(self._show, "value")
        for field in (*asked, self.prompt):
            field.observe(self._show_code, "value")
        if not isinstance(server, Server):
            server.observe(self._show_code, "server")
        row = widgets.Layout(flex_flow="row wrap")
        self.lay_out(
            self.prompt,
            self.stops,
            widgets.HBox([self.max_tokens, self.min_tokens, self.ignore_eos, self.skip_special], layout=row),
            widgets.HBox([self.run_button, self.cancel_button, self.route], layout=row),
            self.text,
            self.gauge,
            self.table,
            self.curve,
            self.code,
        )
        self._show_code()

    @property
    def server(self) -> Server:
        """Who answers.

        Raises:
            Unreachable: it is a desk's, and none runs there.
            SettingsError: it is no llama.cpp server.
        """
        server = super().server
        if server.engine_name != "llama.cpp":
            raise SettingsError(_("This panel asks llama.cpp's server for every token; start one to use it."))
        return server

    @property
    def ending(self) -> Ending:
        """What is asked for."""
        stop = tuple(_unescaped(line) for line in self.stops.value.split("\n") if line)
        return Ending(
            self.max_tokens.value, stop, self.min_tokens.value, self.ignore_eos.value, self.skip_special.value
        )

    def _show_code(self, _change: object = None) -> None:
        asked = self.ending
        try:
            controls = Controls(
                temperature=0, max_tokens=asked.max_tokens, stop=asked.stop or None,
                min_tokens=asked.min_tokens or None, ignore_eos=asked.ignore_eos or None,
                skip_special_tokens=None if asked.skip_special_tokens else False,
            )  # fmt: skip
            plan = chat_route(self.engine_name).plan(controls)
            notes = [_("llama.cpp forbids the token that ends, vLLM lets it come: they write different texts.")]
            self.show_call(self.code, plan, chat_messages(self.prompt.value), notes if asked.ignore_eos else ())
            self.show_error(None)
        except CourseError as error:
            self.show_error(error)

    def accounts(self) -> dict[str, Account]:
        """What each route gives back of the answer made; a route is out where the tokens are too few to tell."""
        found = {}
        for route in DIALECTS:
            try:
                found[route] = account(self.made.steps if self.made else (), self.ending, route)
            except SettingsError:
                continue
        return found

    def _start(self, _button: object = None) -> None:
        if self._worker.busy:
            return
        self.made, self.seen = None, {}
        self.curve.children = ()
        self.show_error(None)
        self.run_button.disabled, self.cancel_button.disabled = True, False
        self.set_state_text(_("answering"))
        self._worker.start(self._make)

    def _make(self) -> None:
        server, ending = self.server, self.ending
        self.set_model(server.model)
        text = templated(server, chat_messages(self.prompt.value))
        prompt = list(tokens_of(server, text))
        props = ask(server, "/props")
        (end,) = tokens_of(server, props["eos_token"])
        if not self._pieces:
            # Every token of the vocabulary is among the likeliest of so many.
            told = _forced(server, prompt, end, WHOLE_VOCABULARY)["top_logprobs"]
            self._pieces = {entry["id"]: bytes(entry["bytes"]) for entry in told}
        body = {"prompt": prompt, "temperature": 0, "n_predict": ending.max_tokens, "ignore_eos": ending.ignore_eos}
        whole = {**body, "n_predict": ending.max_tokens + MARGIN, "return_tokens": True}
        answer = ask(server, "/completion", whole)
        steps = [
            Step(self._pieces[token] or _spelled(server, token), not self._pieces[token], token == end)
            for token in answer["tokens"]
        ]
        ends: list[float] = []
        for place in range(len(steps)):
            if self._worker.cancelled.is_set():
                return
            ends.append(math.exp(_forced(server, prompt + answer["tokens"][:place], end, 1)["logprob"]))
            self.set_state_text(_("P(end): {n} of {all}").format(n=place + 1, all=len(steps)))
        self.seen = ask(server, "/completion", {**body, "stop": list(ending.stop)})
        self.made = Made(len(prompt), props["default_generation_settings"]["n_ctx"], tuple(steps), tuple(ends))
        self._show()
        self.curve.children = (self._picture(),)

    def _cancel(self, _button: object = None) -> None:
        self._worker.cancel()

    def _ended(self) -> None:
        self.run_button.disabled, self.cancel_button.disabled = False, True
        self.set_state_text(self._worker.outcome)

    def _show(self, _change: object = None) -> None:
        if self.made is None:
            return
        accounts = self.accounts()
        told = accounts.get(self.route.value)
        self.text.value = (
            ending_html(self._texts(told), told) if told else escape(_("Generate again, with more tokens."))
        )
        self.gauge.value = gauge_html(self.made, accounts[ROUTE].tokens if ROUTE in accounts else 0)
        self.table.value = accounts_html(accounts) + facts_table(self._facts()) + words_table()

    def _texts(self, told: Account) -> list[bytes]:
        """What the route that is looked at makes of each token it generated; of a special one, mostly nothing."""
        assert self.made is not None
        ending, steps = self.ending, self.made.steps[: told.tokens]
        written = self.route.value.startswith("vLLM") and not ending.skip_special_tokens
        return [
            step.data if not step.special or (written and not ending.ended_by(step)) else b""  # the last one never
            for step in steps
        ]

    def _facts(self) -> list[tuple[str, str, str]]:
        seen = self.seen
        words = f"{seen['stop_type']} {seen['stopping_word']!r}" if seen["stopping_word"] else seen["stop_type"]
        return [
            (_("this engine, asked with the stops when Generate was pressed"), repr(seen["content"]), _("measured")),
            (_("and why it ended"), words, _("the engine's word")),
        ]

    def _picture(self) -> Picture:
        import plotly.graph_objects as go

        assert self.made is not None
        places = list(range(len(self.made.ends)))
        words = [repr(show(step.data)) for step in self.made.steps]
        rows = "\n".join(
            f"{place:>4} {word:<16} {chance:.2e}"
            for place, word, chance in zip(places, words, self.made.ends, strict=True)
        )
        line = go.Scatter(x=places, y=self.made.ends, text=words, mode="lines+markers")
        return Picture(
            [line],
            table=rows,
            title=_("P(end) in place of each token (measured)"),
            xaxis={"title": _("token")},
            yaxis={"title": _("probability"), "type": "log", "exponentformat": "power"},
        )

    def run(self, timeout_s: float = 120) -> dict[str, Account]:
        """Make the answer, wait, and give each route's account of it; raises what went wrong."""
        self._start()
        self._worker.wait(timeout_s)
        return self.accounts()

    def as_table(self) -> str:
        """Every route's account, the room there is, and P(end) token by token."""
        lines = [super().as_table()]
        for route, told in self.accounts().items():
            lines.append(f"{route}: {told.text!r} | cut {show(told.cut)!r} | {DIALECTS[route].word(told.reason)}")
        if self.made:
            lines.append(room(self.made, len(self.made.steps)))
            lines += [
                f"{show(step.data)!r} {end:.2e}" for step, end in zip(self.made.steps, self.made.ends, strict=True)
            ]
        return "\n".join(lines)


def _forced(server: Server, tokens: list[int], token: int, n_probs: int) -> dict[str, Any]:
    """What the engine tells of the next token: the likeliest, and one of our choice.

    The choice is made by a bias, which the probabilities told do not know of. And it must be made: a token that ends
    within a character is held back, with all that there is to tell of it.
    """
    body = {"prompt": tokens, "n_predict": 1, "temperature": 0, "n_probs": n_probs, "logit_bias": [[token, FORCE]]}
    return dict(ask(server, "/completion", body)["completion_probabilities"][0])


def _spelled(server: Server, token: int) -> bytes:
    """How a special token is written, which its bytes do not tell."""
    return str(ask(server, "/detokenize", {"tokens": [token]})["content"]).encode()


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n")


def _unescaped(line: str) -> str:
    return line.replace("\\\\", "\0").replace("\\n", "\n").replace("\0", "\\")
