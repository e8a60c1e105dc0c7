"""Pictures that stand without scripts and without styles, for saved notebooks: GitHub and a phone show them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from courselib.panels.base import escape

# As many signs as the longest bar has, and rows as a table.
WIDEST = 24
ROWS = 12
BLOCKS = " ▏▎▍▌▋▊▉█"
HTML, SVG = "text/html", "image/svg+xml"
CAPTION_HEIGHT = 26
# Text in cells begins at the left, which is no style that a page could strip.
LEFT = "'left'"


def token(text: str) -> str:
    """A token with signs for what cannot be seen, as the panels' scripts write it."""
    core = text.strip(" ")
    left, right = (len(text) - len(text.lstrip(" ")), len(text) - len(text.rstrip(" "))) if core else (len(text), 0)
    return "␣" * left + core.replace("\n", "⏎").replace("\t", "⇥") + "␣" * right


def percent(share: float) -> str:
    """A share for people, as the panels' scripts write it (``static/tokens.js``)."""
    if share in (0, 1):
        return f"{100 * share:.0f} %"
    if share < 0.0001:
        return "< 0.01 %"
    if share >= 0.9995:
        return "> 99.9 %"
    return f"{100 * share:.1f} %" if share >= 0.0995 else f"{100 * share:#.2g} %"


def bar(share: float) -> str:
    """A share of the longest bar, in signs of eighths of a sign's width."""
    eighths = round(max(0.0, min(1.0, share)) * WIDEST * 8)
    return "█" * (eighths // 8) + (BLOCKS[eighths % 8] if eighths % 8 else "")


def bars(caption: str, heads: Sequence[str], rows: Sequence[tuple[str, float, Sequence[str]]]) -> dict[str, str]:
    """A table with a bar in each row.

    Args:
        caption: what it shows, and where its numbers come from.
        heads: of the columns: name, bar, and further ones.
        rows: name, length of the bar, and further cells, of each row.
    """
    longest = max((length for _name, length, _cells in rows), default=0) or 1
    body = [
        (f"<code>{escape(name)}</code>", f"<code>{bar(length / longest)}</code>", *map(escape, cells))
        for name, length, cells in rows
    ]
    return {HTML: f"<p>{escape(caption)}</p>{table(heads, body)}"}


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table as HTML.

    Args:
        heads: of the columns, as text.
        rows: the cells of each row, as HTML; the first is the row's head.
    """
    head = "".join(f"<th scope='col'>{escape(each)}</th>" for each in heads)
    body = "".join(
        f"<tr><th scope='row'>{name}</th>{''.join(f'<td align={LEFT}>{cell}</td>' for cell in cells)}</tr>"
        for name, *cells in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def framed(svg: str, caption: str) -> dict[str, str]:
    """A drawing on a ground of its own, since a page's dark ground would swallow its words.

    Args:
        svg: the drawing, as ``lines_svg`` gives it.
        caption: what it shows, and where its numbers come from.
    """
    found = re.search(r"viewBox='0 0 (\d+) (\d+)'", svg)
    if not found:
        return {}
    width, height = int(found[1]), int(found[2])
    inner = svg.replace("<svg ", f"<svg y='{CAPTION_HEIGHT}' width='{width}' height='{height}' ", 1)
    whole = height + CAPTION_HEIGHT
    return {
        SVG: f"<svg xmlns='http://www.w3.org/2000/svg' width='{width}' height='{whole}' viewBox='0 0 {width} {whole}' "
        f"color='black' font-family='sans-serif' font-size='12'><rect width='{width}' height='{whole}' fill='white'/>"
        f"<text x='10' y='18' fill='black'>{escape(caption)}</text>{inner}</svg>"
    }
