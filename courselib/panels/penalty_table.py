"""What penalties do to the logits of one step, as a table: before, after each alone, after all."""

from __future__ import annotations

import numpy as np

from courselib.controls.controls import Controls
from courselib.controls.routes import ROUTES
from courselib.errors import SettingsError
from courselib.i18n import N_, _
from courselib.observe.logits import NextToken
from courselib.panels.base import escape
from courselib.sampling.candidates import Candidates
from courselib.sampling.engines import Context, pipeline
from courselib.sampling.penalties import NoRepeatNgram
from courselib.text import show

NAMES = ("repetition_penalty", "presence_penalty", "frequency_penalty", "dry_multiplier")
LIKELIEST = 6
NGRAM = 3
BAN = N_("were runs of 3 tokens banned, by formula; no engine has that")
# Whose rules are told beside the table: one route of each engine.
RULES = ("llama.cpp chat", "llama_cpp.Llama chat", "vLLM chat", "TGI /generate")


def penalty_rows(engine: str, controls: Controls, context: Context, told: NextToken) -> list[tuple[str, ...]]:
    """The likeliest tokens' logits before the penalties and after each one alone, and after all.

    The last column is of what no engine here has: a ban on runs of ``NGRAM`` tokens that the answer has had before.

    Args:
        engine: whose rules.
        controls: the penalties.
        context: the tokens so far.
        told: the engine's own logits.

    Raises:
        SettingsError: a repetition penalty divides logits, and the engine told log-probabilities.
    """
    neutral = Controls(temperature=1, top_k=0, top_p=1, min_p=0)
    given = {name: value for name, value in controls.given().items() if name in NAMES}
    ways = {name: {name: value} for name, value in given.items()} | ({"all": given} if len(given) != 1 else {})
    after = {name: pipeline(engine, neutral.with_(**way), context).run(told.logits) for name, way in ways.items()}
    logits = {name: outcome.steps[-1].logits for name, outcome in after.items()}
    if told.offset is None and "repetition_penalty" in given:
        raise SettingsError(
            _(
                "A repetition penalty divides logits, and this server tells log-probabilities; start vLLM with"
                ' logprobs_mode="raw_logits".'
            )
        )
    best = np.argsort(-told.logits)[:LIKELIEST]
    chosen = sorted({*best, *(np.argsort(-row)[0] for row in logits.values())}, key=lambda each: -told.logits[each])
    before = _("log-probability before, measured") if told.offset is None else _("logit before, measured")
    heads = (_("token"), _("times in the prompt"), _("in the answer"), before)
    rows: list[tuple[str, ...]] = [(*heads, *(_("after {what}, by formula").format(
        what=f"{name}={ways[name][name]:g}" if name != "all" else _("all")) for name in ways), _(BAN))]  # fmt: skip
    banned = _banned(context.output, told)
    for token in chosen:
        counts = (str(context.prompt.count(token)), str(context.output.count(token)))
        values = (f"{told.logits[token]:.2f}", *(f"{row[token]:.2f}" for row in logits.values()))
        ban = _("forbidden") if token in banned else "-"
        rows.append((repr(show(told.pieces[token])) if told.pieces else str(token), *counts, *values, ban))
    return rows


def _banned(output: tuple[int, ...], told: NextToken) -> set[int]:
    """Tokens that would complete a run of ``NGRAM`` tokens a second time."""
    stage, candidates = NoRepeatNgram(NGRAM, output), Candidates.of(told.logits)
    return set(candidates.ids.tolist()) - set(stage.act(candidates).ids.tolist()) if stage.is_on else set()


def as_html(rows: list[tuple[str, ...]]) -> str:
    """Rows, the first being the heads, as a table."""
    heads, *body = rows
    head = "".join(f"<th>{escape(cell)}</th>" for cell in heads)
    lines = "".join(
        "<tr>" + "".join(f"<td style='white-space: nowrap'>{escape(cell)}</td>" for cell in row) + "</tr>"
        for row in body
    )
    return f"<div style='overflow-x: auto'><table class='cl-facts'><tr>{head}</tr>{lines}</table></div>"


def rules() -> str:
    """What each engine counts, which is not the same, as its routes' tables tell it."""
    told = [f"<li>{escape(name)}: {escape(_(ROUTES[name].table['repetition_penalty'].words))}</li>" for name in RULES]
    title = _("What counts as said before, by engine:")
    return f"<details class='cl-quiet'><summary>{escape(title)}</summary><ul>{''.join(told)}</ul></details>"
