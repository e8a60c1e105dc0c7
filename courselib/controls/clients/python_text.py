"""Values and calls as Python text, laid out as the usual formatters lay it out (88 columns, double quotes)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from courselib.i18n import _

WIDTH = 88


class Name(str):
    """Text that stands in a program as it is: a variable, or an expression."""

    __slots__ = ()


def literal(value: Any, indent: str = "", *, reserve: int = 1) -> str:
    """A value as Python text, on one line if it fits.

    Args:
        value: what ``repr`` could show: numbers, texts, lists, dicts, and names.
        indent: of the line that it stands in.
        reserve: columns of that line that are taken.
    """
    if isinstance(value, Name):
        return str(value)
    if isinstance(value, str):
        return _text(value)
    if not isinstance(value, list | dict) or not value:
        return repr(value)
    flat = _flat(value)
    # Messages stand one on a line, however short.
    if not (isinstance(value, list) and isinstance(value[0], dict)) and len(indent) + reserve + len(flat) <= WIDTH:
        return flat
    deeper = indent + "    "
    if isinstance(value, list):
        inside = [f"{deeper}{literal(item, deeper)},\n" for item in value]
        return "[\n" + "".join(inside) + indent + "]"
    inside = [f"{deeper}{_text_or_repr(key)}: {_of_pair(key, item, deeper)},\n" for key, item in value.items()]
    return "{\n" + "".join(inside) + indent + "}"


def _of_pair(key: Any, item: Any, indent: str) -> str:
    return literal(item, indent, reserve=len(_text_or_repr(key)) + 3)


def _flat(value: Any) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(map(_flat, value)) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_text_or_repr(key)}: {_flat(item)}" for key, item in value.items()) + "}"
    return literal(value)


def _text_or_repr(key: Any) -> str:
    return _text(key) if isinstance(key, str) else repr(key)


def _text(text: str) -> str:
    """A string in double quotes, or in single ones where that spares escapes."""
    inner = json.dumps(text, ensure_ascii=False)[1:-1]
    if text.count('"') > text.count("'"):
        return "'" + inner.replace('\\"', '"').replace("'", "\\'") + "'"
    return f'"{inner}"'


def call(function: str, positional: Iterable[Any] = (), named: Mapping[str, Any] | None = None) -> list[str]:
    """A call on one line where it is short, else with one argument a line."""
    arguments = [literal(value, "    ") for value in positional]
    for name, value in (named or {}).items():
        arguments.append(f"{name}={literal(value, '    ', reserve=len(name) + 2)}")
    if not arguments:
        return [f"{function}()"]
    flat = f"{function}({', '.join(arguments)})"
    # Room for the name that the value gets.
    if (len(arguments) == 1 or not named) and "\n" not in flat and len(flat) <= WIDTH - len("answers = "):
        return [flat]
    return [f"{function}(", *(f"    {argument}," for argument in arguments), ")"]


def environment(changes: Mapping[str, str | None]) -> list[str]:
    """Lines that set variables for the program, or take them out; none where nothing is to be changed."""
    if not changes:
        return []
    lines = ["import os", "", _("# No proxy for the server on this machine.")]
    for name, value in changes.items():
        lines.append(f"os.environ[{literal(name)}] = {literal(value)}" if value else f'os.environ.pop("{name}", None)')
    return [*lines, ""]


def assign(name: str, lines: list[str]) -> list[str]:
    """The value of a call under a name."""
    return [f"{name} = {lines[0]}", *lines[1:]]
