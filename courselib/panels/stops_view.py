"""What the stop inspector shows, as HTML: the answer and its cut, the room there is, every route's account of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from courselib.answers.text import show, spans
from courselib.i18n import _
from courselib.panels.base import escape
from courselib.panels.lines import Curve, lines_svg
from courselib.panels.still import HTML, table
from courselib.panels.tables import cards_html
from courselib.sampling.text_stops import DIALECTS, REASONS, Account, Ending, Step, finish_table

PROMPT_COLOUR, ANSWER_COLOUR = "#0072b2", "#e69f00"


@dataclass(frozen=True)
class Seen:
    """What an engine itself gave back.

    Args:
        ending: what it was asked for.
        text: what it gave back.
        reason: its word for the end.
        stop: the stop string that it names; empty without one.
    """

    ending: Ending
    text: str
    reason: str
    stop: str


@dataclass(frozen=True)
class Made:
    """An answer made without stop strings.

    Args:
        prompt: ids of the prompt's tokens.
        context: how many tokens there is room for.
        limit: how many tokens the answer could have.
        tokens: ids of the answer's tokens, as the engine counts them.
        steps: the same tokens, for ``courselib.sampling.text_stops``.
        end_ids: ids of the tokens that end an answer.
        end_words: the same, for a person.
        ends: the probability that the answer ends in place of each token; as many as are measured already.
        window: how many tokens back layers with a sliding window look; None without such layers, or if not known.
        seen: what the engine gave back, asked with the stop strings.
    """

    prompt: tuple[int, ...]
    context: int
    limit: int
    tokens: tuple[int, ...]
    steps: tuple[Step, ...]
    end_ids: tuple[int, ...]
    end_words: str
    ends: tuple[float, ...] = ()
    window: int | None = None
    seen: Seen | None = None


def ending_html(texts: Sequence[bytes], told: Account) -> str:
    """The answer token by token, what is cut struck out, the stop string marked."""
    tokens = "".join(f"<span class='cl-token'>{token}</span>" for token in _marked(texts, told))
    title = escape(_("The answer, token by token; what the endpoint does not return is struck out."))
    return f"<div class='cl-ending' tabindex='0' role='region' aria-label='{title}'>{tokens}</div>"


def _marked(texts: Sequence[bytes], told: Account) -> Iterator[str]:
    """Each token's text, in pieces that are alike: kept or cut, of the stop string or not."""
    stop_end = told.at + len((told.stop or "").encode()) if told.at is not None else -1
    kept = len(b"".join(texts)) - len(told.cut)
    at = 0
    for span in spans(texts):
        signs = []
        for character in span.text:
            of_stop = told.at is not None and told.at <= at < stop_end
            signs.append((at >= kept, of_stop, character))
            at += len(character.encode())
        yield "".join(
            _piece("".join(sign[2] for sign in some), *alike) for alike, some in groupby(signs, key=lambda one: one[:2])
        )


def _piece(text: str, cut: bool, of_stop: bool) -> str:
    html = escape(text)
    html = f"<mark class='cl-stop-string'>{html}</mark>" if of_stop else html
    return f"<s class='cl-cut'>{html}</s>" if cut else html


def room(made: Made, answer: int) -> str:
    """The room there is, in tokens, in words."""
    prompt = len(made.prompt)
    words = _("prompt {prompt}, answer {answer}, free {free} of {context} tokens").format(
        prompt=prompt, answer=answer, free=made.context - prompt - answer, context=made.context
    )
    if made.window is None or made.window >= made.context:
        return words
    return words + _("; some of the model's layers look back over the last {window} only").format(window=made.window)


def gauge_html(made: Made, answer: int) -> str:
    """Prompt and answer as shares of the context, with a legend."""
    shares = (
        (_("prompt"), len(made.prompt), PROMPT_COLOUR),
        (_("answer"), answer, ANSWER_COLOUR),
        (_("free"), made.context - len(made.prompt) - answer, "transparent"),
    )
    bar = "".join(
        f"<div style='width: {100 * share / made.context:.2f}%; background: {colour}'></div>"
        for _name, share, colour in shares
    )
    legend = "".join(
        f"<span><i style='background: {colour}'></i>{escape(name)} {share}</span>" for name, share, colour in shares
    )
    words = escape(room(made, answer))
    rest = room(made, answer).partition("; ")[2]
    note = f"<span>{escape(rest)}</span>" if rest else ""
    whole = escape(_("Context, {context} tokens:").format(context=made.context))
    return (
        f"<div class='cl-gauge' role='img' aria-label='{words}'>{bar}</div>"
        f"<div class='cl-gauge-legend' aria-hidden='true'>{whole} {legend}{note}</div>"
    )


def accounts_html(accounts: dict[str, Account]) -> str:
    """A row for each route: what it gives back, what is cut, and its word for the end."""
    return cards_html(*_told(accounts))


def accounts_still(accounts: dict[str, Account], caption: str) -> dict[str, str]:
    """The same for a saved notebook."""
    heads, rows = _told(accounts)
    return {HTML: f"<p>{escape(caption)}</p>{table(heads, [list(map(escape, row)) for row in rows])}"}


def _told(accounts: dict[str, Account]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Heads and rows of the table of all routes."""
    heads = (_("endpoint"), _("gives back"), _("cut"), _("stop string"), _("tokens"), _("finish reason"))
    rows: list[tuple[str, ...]] = []
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
    return heads, rows


def words_table() -> str:
    """The finish reasons of all routes, folded."""
    heads = (_("endpoint"), *(_(words) for words in REASONS.values()), _("distinguished by"))
    title = escape(_("Finish reasons of all endpoints"))
    return f"<details><summary>{title}</summary>{cards_html(heads, finish_table())}</details>"


def end_curve(made: Made) -> str:
    """P(end) in place of each token, as a curve; nothing for a model that has no token that ends."""
    if not made.end_ids or not made.ends:
        return ""
    some = list(zip(made.steps, made.ends, strict=False))
    points = [(float(place), chance) for place, (_step, chance) in enumerate(some)]
    words = [f"{place}: {show(step.data)!r}, {chance:.2e}" for place, (step, chance) in enumerate(some)]
    title = _("P(end): the probability that the answer ends in place of each token (measured)")
    drawn = lines_svg([Curve("P(end)", points, words)], title=title, x=_("token"), y=_("probability"), log=True)
    return f"<div class='cl-figure-title'>{escape(title)}</div>{drawn}"
