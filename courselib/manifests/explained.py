"""YAML in which a field has its reason above it, as a comment.

PyYAML writes no comments, but reads where in a text each field stands. So an object is written without comments, read
again for the places of its fields, and each comment is put above its own.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import yaml

WIDTH = 100
Path: TypeAlias = tuple[str | int, ...]


@dataclass(frozen=True)
class Said:
    """A value, and why it is there."""

    value: Any
    why: str


def said(value: Any, why: str) -> Any:
    """A value with its reason; typed as what it holds, since it stands wherever that may stand."""
    return Said(value, why)


def plain(tree: Any) -> Any:
    """The tree without reasons, as Kubernetes takes it."""
    if isinstance(tree, Said):
        return plain(tree.value)
    if isinstance(tree, Mapping):
        return {key: plain(value) for key, value in tree.items()}
    return [plain(value) for value in tree] if isinstance(tree, list) else tree


def to_yaml(tree: Any) -> str:
    """One object as YAML, reasons above their fields."""
    text = yaml.dump(plain(tree), Dumper=_Dumper, sort_keys=False, width=10_000)
    places = dict(_places(yaml.compose(text, Loader=yaml.SafeLoader)))
    lines = text.splitlines()
    whys = [(*places[path], why) for path, why in _reasons(tree)]
    for line, column, why in sorted(whys, reverse=True):
        lines[line:line] = [" " * column + text for text in comment(why, WIDTH - column)]
    return "\n".join(lines) + "\n"


def comment(text: str, width: int = WIDTH) -> list[str]:
    """A text as lines of a comment; lines of it that begin with a space are kept as they are."""
    lines = (line if line.startswith(" ") else textwrap.wrap(line, width - 2) for line in text.splitlines())
    return [f"# {each}" for line in lines for each in ([line] if isinstance(line, str) else line)]


def _reasons(tree: Any, path: Path = ()) -> Iterator[tuple[Path, str]]:
    if isinstance(tree, Said):
        yield path, tree.why
        tree = tree.value
    parts = tree.items() if isinstance(tree, Mapping) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in parts:
        yield from _reasons(value, (*path, key))


def _places(node: yaml.Node, path: Path = ()) -> Iterator[tuple[Path, tuple[int, int]]]:
    """Of each field its line, and the column where a comment above it begins."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield (*path, key.value), (key.start_mark.line, key.start_mark.column)
            yield from _places(value, (*path, key.value))
    elif isinstance(node, yaml.SequenceNode):
        for number, value in enumerate(node.value):
            yield (*path, number), (value.start_mark.line, node.start_mark.column)
            yield from _places(value, (*path, number))


class _Dumper(yaml.SafeDumper):
    """Texts of several lines are written as such; nothing is written as a reference to something above."""

    def ignore_aliases(self, _data: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)
