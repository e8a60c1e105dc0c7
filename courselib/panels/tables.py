"""A table of text as HTML, with heads above its columns and beside its rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from courselib.panels.base import escape


@dataclass(frozen=True)
class Titled:
    """A cell that shows a longer text under the pointer."""

    text: str
    title: str


Cell: TypeAlias = str | Titled


def table_html(heads: Sequence[str], rows: Sequence[Sequence[Cell]], *, css: str, caption: str = "") -> str:
    """A table whose first cell of each row is the row's head.

    Args:
        heads: one for each column; empty where a column has none.
        rows: as many cells each.
        css: the table's classes.
        caption: the words above it.
    """
    above = f"<caption class='cl-quiet'>{escape(caption)}</caption>" if caption else ""
    head = "".join(f"<th scope='col'>{escape(cell)}</th>" if cell else "<td></td>" for cell in heads)
    body = "".join(f"<tr><th scope='row'>{_text(name)}</th>{''.join(map(_cell, cells))}</tr>" for name, *cells in rows)
    return f"<table class='{css}'>{above}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def cards_html(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table whose rows become cards where it is narrow; each cell then names its column."""
    # A table that is laid out as blocks is none for a screen reader unless its parts say what they are.
    head = "".join(f"<th scope='col' role='columnheader'>{escape(cell)}</th>" for cell in heads)
    body = "".join(_card(heads, row) for row in rows)
    return (
        f"<table class='cl-facts cl-stacks' role='table'><thead role='rowgroup'><tr role='row'>{head}</tr></thead>"
        f"<tbody role='rowgroup'>{body}</tbody></table>"
    )


def _text(cell: Cell) -> str:
    return escape(cell.text if isinstance(cell, Titled) else cell)


def _cell(cell: Cell) -> str:
    title = f" title='{escape(cell.title)}'" if isinstance(cell, Titled) else ""
    return f"<td{title}>{_text(cell)}</td>"


def _card(heads: Sequence[str], row: Sequence[str]) -> str:
    name, *cells = row
    rest = "".join(
        f"<td role='cell' data-head='{escape(head)}'>{escape(cell)}</td>"
        for head, cell in zip(heads[1:], cells, strict=True)
    )
    return f"<tr role='row'><th scope='row' role='rowheader'>{escape(name)}</th>{rest}</tr>"
