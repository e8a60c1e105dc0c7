"""The two answers that the penalty microscope compares: as records, and as each is shown."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import ipywidgets as widgets

from courselib.answers.stream import Token
from courselib.answers.text import spans
from courselib.i18n import _
from courselib.panels.answer_ids import Ids
from courselib.panels.base import escape, facts_table
from courselib.panels.marked_text import MarkedText, loop_words, marked, rings
from courselib.sampling.text_repetition import compression_ratio, distinct, find_loops, repetition
from courselib.sampling.text_scripts import largest_drift
from courselib.sampling.text_spans import longest_repeat

SIDES = ("A", "B")
# Pieces of text before a token that is taken apart, for a person to find it.
TAIL = 8


@dataclass(frozen=True, eq=False)
class Said:
    """One answer.

    Args:
        tokens: as they came.
        prompt_tokens: how many the engine counted in the prompt; ``None`` where it has not said so.
        prompt: their ids, where the engine gave them.
        ids: the ids of the answer's tokens, once they were asked for.
    """

    tokens: tuple[Token, ...] = ()
    prompt_tokens: int | None = None
    prompt: tuple[int, ...] = ()
    ids: Ids | None = None

    @property
    def data(self) -> list[bytes]:
        """The tokens' bytes."""
        return [token.data for token in self.tokens]

    def before(self, step: int) -> str:
        """The end of the text before a token, cut between tokens."""
        pieces = [span.text for span in spans(self.data[:step])]
        return ("…" if len(pieces) > TAIL else "") + "".join(pieces[-TAIL:])

    def measures(self, prompt: str) -> list[tuple[str, str]]:
        """What is measured of the answer: name and value."""
        data, known = self.data, [token.logprob for token in self.tokens if token.logprob is not None]
        repeat = longest_repeat(data)
        drift = largest_drift(prompt, [span.text for span in spans(data)])
        return [
            (_("repeated 4-grams"), f"{repetition(data, 4):.0%}"),
            (_("distinct pairs per token"), f"{distinct(data, 2):.2f}"),
            (_("longest repetition, tokens"), str(repeat.length if repeat else 0)),
            (_("compression ratio"), f"{compression_ratio(b''.join(data)):.1f}"),
            (_("mean log-probability"), f"{sum(known) / len(known):.2f}" if known else "-"),
            (_("drift from the prompt's scripts"), f"{drift:.0%}"),
        ]

    def lines(self, prompt: str) -> list[str]:
        """The text, its loops and measures, as plain text."""
        return [
            b"".join(self.data).decode("utf-8", "replace"),
            *(loop_words(loop) for loop in find_loops(self.data)),
            *(f"{name}: {value}" for name, value in self.measures(prompt) if self.tokens),
        ]


@dataclass(frozen=True)
class Apart:
    """One step taken apart.

    Args:
        side: whose, 0 or 1.
        step: the number of the token.
        before: the text before it, or its end.
        rows: the table, the first row being the heads.
    """

    side: int
    step: int
    before: str
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, eq=False)
class Pair:
    """Both answers, and the step that was taken apart last, if one was."""

    sides: tuple[Said, Said] = (Said(), Said())
    apart: Apart | None = None


class SideView(widgets.VBox):
    """One answer: its text with what it says again, and its loops; ``facts``, which stands elsewhere, measures it.

    Args:
        name: A or B.
        on_pick: called with the number of a token that was chosen.
    """

    def __init__(self, name: str, on_pick: Callable[[int], None]) -> None:
        self.text = MarkedText(on_pick, name=_("Answer {side}").format(side=name))
        self.rings, self.facts = widgets.HTML(), widgets.HTML()
        self._name = name
        self._shown: tuple[Any, str] | None = None
        super().__init__([widgets.HTML(f"<b>{escape(name)}</b>"), self.text, self.rings])
        self.add_class(f"cl-text-{name.lower()}")

    def show(self, said: Said, prompt: str, picked: int) -> None:
        """Show an answer, unless it is shown already, and which of its tokens is taken apart (-1: none)."""
        self.text.picked = picked
        if self._shown is not None and self._shown[0] is said.tokens and self._shown[1] == prompt:
            return
        self._shown = (said.tokens, prompt)
        self.text.parts = marked(said.data)
        self.rings.value = rings(said.data, find_loops(said.data))
        facts = facts_table([(name, value, _("measured")) for name, value in said.measures(prompt)])
        self.facts.value = f"<b>{escape(self._name)}</b>{facts}" if said.tokens else ""
