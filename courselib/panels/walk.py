"""Walk: generate token by token, take another way, go back; every way taken is kept as a tree."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import anywidget
import ipywidgets as widgets
import numpy as np
import traitlets

from courselib.controls.catalogue import REPETITION, RESULT, SAMPLING
from courselib.controls.clients.endpoint import Endpoint
from courselib.controls.clients.python_text import Name, assign, call
from courselib.controls.controls import Controls
from courselib.controls.route import Plan
from courselib.controls.routes import ROUTES
from courselib.errors import SettingsError
from courselib.i18n import _
from courselib.observe.logits import NextToken, ask, next_token
from courselib.panels.base import button
from courselib.panels.looking import Looking, applied, look_at
from courselib.panels.view import STATIC, script
from courselib.panels.worker import Worker
from courselib.sampling import pipeline
from courselib.sampling.candidates import Floats
from courselib.text import show, spans

if TYPE_CHECKING:
    from courselib.panels.source import Source

ROWS = 10
# A logit_bias that no logit of a model outweighs.
FORCE = 100


@dataclass(eq=False)
class Node:
    """A token taken, and what could follow it.

    Args:
        number: its place in the order in which nodes came.
        parent: the node before; ``None`` for the prompt's end.
        token: its id; -1 for the prompt's end.
        piece: its bytes.
        probability: what it had under the controls it was taken under.
        controls: those controls.
        told: what the engine told of the token after it; ``None`` before it was asked.
        children: the ways taken from here.
    """

    number: int
    parent: Node | None = None
    token: int = -1
    piece: bytes = b""
    probability: float = 1.0
    controls: Controls = field(default_factory=Controls)
    told: NextToken | None = None
    children: list[Node] = field(default_factory=list)

    @property
    def path(self) -> list[Node]:
        """The nodes from the first token to this one."""
        before = self.parent.path if self.parent else []
        return [*before, self] if self.parent else before


class WalkView(anywidget.AnyWidget):
    """What could come next as a list, and the ways taken as a tree; each of both can be chosen.

    Traits:
        drawn: ``rows``, ``tree`` and ``text``; empty before the first look.
        busy: whether the engine is being asked.
    """

    _esm = script("walk.js")
    _css = STATIC / "walk.css"
    drawn = traitlets.Dict().tag(sync=True)
    busy = traitlets.Bool(False).tag(sync=True)
    labels = traitlets.Dict().tag(sync=True)

    def __init__(self) -> None:
        labels = {
            "empty": _("Press Begin: the engine tells what could come next."),
            "text": _("The way so far"),
            "rows": _("What could come next, under these controls"),
            "tree": _("The ways taken; choose one to go back to it"),
            "start": _("the prompt's end"),
            "nothing": _("a token without text"),
            "under": _("taken under {controls}"),
        }
        super().__init__(labels=labels)

    def __repr__(self) -> str:
        return "WalkView()"


class Walk(Looking):
    """A walk through what a model could say, on a live llama.cpp server.

    ``here`` is the node one stands at, ``text`` what was taken so far, ``code`` the program that forces the same way.

    Args:
        server: who answers: a llama.cpp server, or the desk (``Deploy``) that may start one.
        prompt: the text to go on from, special tokens in it recognised.
        controls: what the form holds at first.
    """

    def __init__(
        self, server: Source, *, prompt: str = "The weather today is", controls: Controls | None = None
    ) -> None:
        super().__init__(
            _("Walk"), server, _("choices measured, distribution simulated"), _("Begin"),
            prompt=prompt, controls=controls or Controls(seed=42), groups=(SAMPLING, REPETITION, RESULT),
            code_title=_("The code that forces this way"),
        )  # fmt: skip
        self._worker = Worker(self.show_error, self._ended)
        self._nodes: list[Node] = []
        self.here: Node | None = None
        self.begin_button = button(_("Begin"), "play", "cl-begin", lambda *_click: self._start(self._begin))
        self.engine_button = button(
            _("Engine's choice"), "dice", "cl-engine", lambda *_click: self._start(self._take_engines)
        )
        self.likeliest_button = button(
            _("The likeliest"), "arrow-up", "cl-likeliest", lambda *_click: self._start(self._take_likeliest)
        )
        self.back_button = button(_("Back"), "undo", "cl-back", lambda *_click: self.go_back())
        self.view = WalkView()
        self.view.on_msg(self._chosen)
        row = widgets.Layout(flex_flow="row wrap")
        buttons = [self.begin_button, self.engine_button, self.likeliest_button, self.back_button]
        self.lay_out(self.prompt, self.form, widgets.HBox(buttons, layout=row), self.view, self.code)
        self.redraw()

    @property
    def text(self) -> str:
        """What was taken so far."""
        return "".join(span.text for span in spans(node.piece for node in self.here.path)) if self.here else ""

    def plan(self) -> Plan:
        """The call that lets the engine choose one token.

        Raises:
            SettingsError: the form holds what is no value of a control.
        """
        one = self.form.controls.with_(max_tokens=1, n=None, logprobs=None, stop=None)
        return self._plan_on(ROUTES["llama.cpp /completion"], one)

    def probabilities(self) -> Floats:
        """Of the token after ``here`` under the controls at hand: shape (vocabulary,).

        Raises:
            SettingsError: nothing was asked yet, or the controls leave no token.
        """
        return self._under(self.plan())

    def _under(self, plan: Plan) -> Floats:
        here, look = self.here, self._look
        if here is None or here.told is None or look is None:
            raise SettingsError(_("Press Begin first."))
        context = replace(look.context, output=tuple(node.token for node in here.path))
        return pipeline("llama.cpp", applied(plan), context).probabilities(here.told.logits)

    # What the buttons and the page ask for, in a thread.

    def _start(self, job: Any, *arguments: Any) -> None:
        if self._worker.busy:
            return
        self.view.busy = True
        self.set_state_text(_("asking"))
        self.show_error(None)
        self._worker.start(lambda: job(*arguments))

    def _ended(self) -> None:
        self.view.busy = False
        self.set_state_text(_("failed") if self._worker.error else _("done"))
        if not self._worker.error:
            self.redraw()

    def _begin(self) -> None:
        if self.engine_name != "llama.cpp":
            raise SettingsError(
                _(
                    "Walk needs llama.cpp's server, which takes tokens by number and tells of all; {engine} does not."
                ).format(engine=self.engine_name)
            )
        if not self.prompt.value:
            raise SettingsError(_("The prompt is empty; write something for the model to go on from."))
        look = look_at(self.server, self.prompt.value)
        root = Node(0, told=look.told)
        self._look, self._nodes, self.here = look, [root], root

    def _take(self, token: int) -> None:
        """Go on with a token; the engine is asked before anything is changed, so that a failure loses nothing."""
        assert self.here is not None and self.here.told is not None
        known = next((child for child in self.here.children if child.token == token), None)
        if known is None:
            probability = float(self.probabilities()[token])
            known = Node(
                len(self._nodes), self.here, token, self.here.told.pieces[token], probability, self.form.controls
            )
            known.told = next_token(self.server, self._tokens(known))
            self.here.children.append(known)
            self._nodes.append(known)
        self.here = known

    def _take_likeliest(self) -> None:
        self._take(int(np.argmax(self.probabilities())))

    def _take_engines(self) -> None:
        """The engine's own choice: with a seed, one more for each step, so that steps do not repeat each other."""
        self.probabilities()  # refuses before anything was asked
        assert self.here is not None
        arguments = dict(self.plan().arguments)
        if "seed" in arguments:
            arguments["seed"] += len(self.here.path)
        body = {**arguments, "prompt": self._tokens(self.here), "return_tokens": True, "cache_prompt": True}
        self._take(ask(self.server, "/completion", body)["tokens"][0])

    def _tokens(self, node: Node) -> tuple[int, ...]:
        """The prompt and the way to a node."""
        assert self._look is not None
        return (*self._look.told.prompt, *(each.token for each in node.path))

    def _chosen(self, _widget: object, content: dict[str, Any], _buffers: object) -> None:
        if content.get("kind") == "take":
            self._start(self._take, int(content["token"]))
        elif content.get("kind") == "go":
            self.go(int(content["number"]))

    def go(self, number: int) -> None:
        """Stand at a node that was taken before, by its number."""
        if not self._worker.busy and 0 <= number < len(self._nodes):
            self.here = self._nodes[number]
            self.redraw()

    def go_back(self) -> None:
        """Stand one token earlier."""
        if self.here and self.here.parent:
            self.go(self.here.parent.number)

    def begin(self, timeout_s: float = 60) -> None:
        """Ask the engine what could follow the prompt, and wait; raises what went wrong."""
        self._start(self._begin)
        self._worker.wait(timeout_s)

    def take(self, token: int | None = None, timeout_s: float = 60) -> str:
        """Take a token by its id, or the engine's choice, wait, and give the text so far; raises what went wrong."""
        self._start(*((self._take_engines,) if token is None else (self._take, token)))
        self._worker.wait(timeout_s)
        return self.text

    # What is shown.

    def _draw(self, plan: Plan) -> None:
        self.view.drawn = self._picture(self._under(plan)) if self.here else {}

    def _picture(self, probabilities: Floats) -> dict[str, Any]:
        assert self.here is not None and self.here.told is not None
        told = self.here.told
        ids = np.argsort(-probabilities, kind="stable")[:ROWS]
        rows = [
            {"token": int(token), "text": show(told.pieces[token]), "p": float(probabilities[token])}
            for token in ids
            if probabilities[token] > 0
        ]
        path = {node.number for node in self.here.path} | {0}
        tree = [
            {
                "number": node.number,
                "depth": depth,
                "text": show(node.piece),
                "p": node.probability,
                "controls": repr(node.controls),
                "here": node is self.here,
                "onPath": node.number in path,
            }
            for node, depth in _walked(self._nodes[0], 0)
        ]
        return {"rows": rows, "tree": tree, "text": self.text}

    def _show_code(self, plan: Plan) -> None:
        self.code.notes = plan.notes
        if self.here is None or not self.here.path:
            self.code.programs = {}
            self.code.notes = [_("The code appears once a token was taken.")]
            return
        way = [node.token for node in self.here.path]
        self.code.programs = {"openai": forcing(self.server.endpoint, self._tokens(self.here)[: -len(way)], way)}
        if any(show(node.piece).startswith("⟨0x") for node in self.here.path):
            self.code.notes = [_("Tokens that are parts of a character come without text there."), *plan.notes]

    def as_table(self) -> str:
        """The way so far, what could come next, and the tree, as plain text."""
        self._shown.flush()
        lines = [super().as_table(), self.text]
        lines += [f"{row['text']!r:<20}{row['p']:>8.2%}" for row in self.view.drawn.get("rows", [])]
        for node in self.view.drawn.get("tree", []):
            mark = ">" if node["here"] else " "
            name = repr(node["text"]) if node["number"] else self.view.labels["start"]
            lines.append(f"{mark} {'  ' * node['depth']}{name} {node['p']:.2%}")
        return "\n".join(lines)


def _walked(node: Node, depth: int) -> list[tuple[Node, int]]:
    """Nodes with their depths, each before its children; a way that does not part goes on at the same depth."""
    inside = depth + (len(node.children) > 1)
    return [(node, depth), *(pair for child in node.children for pair in _walked(child, inside))]


def forcing(endpoint: Endpoint, prompt: tuple[int, ...], path: list[int]) -> str:
    """A program that leads the engine along a path: each token is made the only choice, and then part of the prompt."""
    lines = ["from openai import OpenAI", ""]
    lines += assign("client", call("OpenAI", named={"base_url": endpoint.base_url, "api_key": endpoint.key or "none"}))
    lines += [f"tokens = {list(prompt)}  # the prompt", f"for token in {path}:"]
    named = {
        "model": endpoint.model,
        "prompt": Name("tokens"),
        "max_tokens": 1,
        "temperature": 0,
        "logit_bias": Name(f"{{token: {FORCE}}}"),
    }
    lines += ["    " + line for line in assign("step", call("client.completions.create", named=named))]
    lines += ['    print(step.choices[0].text, end="")', "    tokens.append(token)"]
    return "\n".join(lines) + "\n"
