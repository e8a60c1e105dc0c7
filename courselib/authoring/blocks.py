"""Prose cut into blocks: what is translated, badged and quoted is a block, what is code is left alone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_FENCE = re.compile(r"^\s*(?P<fence>`{3,}|~{3,}|:{3,})\s*(?P<info>.*?)\s*$")
_DIRECTIVE = re.compile(r"^\{(?P<name>[^}]*)\}\s*(?P<title>.*)$")
_ITEM = re.compile(r"^\s*([-*+]|\d+[.)])\s+")
_HEADING = re.compile(r"^#{1,6}\s")


@dataclass(frozen=True)
class Block:
    """Some lines of a markdown cell.

    Args:
        kind: ``"text"`` (a paragraph, a list item, a heading, a table), ``"code"`` (a fenced block with its fences),
            ``"blank"``, ``"open"`` and ``"close"`` (a directive's first and last line), or ``"unclosed"`` (a fence
            that lacks its end).
        text: the lines, joined.
        offset: the first line's place in the cell, from 0.
        name: a directive's name.
        title: what follows the name.
    """

    kind: str
    text: str
    offset: int
    name: str = ""
    title: str = ""


def split(source: str) -> list[Block]:
    """Cut a markdown cell into blocks; joined with newlines, their texts are the cell again."""
    return list(_Splitter(source).run())


class _Splitter:
    def __init__(self, source: str) -> None:
        self.lines = source.split("\n")
        self.at = 0
        self.open: list[tuple[str, int]] = []  # the fences of the directives we are in, and where they began

    def run(self) -> Iterator[Block]:
        while self.at < len(self.lines):
            yield self._next()
        for _fence, offset in self.open:
            yield Block("unclosed", "", offset)

    def _next(self) -> Block:
        line = self.lines[self.at]
        if not line.strip():
            return self._take("blank", 1)
        fence = _fence(line)
        if not fence:
            return self._take("text", self._text_length())
        if self.open and _closes(fence, self.open[-1][0]):
            self.open.pop()
            return self._take("close", 1)
        directive = _DIRECTIVE.match(fence["info"])
        if directive or fence["fence"][0] == ":":
            self.open.append((fence["fence"], self.at))
            found = directive.groupdict() if directive else {"name": fence["info"], "title": ""}
            return self._take("open", 1, **found)
        return self._code(fence["fence"])

    def _take(self, kind: str, count: int, **directive: str) -> Block:
        block = Block(kind, "\n".join(self.lines[self.at : self.at + count]), self.at, **directive)
        self.at += count
        return block

    def _code(self, opening: str) -> Block:
        for index in range(self.at + 1, len(self.lines)):
            fence = _fence(self.lines[index])
            if fence and _closes(fence, opening):
                return self._take("code", index + 1 - self.at)
        self.open.append((opening, self.at))
        return self._take("code", len(self.lines) - self.at)

    def _text_length(self) -> int:
        """Lines until a blank one, a fence, or the next list item or heading."""
        if _HEADING.match(self.lines[self.at]):
            return 1
        for count, line in enumerate(self.lines[self.at + 1 :], start=1):
            if not line.strip() or _fence(line) or _ITEM.match(line) or _HEADING.match(line):
                return count
        return len(self.lines) - self.at


def _fence(line: str) -> re.Match[str] | None:
    """A fence's line; a code span that begins a paragraph with three backticks is none."""
    found = _FENCE.match(line)
    return None if found and found["fence"][0] == "`" and "`" in found["info"] else found


def _closes(fence: re.Match[str], opening: str) -> bool:
    return not fence["info"] and fence["fence"].startswith(opening)
