"""Streamed tokens as text, shaded by how likely each was, with what else could have stood there."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import anywidget
import traitlets

from courselib.answers.stream import Token
from courselib.answers.text import Span, SpanBuilder, show
from courselib.i18n import _
from courselib.panels.view import STATIC, script
from courselib.panels.worker import Coalescer


class TokenText(anywidget.AnyWidget):
    """Text that grows token by token.

    While it grows, only what is new is sent, as messages that say where they begin; the whole is in the trait
    ``spans`` once it is finished, and is sent again when a page asks for it (a view opened late, or a gap in the
    messages). So a long answer costs traffic in proportion to its length, and no update can be lost.

    Traits:
        spans: a list of ``[text, probability or None, [[token, probability], …], number of tokens]``, one for each
            run of whole characters; its probability is that of all its tokens together, and the alternatives are
            those to its first.
    """

    _esm = script("token_text.js")
    _css = STATIC / "token_text.css"
    spans: traitlets.List[Any] = traitlets.List().tag(sync=True)
    labels = traitlets.Dict().tag(sync=True)

    def __init__(self) -> None:
        labels = {
            "empty": _("The answer appears here."),
            "name": _("Tokens of the answer"),
            "legend": _("How likely each token was:"),
            "help": _("Point at a token for the alternatives, or press Tab and use the arrow keys."),
            "instead": _("the most likely here"),
            "together": _("{n} tokens together"),
            "unknown": _("The engine returns no probability for a character made of several tokens."),
            "nothing": _("a token without text"),
        }
        super().__init__(labels=labels)
        self._coalescer = Coalescer(self._send_new)
        self.clear()
        self.on_msg(self._answer_resync)

    def clear(self) -> None:
        """Begin anew."""
        self._builder = SpanBuilder()
        self._tokens: list[Token] = []
        self._all: list[list[Any]] = []
        self._sent = 0
        self.spans = []
        self.send({"kind": "clear"})

    def feed(self, token: Token) -> None:
        """Append a token; what it completes is shown within a twentieth of a second."""
        self._tokens.append(token)
        if span := self._builder.feed(token.data):
            self._add(span)
            self._coalescer.touch()

    def finish(self) -> None:
        """Show all that is left and put the whole into ``spans``."""
        for span in self._builder.finish():
            self._add(span)
        self._coalescer.flush()
        self._send_new()
        self.spans = list(self._all)

    def show(self, spans: Iterable[list[Any]]) -> None:
        """Show a text that is whole: what ``spans`` held when it was finished."""
        self.clear()
        self._all = list(spans)
        self._sent = len(self._all)
        self.spans = list(self._all)

    @property
    def text(self) -> str:
        """The text so far."""
        return "".join(span[0] for span in self._all)

    def as_table(self) -> str:
        """The tokens with their probabilities and the likeliest alternative, as lines of text."""
        return "\n".join(token_lines(self._all))

    def _add(self, span: Span) -> None:
        tokens = self._tokens[span.first : span.end]
        known = [token.logprob for token in tokens if token.logprob is not None]
        probability = _chance(sum(known)) if len(known) == len(tokens) else None
        others = [[show(data), _chance(logprob)] for data, logprob in tokens[0].alternatives]
        self._all.append([span.text, probability, others, len(tokens)])

    def _send_new(self) -> None:
        end = len(self._all)
        if self._sent < end:
            self.send({"kind": "append", "start": self._sent, "spans": self._all[self._sent : end]})
            self._sent = end

    def _answer_resync(self, _widget: object, content: dict[str, Any], _buffers: object) -> None:
        if content.get("kind") == "resync":
            self.send({"kind": "append", "start": 0, "spans": self._all[: self._sent]})

    def __repr__(self) -> str:
        return "TokenText()"


def token_lines(spans: Iterable[list[Any]]) -> list[str]:
    """Spans with their probabilities and the likeliest alternative, as lines of text."""
    lines = []
    for text, probability, others, _count in spans:
        shown = "" if probability is None else f"{probability:7.1%}"
        best = f"  {_('most likely')}: {others[0][0]!r} {others[0][1]:.1%}" if others else ""
        lines.append(f"{text!r:<20}{shown}{best}".rstrip())
    return lines


def _chance(logprob: float) -> float:
    """A probability with the four digits that are worth sending."""
    return float(f"{math.exp(logprob):.4g}")
