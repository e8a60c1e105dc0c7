"""The ways taken through what a model could say: a tree of tokens that is never changed, only added to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from courselib.answers.text import show, spans
from courselib.controls.controls import Controls
from courselib.errors import SettingsError
from courselib.i18n import _
from courselib.observe.logits import NextToken
from courselib.panels.looking import Look

# Distributions kept besides the one that is looked at, each as long as the vocabulary: 0.4 MB at 49,152 tokens, 1.2 MB
# at 151,936. To go back further, the engine is asked again.
MOST_ROWS = 4
# Nodes shown about the one where one stands.
MOST_SHOWN = 200


@dataclass(frozen=True, eq=False)
class Node:
    """A token taken.

    Args:
        number: its place in the order in which nodes came.
        parent: the number of the node before; ``None`` for the prompt's end.
        token: its id; -1 for the prompt's end.
        piece: its bytes.
        probability: what it had under the controls it was taken under.
        controls: those controls.
    """

    number: int = 0
    parent: int | None = None
    token: int = -1
    piece: bytes = b""
    probability: float = 1.0
    controls: Controls = field(default_factory=Controls)


@dataclass(frozen=True, eq=False)
class Tree:
    """All nodes, and where one stands.

    Args:
        look: what the engine told at the prompt's end.
        rows: what it told after some nodes, by their numbers, the last one asked for at the end.
        nodes: in the order in which they came; the first is the prompt's end.
        here: the number of the node where one stands.
    """

    look: Look
    rows: tuple[tuple[int, NextToken], ...]
    nodes: tuple[Node, ...] = (Node(),)
    here: int = 0

    @classmethod
    def of(cls, look: Look) -> Tree:
        """At the prompt's end."""
        return cls(look, ((0, look.told),))

    @property
    def told(self) -> NextToken:
        """What the engine told of the token after ``here``."""
        return dict(self.rows)[self.here]

    @property
    def path(self) -> tuple[Node, ...]:
        """The nodes from the first token to ``here``."""
        return self.path_to(self.here)

    def path_to(self, number: int) -> tuple[Node, ...]:
        """The nodes from the first token to a node."""
        way = []
        node = self.node(number)
        while node.parent is not None:
            way.append(node)
            node = self.nodes[node.parent]
        return tuple(reversed(way))

    def tokens_to(self, number: int) -> tuple[int, ...]:
        """Ids of the prompt's tokens and of those up to a node."""
        return (*self.look.told.prompt, *(node.token for node in self.path_to(number)))

    @property
    def text(self) -> str:
        """What was taken, up to ``here``."""
        return "".join(span.text for span in spans(node.piece for node in self.path))

    def node(self, number: int) -> Node:
        """A node by its number.

        Raises:
            SettingsError: there is none of this number.
        """
        if not 0 <= number < len(self.nodes):
            text = _("There is no node {number}; the last one is {last}.")
            raise SettingsError(text.format(number=number, last=len(self.nodes) - 1))
        return self.nodes[number]

    def after(self, token: int) -> Node | None:
        """The node of a token taken from here before."""
        return next((node for node in self.nodes if (node.parent, node.token) == (self.here, token)), None)

    def with_node(self, token: int, probability: float, controls: Controls) -> Tree:
        """With a token more, taken from here; one stands where one stood."""
        node = Node(len(self.nodes), self.here, token, self.told.pieces[token], probability, controls)
        return replace(self, nodes=(*self.nodes, node))

    def at(self, number: int, told: NextToken) -> Tree:
        """Standing at a node, after which the engine told this."""
        others = [row for row in self.rows if row[0] != number]
        return replace(self, here=number, rows=(*others[-MOST_ROWS:], (number, told)))

    def shown(self) -> dict[str, Any]:
        """The nodes about ``here`` for the page, and how many more there are before and after them."""
        order = list(self._in_order())
        place = next(at for at, (node, _depth) in enumerate(order) if node.number == self.here)
        first = max(0, min(place - MOST_SHOWN // 2, len(order) - MOST_SHOWN))
        some = order[first : first + MOST_SHOWN]
        on_path = {node.number for node in self.path} | {0}
        nodes = [
            {
                "number": node.number,
                "depth": depth,
                "text": show(node.piece),
                "p": node.probability,
                "controls": repr(node.controls),
                "here": node.number == self.here,
                "onPath": node.number in on_path,
            }
            for node, depth in some
        ]
        return {"tree": nodes, "before": first, "after": len(order) - first - len(some)}

    def _in_order(self) -> Iterator[tuple[Node, int]]:
        """Nodes with their depths, each before its children; a way that does not part goes on at the same depth."""
        children: dict[int, list[Node]] = {}
        for node in self.nodes[1:]:
            assert node.parent is not None
            children.setdefault(node.parent, []).append(node)
        waiting = [(self.nodes[0], 0)]
        while waiting:
            node, depth = waiting.pop()
            yield node, depth
            following = children.get(node.number, [])
            waiting += [(child, depth + (len(following) > 1)) for child in reversed(following)]
