"""A pipeline: an engine's stages in its order, and what each of them does to one row of logits."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from courselib.errors import SettingsError
from courselib.i18n import _, ngettext
from courselib.sampling.candidates import Candidates, Floats, Mask
from courselib.sampling.stages import Stage

# What may have come of the logits so far, each with its probability; more than one only after a stage left to chance.
Branches: TypeAlias = tuple[tuple[float, Candidates], ...]


@dataclass(frozen=True, eq=False)
class State:
    """The tokens that may be chosen at one point of a pipeline, and how likely they are there."""

    branches: Branches

    @cached_property
    def probabilities(self) -> Floats:
        """Of each token of the vocabulary, were it drawn here: shape (vocabulary,), adds up to 1."""
        row = np.zeros(self.branches[0][1].vocabulary)
        for weight, candidates in self.branches:
            row[candidates.ids] += weight * candidates.probabilities
        return row

    @cached_property
    def logits(self) -> Floats:
        """Of each token of the vocabulary, -inf where it is gone: shape (vocabulary,).

        After a stage left to chance, where there is no one row of logits, the natural logarithm of ``probabilities``.
        """
        if len(self.branches) == 1:
            candidates = self.branches[0][1]
            return candidates.full(candidates.logits, -np.inf)
        with np.errstate(divide="ignore"):
            return np.log(self.probabilities)

    @cached_property
    def kept(self) -> Mask:
        """Which tokens are left: shape (vocabulary,)."""
        mask = np.zeros(self.branches[0][1].vocabulary, dtype=np.bool_)
        for _weight, candidates in self.branches:
            mask[candidates.ids] = True
        return mask

    @cached_property
    def survivors(self) -> int:
        """How many tokens are left."""
        return len(self.branches[0][1]) if len(self.branches) == 1 else int(self.kept.sum())


@dataclass(frozen=True, eq=False)
class Step(State):
    """What one stage did.

    Args:
        branches: what is left after it.
        stage: the stage.
        before: what there was before it.
        removed_mass: the probability, before it, of what it removed; times the probability that it acts, if that is
            left to chance.
    """

    stage: Stage
    before: State
    removed_mass: float

    @property
    def name(self) -> str:
        """The stage's name."""
        return self.stage.name

    @property
    def is_on(self) -> bool:
        """Whether the stage was on; what is off lets everything pass."""
        return self.stage.is_on

    @property
    def removed(self) -> int:
        """How many tokens it removed for good."""
        return self.before.survivors - self.survivors

    @property
    def sentence(self) -> str:
        """What it did and why, for a person."""
        if not self.is_on:
            return _("Off: {setting}.").format(setting=self.stage.setting)
        if self.removed_mass == 0 and not self.removed:
            return self.stage.rule
        counted = ngettext(
            "{removed} of {n} tokens goes, {mass:.2%} of the probability.",
            "{removed} of {n} tokens go, {mass:.2%} of the probability.",
            self.removed,
        ).format(removed=self.removed, n=self.before.survivors, mass=self.removed_mass)
        return f"{self.stage.rule} {counted}"


@dataclass(frozen=True, eq=False)
class Outcome:
    """What a pipeline made of one row of logits.

    Args:
        pipeline: whose it is.
        start: the model's own distribution.
        steps: one for each stage, in order.
    """

    pipeline: Pipeline
    start: State
    steps: tuple[Step, ...]

    @property
    def end(self) -> State:
        """What the token is drawn from."""
        return self.steps[-1] if self.steps else self.start

    @property
    def probabilities(self) -> Floats:
        """The distribution that the engine draws from: shape (vocabulary,), adds up to 1."""
        return self.end.probabilities

    def follow(self, token: int) -> tuple[float, ...]:
        """The probability of one token at the start and after each step."""
        return tuple(float(state.probabilities[token]) for state in (self.start, *self.steps))


@dataclass(frozen=True)
class Pipeline:
    """An engine's stages in its order.

    Args:
        engine: whose they are, as a person calls it.
        stages: those that are off, too.
        ignored: controls that are set and that this engine does not have.
        notes: what else is to be said of it, a sentence each.
    """

    engine: str
    stages: tuple[Stage, ...]
    ignored: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def run(self, logits: ArrayLike) -> Outcome:
        """Pass one row of logits through all stages.

        Args:
            logits: raw, shape (vocabulary,), or ``LogProbabilities``; see ``Candidates.of``.

        Raises:
            SettingsError: the logits cannot be sampled from, a stage leaves no token, or a repetition penalty meets
                log-probabilities.
        """
        start = State(((1.0, Candidates.of(logits)),))
        steps: list[Step] = []
        state = start
        for stage in self.stages:
            branches, removed_mass = _pass(state.branches, stage)
            state = Step(branches, stage, state, removed_mass)
            steps.append(state)
        return Outcome(self, start, tuple(steps))

    def probabilities(self, logits: ArrayLike) -> Floats:
        """The distribution that the engine draws from: shape (vocabulary,), adds up to 1."""
        return self.run(logits).probabilities


def _pass(branches: Branches, stage: Stage) -> tuple[Branches, float]:
    """What a stage leaves, and the probability of what it removed."""
    if not stage.is_on:
        return branches, 0.0
    passed: list[tuple[float, Candidates]] = []
    removed = 0.0
    for weight, candidates in branches:
        for chance, after in stage.split(candidates):
            if not len(after):
                raise SettingsError(
                    _("{setting} leaves no token to choose from; loosen it.").format(setting=stage.setting)
                )
            passed.append((weight * chance, after))
            removed += weight * chance * _missing(candidates, after)
    return tuple(passed), removed


def _missing(before: Candidates, after: Candidates) -> float:
    if len(before) == len(after):
        return 0.0
    return max(0.0, 1.0 - float(before.full(before.probabilities, 0.0)[after.ids].sum()))
