"""What a text says again: each repeated span, and where it was said first.

A suffix tree, built token by token (Ukkonen, On-line construction of suffix trees, Algorithmica 14, 1995), knows after
each token the longest ending that the text has had before. It costs a constant number of steps for each token, taken
over the whole text: every step down an edge or along a suffix link is paid for by a token that was added.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field


@dataclass
class _Node:
    """A node and the edge that leads to it: the tokens ``start`` up to ``end``, which is None while it still grows."""

    start: int
    end: int | None
    children: dict[Hashable, _Node] = field(default_factory=dict)
    link: _Node | None = None


@dataclass(frozen=True)
class Repeat:
    """``length`` tokens from ``start`` that are the same as those from ``first``, the first time they came."""

    start: int
    length: int
    first: int


class RepeatFinder:
    """Take a text's tokens as they come; ``repeat`` is the longest ending that has come before, overlaps included."""

    def __init__(self) -> None:
        self._tokens: list[Hashable] = []
        self._root = _Node(0, 0)
        # Where the longest ending that is in the tree already lies: below this node, so far along its edge by that
        # token. It begins ``_remaining`` tokens before the end.
        self._node = self._root
        self._edge = 0
        self._along = 0
        self._remaining = 0

    def feed(self, token: Hashable) -> Repeat | None:
        """Take the next token; gives the longest ending that the text has had before, if any."""
        place = len(self._tokens)
        self._tokens.append(token)
        self._remaining += 1
        newest: _Node | None = None
        while self._remaining:
            if self._along == 0:
                self._edge = place
            child = self._node.children.get(self._tokens[self._edge])
            if child is None:
                self._node.children[self._tokens[self._edge]] = _Node(place, None)
                _link(newest, self._node)
                newest = None
            else:
                if self._walk_down(child):
                    continue
                if self._tokens[child.start + self._along] == token:
                    _link(newest, self._node)
                    self._along += 1
                    break
                middle = self._split(child, place)
                _link(newest, middle)
                newest = middle
            self._remaining -= 1
            if self._node is self._root and self._along:
                self._along -= 1
                self._edge = place - self._remaining + 1
            elif self._node is not self._root:
                self._node = self._node.link or self._root
        return self.repeat

    @property
    def repeat(self) -> Repeat | None:
        """The longest ending that the text has had before."""
        if not self._remaining:
            return None
        # An edge keeps the place of the suffix that made it, which is the first that goes this way.
        if self._along:
            child = self._node.children[self._tokens[self._edge]]
            end = child.start + self._along
        else:
            end = self._node.start + self._length(self._node)
        return Repeat(len(self._tokens) - self._remaining, self._remaining, end - self._remaining)

    def _length(self, node: _Node) -> int:
        return (len(self._tokens) if node.end is None else node.end) - node.start

    def _walk_down(self, child: _Node) -> bool:
        """Go to the child if the place lies at its end or beyond."""
        length = self._length(child)
        if self._along < length:
            return False
        self._node = child
        self._edge += length
        self._along -= length
        return True

    def _split(self, child: _Node, place: int) -> _Node:
        """A new node at the place on the child's edge, with a leaf for the newest token."""
        middle = _Node(child.start, child.start + self._along)
        self._node.children[self._tokens[self._edge]] = middle
        child.start += self._along
        middle.children[self._tokens[child.start]] = child
        middle.children[self._tokens[place]] = _Node(place, None)
        return middle


def _link(made: _Node | None, to: _Node) -> None:
    """Give the inner node made last, if there is one, its suffix link."""
    if made is not None:
        made.link = to


def repeated_spans(tokens: Iterable[Hashable], *, least: int = 4) -> list[Repeat]:
    """The parts of a text that it has had before, of ``least`` tokens or more, in order; they may overlap.

    Each is as long as it can be: the token after it, or before it, differs from the one at its first occurrence, or the
    text ends.
    """
    finder = RepeatFinder()
    found: list[Repeat] = []
    for token in tokens:
        repeat = finder.feed(token)
        if repeat is None or repeat.length < least:
            continue
        if found and found[-1].start == repeat.start:
            found.pop()
        found.append(repeat)
    return found


def longest_repeat(tokens: Iterable[Hashable]) -> Repeat | None:
    """The longest part of a text that it has had before, overlaps included; the first of several, None if none is."""
    finder = RepeatFinder()
    best: Repeat | None = None
    for token in tokens:
        repeat = finder.feed(token)
        if repeat is not None and (best is None or repeat.length > best.length):
            best = repeat
    return best
