"""HTML that is safe by construction: whatever text goes into it is escaped, and what cannot be seen is shown."""

from __future__ import annotations

import html
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import TypeAlias

from courselib.grading.printable import printable, printable_name
from courselib.i18n import _

Child: TypeAlias = "str | Iterable[Child]"
_VOID = frozenset({"br", "hr", "input", "meta"})


class Html(str):
    """Text that is HTML already."""

    __slots__ = ()


def tag(name: str, *children: Child, **attributes: str | bool | int) -> Html:
    """An element.

    Args:
        name: of the element.
        children: what is in it, or lists of that; what is not ``Html`` is escaped.
        attributes: ``class_`` is ``class``, other ``_`` are ``-``; ``True`` stands without a value, ``False`` is none.
    """
    opening = [name]
    for key, value in attributes.items():
        attribute = key.rstrip("_").replace("_", "-")
        if value is True:
            opening.append(attribute)
        elif value is not False:
            opening.append(f'{attribute}="{html.escape(printable(str(value)))}"')
    if name in _VOID:
        return Html(f"<{' '.join(opening)}>")
    return Html(f"<{' '.join(opening)}>{join(children)}</{name}>")


def join(children: Iterable[Child]) -> Html:
    """Children, one after another."""
    return Html("".join(_escaped(child) if isinstance(child, str) else join(child) for child in children))


def fold(summary: str, *children: Child, is_open: bool = False) -> Html:
    """What is shown on a click."""
    return tag("details", tag("summary", summary), *children, open=is_open)


def code(text: str) -> Html:
    """A block of a learner's text. It can be reached by the keyboard, since it may have to be scrolled."""
    return tag("pre", tag("code", text), tabindex=0)


def prose(markdown: str) -> Html:
    """Markdown of the course as it is written, but for its headings."""
    blocks = []
    for block in markdown.split("\n\n"):
        is_heading = block.startswith("#")
        blocks.append(tag("h3", block.lstrip("# ")) if is_heading else tag("p", block, class_="says"))
    return join(blocks)


def table(heads: Iterable[str], rows: Iterable[Iterable[str]], *, numbers: Iterable[int] = ()) -> Html:
    """A table that scrolls in itself where a page is narrow.

    Args:
        heads: of the columns.
        rows: cells; the first one of each row is its head.
        numbers: columns that hold numbers.
    """
    right = set(numbers)
    aligned = {at: {"class_": "number"} for at in right}
    head = tag("tr", [tag("th", name, scope="col", **aligned.get(at, {})) for at, name in enumerate(heads)])
    body = [
        tag("tr", [_cell(cell, at, **aligned.get(at, {})) for at, cell in enumerate(cells)])
        for cells in map(list, rows)
    ]
    return tag("div", tag("table", tag("thead", head), tag("tbody", body)), class_="scrolls", tabindex=0)


def page(title: str, *body: Child, is_unsafe: bool = False) -> str:
    """A whole page, which asks no other file and no network.

    Args:
        title: of the page, and its heading.
        body: what is below the heading.
        is_unsafe: whether learners' code was run with limits only, of which each page warns.
    """
    warning = [tag("p", unsafe_warning(), class_="warning", role="note")] if is_unsafe else []
    policy = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'"
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("meta", name_="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name_="referrer", content="no-referrer"),
        tag("meta", name_="color-scheme", content="light dark"),
        tag("title", printable_name(title)),
        tag("style", Html(_style())),
    )
    main = tag("main", tag("h1", printable_name(title)), warning, *body)
    return f"<!doctype html>\n{tag('html', head, tag('body', main), lang='en')}\n"


def unsafe_warning() -> str:
    """What each page says where learners' code was not confined."""
    return _(
        "Warning: learners' code was run with limits only (--unsafe). It could read and change the files of the "
        "account that graded, these results among them."
    )


def _escaped(text: str) -> str:
    return text if isinstance(text, Html) else html.escape(printable(text))


def _cell(cell: str, at: int, **attributes: str) -> Html:
    return tag("td", cell, **attributes) if at else tag("th", cell, scope="row", **attributes)


@cache
def _style() -> str:
    return Path(__file__).with_name("page.css").read_text(encoding="utf-8")
