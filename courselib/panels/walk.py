"""Walk: generate token by token, take another way, go back; every way taken is kept as a tree."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeAlias

import ipywidgets as widgets
import numpy as np

from courselib.answers.text import show
from courselib.controls.catalogue import REPETITION, RESULT, SAMPLING
from courselib.controls.clients.python_text import Name, assign, call
from courselib.controls.controls import Controls
from courselib.controls.route import Plan
from courselib.controls.routes import ROUTES
from courselib.engines.endpoint import Endpoint
from courselib.errors import SettingsError
from courselib.i18n import N_, _
from courselib.observe.logits import ask, next_token
from courselib.panels.asked import Asked
from courselib.panels.base import button
from courselib.panels.experiment import Experiment, Measure
from courselib.panels.fields import Text
from courselib.panels.looking import applied, look_at, tail
from courselib.panels.packed import pack_tree, unpack_tree
from courselib.panels.run import Run
from courselib.panels.server_facts import ServerFacts
from courselib.panels.state import State
from courselib.panels.still import bars, percent, token
from courselib.panels.walk_tree import Node, Tree
from courselib.panels.walk_view import WalkView, could_follow
from courselib.sampling import pipeline
from courselib.sampling.candidates import Floats

if TYPE_CHECKING:
    pass

# The strongest bias that OpenAI's API takes; no logit of a model outweighs it.
STRONGEST_BIAS = 100
# Chooses a token to come next, of the distribution given, which these controls make.
Choose: TypeAlias = Callable[[Run, Tree, Floats, Controls], int]


class Walk(Experiment):
    """A walk through what a model could say, on a live llama.cpp server.

    ``result`` is the tree of the ways taken after the prompt at hand, ``here`` the node where one stands, ``text`` what
    was taken so far, ``code`` the program that forces the same way.

    Args:
        source: who answers: a llama.cpp server, or the panel (``Deploy``) that may start one.
        controls: what the form holds at first.
        values: inputs: ``prompt`` (special tokens in it are recognised).
    """

    heading, origin_words = N_("Walk"), N_("choices measured, distribution simulated")
    press, at_work, code_title = N_("Begin"), N_("asking"), N_("The code that forces this path")
    groups = (SAMPLING, REPETITION, RESULT)
    first_controls = Controls(seed=42)
    sends_controls = False

    prompt = Text("The weather today is", label=N_("Prompt"))

    def make_view(self) -> WalkView:
        """List and tree."""
        self._is_drawn = False
        view = WalkView()
        view.on_msg(self._chosen)
        self.observe(lambda change: view.set_trait("busy", change["new"] == State.BUSY), "state")
        return view

    def make_buttons(self) -> list[widgets.Button]:
        """Two ways on, and one back. A click while the engine is asked comes to its turn afterwards."""

        def clicked(job: Callable[[], Measure]) -> Callable[[object], None]:
            return lambda _button: self.attempt(lambda: self.follow(job()))

        self.engine_button = button(_("Engine's choice"), "random", "cl-engine", clicked(lambda: self._step(_engines)))
        self.likeliest_button = button(
            _("Most likely"), "arrow-up", "cl-likeliest", clicked(lambda: self._step(_likeliest))
        )
        self.back_button = button(_("Back"), "undo", "cl-back", clicked(lambda: self._go_back))
        return [self.engine_button, self.likeliest_button, self.back_button]

    @property
    def here(self) -> Node | None:
        """The node where one stands."""
        self._drawing.flush()
        tree = self.result
        return tree.nodes[tree.here] if tree else None

    @property
    def path(self) -> tuple[Node, ...]:
        """The tokens taken so far."""
        self._drawing.flush()
        return self.result.path if self.result else ()

    @property
    def text(self) -> str:
        """What was taken so far."""
        self._drawing.flush()
        return self.result.text if self.result else ""

    def probabilities(self) -> Floats:
        """Of the token after ``here`` under the controls at hand: shape (vocabulary,).

        Raises:
            SettingsError: nothing was asked yet, or the controls leave no token.
        """
        self._drawing.flush()
        return self._under(_begun(self.result), self._controls)

    @property
    def _controls(self) -> Controls:
        assert self.form
        return self.form.controls

    # The call.

    def call(self, asked: Asked, facts: ServerFacts) -> tuple[Plan, str]:
        """That by which the engine chooses one token."""
        return _plan(self._controls, (facts.defaults, facts.origin)), asked.prompt

    def programs(self, plan: Plan, prompt: Any, asked: Asked, endpoint: Endpoint) -> dict[str, str]:  # noqa: ARG002
        """The one that leads the engine along the way taken."""
        tree = self._kept.get(asked)
        if tree is None or not tree.here:
            return {}
        return {"openai": forcing(endpoint, tree.look.told.prompt, [node.token for node in tree.path])}

    def notes(self, plan: Plan, asked: Asked) -> list[str]:
        """Where there is no program yet, and where it prints less."""
        tree = self._kept.get(asked)
        if tree is None or not tree.here:
            return [*plan.notes, _("The code appears once a token was taken.")]
        if any(show(node.piece).startswith("⟨0x") for node in tree.path):
            return [*plan.notes, _("Tokens that are parts of a character have no text there.")]
        return plan.notes

    # What is asked of the engine, in a thread. Each asks first and changes then, so that a failure loses nothing.

    def measure(self, run: Run) -> Iterator[Tree]:
        """What could follow the prompt."""
        if self.engine_name != "llama.cpp":
            text = _("Walk needs llama.cpp's server, which takes and returns token ids; {engine} does not.")
            raise SettingsError(text.format(engine=self.engine_name))
        yield Tree.of(look_at(run.server, run.asked.prompt))

    def _step(self, choose: Choose, at: int | None = None) -> Measure:
        """Take a token under the controls as they are now, from where one stands then, or from another node."""
        controls = self._controls

        def step(run: Run) -> Iterator[Tree]:
            tree = _begun(run.before)
            tree = tree if at is None else _standing(run, tree, at)
            probabilities = self._under(tree, controls)
            token = choose(run, tree, probabilities, controls)
            if not 0 <= token < probabilities.size:
                text = _("There is no token {token}; the vocabulary has those from 0 to {last:,}.")
                raise SettingsError(text.format(token=token, last=probabilities.size - 1))
            known = tree.after(token)
            if known is None:
                tree = tree.with_node(token, float(probabilities[token]), controls)
            yield _standing(run, tree, (known or tree.nodes[-1]).number)

        return step

    def _under(self, tree: Tree, controls: Controls) -> Floats:
        context = replace(tree.look.context, output=tuple(node.token for node in tree.path))
        plan = _plan(controls, tree.look.defaults)
        return pipeline("llama.cpp", applied(plan), context).probabilities(tree.told.logits)

    def _go_to(self, number: int) -> Measure:
        def go(run: Run) -> Iterator[Tree]:
            yield _standing(run, _begun(run.before), number)

        return go

    def _go_back(self, run: Run) -> Iterator[Tree]:
        tree = _begun(run.before)
        yield _standing(run, tree, tree.nodes[tree.here].parent or 0)

    def _chosen(self, _widget: object, content: dict[str, Any], _buffers: object) -> None:
        """A click on the page: a token after the node whose list it was, or a node."""
        if content.get("kind") == "take":
            token, at = int(content["token"]), int(content["at"])
            self.attempt(lambda: self.follow(self._step(lambda *_of: token, at)))
        elif content.get("kind") == "go":
            self.attempt(lambda: self.follow(self._go_to(int(content["number"]))))

    # The same from a program: each waits, and raises what went wrong.

    def begin(self, timeout_s: float = 60) -> None:
        """Ask the engine what could follow the prompt."""
        self.run(timeout_s)

    def take(self, token: int | None = None, timeout_s: float = 60) -> str:
        """Take a token by its id, or the engine's choice, and give the text so far.

        Raises:
            PanelBusy: another step is under way.
            SettingsError: nothing was asked yet, or the controls leave no token.
        """
        self.start(self._step(_engines if token is None else lambda *_of: token))
        self.wait(timeout_s)
        return self.text

    def go(self, number: int, timeout_s: float = 60) -> None:
        """Stand at a node that was taken before, by its number."""
        self.start(self._go_to(number))
        self.wait(timeout_s)

    def go_back(self, timeout_s: float = 60) -> None:
        """Stand one token earlier."""
        self.start(self._go_back)
        self.wait(timeout_s)

    # What is shown.

    def draw(self, result: Tree | None, asked: Asked) -> None:
        """What could come next, and the tree; where the controls leave nothing, the picture stays."""
        self._is_drawn = False
        for each in (self.engine_button, self.likeliest_button, self.back_button):
            each.disabled = self.result is None
        if result is None:
            self.view.drawn = {}
            return
        rows = could_follow(result, self._under(result, self._controls))
        self.view.drawn = {"prompt": tail(asked.prompt), "text": result.text, "rows": rows, **result.shown()}
        self._is_drawn = True

    def lines(self, result: Tree, asked: Asked) -> list[str]:  # noqa: ARG002
        """The path so far, what could come next, and the tree, as plain text."""
        if not self._is_drawn:
            return [result.text]
        drawn, labels = self.view.drawn, self.view.labels
        lines = [result.text, *(f"{row['text']!r:<20}{row['p']:>8.2%}" for row in drawn["rows"])]
        if drawn["before"]:
            lines.append(labels["more"].format(n=drawn["before"]))
        for node in drawn["tree"]:
            name = repr(node["text"]) if node["number"] else labels["start"]
            lines.append(f"{'>' if node['here'] else ' '} {'  ' * node['depth']}{name} {node['p']:.2%}")
        return [*lines, *([labels["more"].format(n=drawn["after"])] if drawn["after"] else [])]

    def pack(self, result: Tree) -> dict[str, Any]:
        """All nodes, and what the engine told at the prompt's end and where one stands."""
        return pack_tree(result)

    def unpack(self, packed: Any) -> Tree:
        """The tree again."""
        return unpack_tree(packed)

    def still(self, result: Tree, asked: Asked, caption: str) -> dict[str, str]:  # noqa: ARG002
        """What could come next, as a table."""
        if not self._is_drawn:
            return {}
        drawn = self.view.drawn
        heads = (f"{drawn['prompt']}{drawn['text']} …", "", self.view.labels["rows"])
        return bars(caption, heads, [(token(row["text"]), row["p"], [percent(row["p"])]) for row in drawn["rows"]])


