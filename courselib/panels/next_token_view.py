"""The picture of a next token: candidates as bars, stages as a strip; from arrays to what is sent to the page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import anywidget
import numpy as np
import traitlets

from courselib.answers.text import show
from courselib.i18n import _
from courselib.observe.logits import NextToken
from courselib.panels.view import STATIC, script
from courselib.sampling import Outcome, entropy, first_divergence, overlap, perplexity, survivors, total_variation
from courselib.sampling.candidates import Floats
from courselib.sampling.pipeline import State, Step

# Of a vocabulary of 49,152 tokens the page gets so many: what is sent is small whatever the model.
ROWS = 30


class NextTokenView(anywidget.AnyWidget):
    """Bars and strip; following a token through the stages needs no word from the kernel.

    Traits:
        drawn: as ``picture`` makes it; empty before there is something to draw.
    """

    _esm = script("next_token.js")
    _css = STATIC / "next_token.css"
    drawn = traitlets.Dict().tag(sync=True)
    labels = traitlets.Dict().tag(sync=True)

    def __init__(self) -> None:
        labels = {
            "empty": _("Press Look: the engine returns its logits once, and the panel computes the rest."),
            "after": _("After {prompt}:"),
            "strip": _("Stages in the engine's order"),
            "bars": _("Candidates"),
            "model": _("the model"),
            "tokens": _("{n} tokens"),
            "passes": _("{share} passes"),
            "off": _("off"),
            "own": _("the model's own"),
            "now": _("under these controls"),
            "gone": _("struck out by {stage}"),
            "nothing": _("token {id}, without text"),
            "rest": _("rest, not returned"),
            "help": _("Point at a token, or press Tab and use the arrow keys, to follow it through the stages."),
            "follow": _("Following {token}: its probability after each stage."),
        }
        super().__init__(labels=labels)

    def __repr__(self) -> str:
        return "NextTokenView()"


def picture(told: NextToken, own: Floats, outcome: Outcome, rival: Outcome | None = None) -> dict[str, Any]:
    """What the page draws.

    Args:
        told: what the engine told.
        own: the model's own probabilities, shape (vocabulary,), 0 where they were not told.
        outcome: what its pipeline makes of them.
        rival: what another engine's makes of them.

    Returns:
        ``stages`` (the model's own first), ``rows`` (the most likely tokens, by the model's own probability, each with
        its path through the stages and the stage that struck it out), ``facts``, ``remainder``, ``notes``, ``duel``
        (the rival's name and what is to be said of both).
    """
    final = outcome.probabilities
    others = [rival.probabilities] if rival else []
    ids = _shown(np.maximum.reduce([own, final, *others]), own)
    states: list[State] = [outcome.start, *outcome.steps]
    paths = np.stack([state.probabilities[ids] for state in states], axis=1)
    struck = [_struck(outcome.steps, int(token)) for token in ids]
    return {
        "engine": outcome.pipeline.engine,
        "stages": [_start(outcome, told), *(_stage(step) for step in outcome.steps)],
        "rows": [
            {
                "id": int(token),
                "text": text_of(told, int(token)),
                "own": _brief(own[token]),
                "now": _brief(final[token]),
                "rival": _brief(others[0][token]) if others else None,
                "struck": place,
                "path": [_brief(p) for p in path],
            }
            for token, place, path in zip(ids, struck, paths, strict=True)
        ],
        "facts": _facts(own, told, outcome, rival),
        "remainder": _brief(told.remainder),
        "notes": _notes(told, own, outcome),
        "duel": _duel(outcome, rival) if rival else None,
    }


def text_of(told: NextToken, token: int) -> str:
    """A token as a person reads it, by its number where the engine told no text."""
    return show(told.pieces[token]) if told.pieces else f"#{token}"


def _shown(weight: Floats, own: Floats) -> np.ndarray[Any, Any]:
    """Ids of the tokens of most weight, the model's likeliest first, so that bars keep their places."""
    n = min(ROWS, weight.size)
    ids = np.argpartition(-weight, n - 1)[:n]
    ids = ids[weight[ids] > 0]
    return ids[np.lexsort((ids, -own[ids]))]


def _struck(steps: Sequence[Step], token: int) -> int | None:
    """The place of the step that removed a token, the model's own distribution being 0."""
    return next((at for at, step in enumerate(steps, 1) if step.is_on and not step.kept[token]), None)


def _start(outcome: Outcome, told: NextToken) -> dict[str, Any]:
    n = outcome.start.survivors
    return {
        "name": "",
        "setting": "",
        "on": True,
        "survivors": n,
        "passes": _brief(1 - told.remainder),
        "sentence": _("The model's own distribution: {n:,} tokens, none struck out yet.").format(n=n),
    }


def _stage(step: Step) -> dict[str, Any]:
    return {
        "name": step.name,
        "setting": step.stage.setting,
        "on": step.is_on,
        "survivors": step.survivors,
        "passes": _brief(1 - step.removed_mass),
        "sentence": step.sentence,
    }


def _facts(own: Floats, told: NextToken, outcome: Outcome, rival: Outcome | None) -> list[list[str]]:
    """Heads first; then entropy, perplexity and survivors of each distribution."""
    # Of a distribution that is only partly known there is no entropy to tell.
    rows = [own if told.remainder == 0 else None, outcome.probabilities, *([rival.probabilities] if rival else [])]
    heads = ["", _("the model's own"), outcome.pipeline.engine, *([rival.pipeline.engine] if rival else [])]

    def told_of(row: Floats | None) -> tuple[str, ...]:
        return ("-",) * 3 if row is None else (f"{entropy(row):.2f}", f"{perplexity(row):.1f}", f"{survivors(row):,}")

    names = (_("entropy, bits"), _("perplexity"), _("survivors"))
    return [heads, *([name, *cells] for name, *cells in zip(names, *map(told_of, rows), strict=True))]


def _notes(told: NextToken, own: Floats, outcome: Outcome) -> list[str]:
    notes = list(outcome.pipeline.notes)
    if told.remainder:
        notes.insert(
            0,
            _(
                "This engine returns only the {n} most likely tokens; all others together have {rest:.1%} and are left"
                " out of what the stages do here, which is exact only where the stages would strike them out."
            ).format(n=survivors(own), rest=told.remainder),
        )
    return notes


def _duel(outcome: Outcome, rival: Outcome) -> dict[str, Any]:
    ours, theirs = outcome.pipeline.engine, rival.pipeline.engine
    parted = first_divergence(outcome, rival)
    if parted is None:
        first = _("{ours} and {theirs} agree at every stage.").format(ours=ours, theirs=theirs)
    else:
        names = [step.stage.setting if step else _("its end") for step in parted]
        first = _("They differ from where {ours} applies {mine} and {theirs} applies {other}.").format(
            ours=ours, mine=names[0], theirs=theirs, other=names[1]
        )
    shared = overlap(outcome.probabilities, rival.probabilities)
    sets = _("{both:,} tokens survive in both, {left:,} only in {ours}, {right:,} only in {theirs}.").format(
        both=shared.both, left=shared.left, right=shared.right, ours=ours, theirs=theirs
    )
    apart = _("{share:.1%} of the probability lies elsewhere (total variation).").format(
        share=total_variation(outcome.probabilities, rival.probabilities)
    )
    lost = [
        _("{theirs} has no {control}: it is left out there.").format(theirs=theirs, control=control)
        for control in rival.pipeline.ignored
    ]
    defaults = _("What is not set takes each engine's own default.")
    return {"engine": theirs, "sentences": [first, sets, apart, *lost, *rival.pipeline.notes, defaults]}


def _brief(value: float) -> float:
    """A number with the four digits that are worth sending."""
    return float(f"{value:.4g}")


def table(drawn: dict[str, Any]) -> str:
    """The picture as text."""
    lines = []
    for stage in drawn["stages"]:
        name = stage["name"] or _("the model")
        told = f"{stage['survivors']:>8,} {stage['passes']:>8.2%}" if stage["on"] else f"{_('off'):>17}"
        lines.append(f"{name:<14}{told}  {stage['sentence']}")
    heads = (_("the model's own"), drawn["engine"], *([drawn["duel"]["engine"]] if drawn["duel"] else []))
    lines += ["", f"{'':<18}" + "".join(f"{head:>17}" for head in heads)]
    for row in drawn["rows"]:
        values = (row["own"], row["now"], *([row["rival"]] if drawn["duel"] else []))
        struck = "" if row["struck"] is None else f"  ✕ {drawn['stages'][row['struck']]['name']}"
        lines.append(f"{row['text']!r:<18}" + "".join(f"{value:>17.3%}" for value in values) + struck)
    if drawn["remainder"]:
        lines.append(f"{_('rest, not returned'):<18}{drawn['remainder']:>17.3%}")
    lines += ["", *("".join(f"{cell:>17}" for cell in row) for row in drawn["facts"])]
    return "\n".join([*lines, *drawn["notes"], *(drawn["duel"]["sentences"] if drawn["duel"] else [])])
