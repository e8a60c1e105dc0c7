"""What penalties do to the logits of one step, as a table: before, after each alone, after all."""

from __future__ import annotations

from typing import Any

import numpy as np

from courselib.answers.text import show
from courselib.controls.catalogue import CONTROLS
from courselib.controls.controls import Controls
from courselib.controls.routes import ROUTES
from courselib.i18n import N_, _
from courselib.observe.logits import NextToken
from courselib.panels.base import escape
from courselib.panels.marked_text import marked
from courselib.panels.penalty_sides import SIDES, Apart, Pair, Said
from courselib.panels.still import HTML, table
from courselib.panels.tables import table_html
from courselib.sampling import Context, pipeline
from courselib.sampling.candidates import Candidates
from courselib.sampling.penalties import NoRepeatNgram

NAMES = ("repetition_penalty", "presence_penalty", "frequency_penalty", "dry_multiplier")
# What belongs to the last of them.
DRY = ("dry_base", "dry_allowed_length")
LIKELIEST = 6
NGRAM = 3
BAN = N_("if runs of 3 tokens were banned, by formula; no engine here has that")
# Whose rules are told beside the table: one route of each engine.
RULES = ("llama.cpp chat", "llama_cpp.Llama chat", "vLLM chat", "TGI /generate")


def penalty_rows(engine: str, controls: Controls, context: Context, told: NextToken) -> list[tuple[str, ...]]:
    """The likeliest tokens' logits before the penalties and after each one alone, and after all.

    The last column is of what no engine here has: a ban on runs of ``NGRAM`` tokens that the answer has had before.

    Args:
        engine: whose rules.
        controls: the penalties that apply; those that are off have no column.
        context: the tokens so far.
        told: the engine's own logits.

    Raises:
        SettingsError: a repetition penalty divides logits, and the engine returned log-probabilities.
    """
    neutral = Controls(temperature=1, top_k=0, top_p=1, min_p=0)
    ways = _ways(controls)
    after = {name: pipeline(engine, neutral.with_(**way), context).run(told.logits) for name, way in ways.items()}
    logits = {name: outcome.steps[-1].logits for name, outcome in after.items()}
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


def _ways(controls: Controls) -> dict[str, dict[str, Any]]:
    """The penalties that are on, each by itself with what belongs to it, and all together where that is not one."""
    given = controls.given()
    ways = {
        name: {each: given.get(each) for each in (name, *(DRY if name == "dry_multiplier" else ()))}
        for name in NAMES
        if given.get(name, CONTROLS[name].off) != CONTROLS[name].off
    }
    if len(ways) != 1:
        ways["all"] = {name: value for way in ways.values() for name, value in way.items()}
    return ways


def _banned(output: tuple[int, ...], told: NextToken) -> set[int]:
    """Tokens that would complete a run of ``NGRAM`` tokens a second time."""
    stage, candidates = NoRepeatNgram(NGRAM, output), Candidates.of(told.logits)
    return set(candidates.ids.tolist()) - set(stage.act(candidates).ids.tolist()) if stage.is_on else set()


def apart_html(apart: Apart | None) -> str:
    """The step that was taken apart, as a table with its heading; how to choose one, where none was."""
    if apart is None:
        words = _("Click a token of an answer to take it apart here; with keys: Tab, the arrow keys, Enter.")
        return f"<p>{escape(words)}</p>"
    return f"<p>{_place(apart)}</p>{_table(apart.rows)}{_rules()}"


def pair_still(pair: Pair, settings: tuple[Controls, Controls], prompt: str, caption: str) -> dict[str, str]:
    """Both answers and the step taken apart, for a saved notebook.

    Args:
        pair: the answers.
        settings: the penalties of each.
        prompt: what was asked.
        caption: what it shows, and where its numbers come from.
    """
    rows = [(escape(_("penalties")), *(escape(_given(each)) for each in settings))]
    rows.append((escape(_("answer; bold: repeated")), *(_with_repeats(said) for said in pair.sides)))
    measures = [said.measures(prompt) for said in pair.sides]
    for (name, first), (_name, second) in zip(*measures, strict=True):
        rows.append((escape(name), escape(first), escape(second)))
    html = f"<p>{escape(caption)}</p>{table(('', *SIDES), rows)}"
    if pair.apart:
        heads, *body = pair.apart.rows
        html += f"<p>{_place(pair.apart)}</p>{table(heads, [list(map(escape, row)) for row in body])}"
    return {HTML: html}


def _given(controls: Controls) -> str:
    return ", ".join(f"{name}={value}" for name, value in controls.given().items()) or _("none")


def _with_repeats(said: Said) -> str:
    """An answer as HTML, what it says again in bold."""
    html = ""
    for part in marked(said.data):
        text = escape("".join(words for words, _first in part["words"])).replace("\n", "<br/>")
        html += f"<b>{text}</b>" if part["kind"] == "again" else text
    return html


def _place(apart: Apart) -> str:
    words = _("Side {side}, token {step}").format(side=SIDES[apart.side], step=apart.step)
    place = _("at the answer's beginning") if apart.step == 0 else _("after “{text}”").format(text=apart.before)
    return f"{escape(words)}, {escape(place)}"


def _table(rows: tuple[tuple[str, ...], ...]) -> str:
    heads, *body = rows
    words = escape(_("Logits of the most likely tokens"))
    table = table_html(heads, body, css="cl-facts cl-numbers")
    return f"<div class='cl-scrolls' tabindex='0' role='region' aria-label='{words}'>{table}</div>"


def _rules() -> str:
    """What each engine counts, which is not the same, as its routes' tables tell it."""
    told = [f"<li>{escape(name)}: {escape(_(ROUTES[name].table['repetition_penalty'].words))}</li>" for name in RULES]
    title = _("Which earlier tokens count, by engine:")
    return f"<details class='cl-quiet'><summary>{escape(title)}</summary><ul>{''.join(told)}</ul></details>"
