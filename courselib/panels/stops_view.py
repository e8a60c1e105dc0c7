"""What the stop inspector shows, as HTML: the answer and its cut, the room there is, every route's account of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from courselib.i18n import _
from courselib.panels.base import escape
from courselib.sampling.text_stops import DIALECTS, REASONS, Account, Step, finish_table
from courselib.text import show, spans

STYLE = """<style>
.cl-ending { white-space: pre-wrap; overflow-wrap: anywhere; line-height: 1.8; }
.cl-ending .cl-token { border-left: 1px solid var(--jp-border-color1, #8888); padding-left: 1px; }
.cl-ending .cl-stop { background: rgba(230, 159, 0, .4); }
.cl-ending .cl-cut { text-decoration: line-through; opacity: .65; }
.cl-gauge { display: flex; height: 18px; border: 1px solid currentColor; border-radius: 4px; overflow: hidden; }
.cl-gauge > div { min-width: 1px; }
</style>"""


@dataclass(frozen=True)
class Made:
    """An answer made without stop strings: its tokens, the probability of the end in place of each, and the room."""

    prompt_tokens: int
    context: int
    steps: tuple[Step, ...]
    ends: tuple[float, ...]


def ending_html(texts: Sequence[bytes], told: Account) -> str:
    """The answer token by token, what is cut struck out, the stop string marked."""
    stop_end = told.at + len((told.stop or "").encode()) if told.at is not None else -1
    kept = len(b"".join(texts)) - len(told.cut)
    at, parts = 0, []
    for span in spans(texts):
        parts.append("<span class='cl-token'>")
        for character in span.text:
            css = "cl-cut" if at >= kept else ""
            css += " cl-stop" if told.at is not None and told.at <= at < stop_end else ""
            parts.append(f"<span class='{css}'>{escape(character)}</span>" if css else escape(character))
            at += len(character.encode())
        parts.append("</span>")
    return f"{STYLE}<div class='cl-ending' tabindex='0'>{''.join(parts)}</div>"


def room(made: Made, answer: int) -> str:
    """The room there is, in tokens, as a sentence."""
    return _("prompt {prompt}, answer {answer}, free {free} of {context} tokens").format(
        prompt=made.prompt_tokens, answer=answer, free=made.context - made.prompt_tokens - answer, context=made.context
    )


def gauge_html(made: Made, answer: int) -> str:
    """Prompt and answer as shares of the context."""
    words = escape(room(made, answer))
    parts = "".join(
        f"<div style='width: {100 * share / made.context:.2f}%; background: {colour}'></div>"
        for share, colour in ((made.prompt_tokens, "#0072b2"), (answer, "#e69f00"))
    )
    return f"{STYLE}<div class='cl-gauge' role='img' aria-label='{words}'>{parts}</div><div>{words}</div>"


def accounts_html(accounts: dict[str, Account]) -> str:
    """A row for each route: what it gives back, what is cut, and its word for the end."""
    heads = (_("route"), _("gives back"), _("cut"), _("stop string"), _("tokens"), _("finish reason"))
    rows = []
    for route, told in accounts.items():
        stop = _("{stop}, kept") if told.kept else _("{stop}, dropped")
        rows.append(
            (
                route,
                repr(told.text[-40:]),
                repr(show(told.cut)) if told.cut else "",
                stop.format(stop=repr(told.stop)) if told.stop is not None else "",
                str(told.tokens),
                DIALECTS[route].word(told.reason),
            )
        )
    return _table(heads, rows)


def words_table() -> str:
    """The finish reasons of all routes, folded."""
    heads = (_("route"), *(_(words) for words in REASONS.values()), _("told apart by"))
    title = escape(_("Finish reasons of all routes"))
    return f"<details><summary>{title}</summary>{_table(heads, finish_table())}</details>"


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(cell)}</th>" for cell in heads)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<div style='overflow-x: auto'><table class='cl-facts'><tr>{head}</tr>{body}</table></div>"
