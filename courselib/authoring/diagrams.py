"""Diagrams of things that have parts, from text: rows of boxes with arrows, and a description that says the same.

    ```{diagram} client-and-server
    [Your notebook|a client] <-- HTTP --> [*llama-server|the model and its KV cache]

    Your notebook is a client. It sends requests to llama-server, which has the model and its KV cache.
    ```

The first paragraph is the picture. A line of it is one of

    Name: [box|small print] --> [box] <-- label --> [box] [beside it]     a row; Name: may be left out
    v label                                                               an arrow down to the next row; v^ both ways
    { Title                                                               a frame around the rows up to the line }

``[*box]`` stands out, ``[-box]`` is empty or free. What follows the picture is its text twin, for screen readers and
for pages that show no pictures: it must say what the picture says.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Sequence

from courselib.authoring.blocks import Block
from courselib.authoring.diagram_svg import MAX_WIDTH, draw, width
from courselib.authoring.diagram_text import parse
from courselib.i18n import _

NAME = "diagram"
MIN_TWIN_LETTERS = 40
_FILE = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


def picture(name: str, body: Sequence[str]) -> tuple[str, str]:
    """A diagram as Markdown: the picture with its text twin, and the line that belongs at the end of the cell.

    The picture is a part of the notebook, since a copy, Colab and a browser's download take no files along. JupyterLab
    refuses SVG as an attachment, and shows it behind an address of the kind ``data:``, as the others do.
    """
    drawing, twin = _halves(body)
    alt = re.sub(r"([\[\]])", r"\\\1", twin)
    svg = base64.b64encode(draw(parse(drawing), twin).encode()).decode()
    return f"![{alt}][{name}]", f"[{name}]: data:image/svg+xml;base64,{svg}"


def problems(title: str, blocks: Sequence[Block]) -> Iterator[str]:
    """What is wrong with one diagram."""
    if not _FILE.fullmatch(title):
        yield _("a diagram has a name, of small letters, digits and hyphens: ```{diagram} client-and-server")
    drawing, twin = _halves([block.text for block in blocks])
    try:
        drawn = parse(drawing)
    except ValueError as error:
        yield _("this line of the diagram cannot be read: {line}").format(line=error)
        return
    if width(drawn) > MAX_WIDTH:
        text = _("this diagram is {n} wide, {most} is the most that a page shows; break a row in two with a line v.")
        yield text.format(n=round(width(drawn)), most=MAX_WIDTH)
    if len(twin) < MIN_TWIN_LETTERS:
        yield _("below its picture, behind a blank line, a diagram says the same in words.")


def _halves(body: Sequence[str]) -> tuple[str, str]:
    drawing, _blank, twin = "\n".join(body).strip("\n").partition("\n\n")
    return drawing, " ".join(twin.split())