def _plan(controls: Controls, defaults: tuple[Mapping[str, Any], str]) -> Plan:
    one = controls.with_(max_tokens=1, n=None, logprobs=None, stop=None)
    return ROUTES["llama.cpp /completion"].plan(one, defaults=defaults[0], origin=defaults[1])


def _begun(tree: Tree | None) -> Tree:
    if tree is None:
        raise SettingsError(_("Press Begin first."))
    return tree


def _standing(run: Run, tree: Tree, number: int) -> Tree:
    """The tree, standing at a node; the engine is asked what could follow it unless that is still known."""
    told = dict(tree.rows).get(number)
    if told is None:
        told = next_token(run.server, tree.tokens_to(number))
    return tree.at(number, told)


def _likeliest(_run: Run, _tree: Tree, probabilities: Floats, _controls: Controls) -> int:
    return int(np.argmax(probabilities))


def _engines(run: Run, tree: Tree, _probabilities: Floats, controls: Controls) -> int:
    """The engine's own choice: with a seed, one more for each step, so that steps do not repeat each other."""
    arguments = dict(_plan(controls, tree.look.defaults).arguments)
    if "seed" in arguments:
        arguments["seed"] += len(tree.path)
    body = {**arguments, "prompt": tree.tokens_to(tree.here), "return_tokens": True, "cache_prompt": True}
    return int(ask(run.server, "/completion", body)["tokens"][0])


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
        "logit_bias": Name(f"{{token: {STRONGEST_BIAS}}}"),
    }
    lines += ["    " + line for line in assign("step", call("client.completions.create", named=named))]
    lines += ['    print(step.choices[0].text, end="")', "    tokens.append(token)"]
    return "\n".join(lines) + "\n"
