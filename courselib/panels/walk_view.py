"""The picture of a walk: what could come next, and the ways taken."""

from __future__ import annotations

from typing import Any

import anywidget
import numpy as np
import traitlets

from courselib.answers.text import show
from courselib.i18n import _
from courselib.panels.view import STATIC, script
from courselib.panels.walk_tree import Tree
from courselib.sampling.candidates import Floats

ROWS = 10


class WalkView(anywidget.AnyWidget):
    """What could come next as a list, and the ways taken as a tree; each of both can be chosen.

    Traits:
        drawn: ``prompt``, ``text``, ``rows``, ``tree``, and how many nodes come ``before`` and ``after`` those of the
            tree; empty before the first look.
        busy: whether the engine is being asked.
    """

    _esm = script("walk.js")
    _css = STATIC / "walk.css"
    drawn = traitlets.Dict().tag(sync=True)
    busy = traitlets.Bool(False).tag(sync=True)
    labels = traitlets.Dict().tag(sync=True)

    def __init__(self) -> None:
        labels = {
            "empty": _("Press Begin: the engine returns what could come next."),
            "text": _("The path so far"),
            "rows": _("What could come next, under these controls"),
            "tree": _("The paths taken; choose one to go back to it"),
            "start": _("the prompt's end"),
            "nothing": _("a token without text"),
            "under": _("taken under {controls}"),
            "more": _("… {n} more"),
        }
        super().__init__(labels=labels)

    def __repr__(self) -> str:
        return "WalkView()"


def could_follow(tree: Tree, probabilities: Floats) -> list[dict[str, Any]]:
    """The likeliest tokens after where one stands, for the page."""
    ids = np.argsort(-probabilities, kind="stable")[:ROWS]
    return [
        {"token": int(token), "text": show(tree.told.pieces[token]), "p": float(probabilities[token])}
        for token in ids
        if probabilities[token] > 0
    ]
