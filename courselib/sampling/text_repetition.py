"""How much a text repeats itself: shares of repeated n-grams, repeated spans, loops, and what zlib makes of it.

Everything here works on the numbers of tokens (or anything hashable), but the last works on bytes. Each measure is a
class that takes tokens as they come, each at a cost that does not grow with the text, and a function for a whole text
that feeds it. "Repeated" always includes overlaps: ``aaa`` holds ``aa`` twice.
"""

from __future__ import annotations

import zlib
from collections import deque
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field

from courselib.errors import SettingsError
from courselib.i18n import _

LONGEST_PERIOD = 64
LEAST_REPEATS = 3


class Ngrams:
    """Counts how many of a text's n-grams are different ones.

    Args:
        n: tokens in an n-gram.
    """

    def __init__(self, n: int) -> None:
        if n < 1:
            raise SettingsError(_("n is {n}; an n-gram has at least one token.").format(n=n))
        self._n = n
        self._last: deque[Hashable] = deque(maxlen=n)
        self._seen: set[tuple[Hashable, ...]] = set()
        self._tokens = 0

    def feed(self, token: Hashable) -> None:
        """Take the next token."""
        self._tokens += 1
        self._last.append(token)
        if len(self._last) == self._n:
            self._seen.add(tuple(self._last))

    @property
    def repetition(self) -> float:
        """One minus the share of different n-grams among all: seq-rep-n of Welleck et al. 2019 (arXiv:1908.04319).

        0 where no n-gram comes twice, towards 1 the more do; 0 for texts shorter than n.
        """
        count = self._tokens - self._n + 1
        return 1 - len(self._seen) / count if count > 0 else 0.0

    @property
    def distinct(self) -> float:
        """Different n-grams per token: distinct-n of Li et al. 2016 (arXiv:1510.03055).

        They divide by the tokens and not by the n-grams, so that it stays below 1 for n above 1; 0 for no text.
        """
        return len(self._seen) / self._tokens if self._tokens else 0.0


def repetition(tokens: Sequence[Hashable], n: int) -> float:
    """The share of a text's n-grams that it has already had, from 0 to 1; see ``Ngrams.repetition``."""
    return _fed(Ngrams(n), tokens).repetition


def distinct(tokens: Sequence[Hashable], n: int) -> float:
    """Different n-grams per token, from 0 to 1; see ``Ngrams.distinct``."""
    return _fed(Ngrams(n), tokens).distinct


def _fed(counter: Ngrams, tokens: Sequence[Hashable]) -> Ngrams:
    for token in tokens:
        counter.feed(token)
    return counter


@dataclass(frozen=True)
class Loop:
    """A part of a text that says the same again and again.

    ``onset`` is the place (from 0) of the first token of the first round, ``period`` the tokens in a round, ``length``
    all tokens of the loop; the last round may be unfinished.
    """

    onset: int
    period: int
    length: int

    @property
    def rounds(self) -> float:
        """How many times it is said."""
        return self.length / self.period


@dataclass
class _Level:
    """The n-grams of one power of two: names given to them, where each was last, and the run it is in.

    ``run`` tokens, up to the newest, are equal to those ``distance`` before them.
    """

    n: int
    names: dict[tuple[int, int], int] = field(default_factory=dict)
    by_place: list[int] = field(default_factory=list)
    last: dict[int, int] = field(default_factory=dict)
    distance: int = 0
    run: int = 0


class LoopDetector:
    """Finds loops at the end of a text as it grows: ``loop`` is the one it is in now, or None.

    A loop is a period of at most ``longest_period`` tokens that has come at least ``repeats`` times; of several periods
    the shortest counts. Nothing is approximate: the n-grams of 1, 2, 4, … tokens get numbers as Karp, Miller and
    Rosenberg give them (Rapid identification of repeated patterns, STOC 1972), each the pair of its two halves; and the
    distance from the last n-gram to the one like it before is the period p, for the first such n that is not below p,
    as soon as n + p tokens of the loop are there. So a token costs a step for each power of two up to the longest
    period.

    Args:
        repeats: rounds that make a loop; three at least, since speech says many things twice.
        longest_period: tokens.
    """

    def __init__(self, *, repeats: int = LEAST_REPEATS, longest_period: int = LONGEST_PERIOD) -> None:
        if repeats < LEAST_REPEATS:
            raise SettingsError(
                _("repeats is {repeats}; take at least {least}.").format(repeats=repeats, least=LEAST_REPEATS)
            )
        if longest_period < 1:
            raise SettingsError(_("longest_period is {n}; a round has at least one token.").format(n=longest_period))
        self._repeats = repeats
        self._longest = longest_period
        self._names: dict[Hashable, int] = {}
        self._levels = [_Level(1)]
        while self._levels[-1].n < longest_period:
            self._levels.append(_Level(2 * self._levels[-1].n))
        self._tokens = 0
        self.loop: Loop | None = None

    def feed(self, token: Hashable) -> Loop | None:
        """Take the next token; gives the loop it is part of, if it is."""
        place = self._tokens
        self._tokens += 1
        name = self._names.setdefault(token, len(self._names))
        before = None
        for level in self._levels:
            if before is not None:
                if self._tokens < level.n:
                    break
                halves = (before.by_place[place - level.n + 1], name)
                name = level.names.setdefault(halves, len(level.names))
            self._look(level, name, place)
            before = level
        self.loop = self._shortest()
        return self.loop

    @staticmethod
    def _look(level: _Level, name: int, place: int) -> None:
        """Note the n-gram that ends here and how far back the same one ends."""
        level.by_place.append(name)
        distance = place - level.last[name] if name in level.last else 0
        if distance == 0:
            level.run = 0
        elif distance == level.distance:
            level.run += 1
        else:
            level.run = level.n
        level.distance = distance
        level.last[name] = place

    def _shortest(self) -> Loop | None:
        best: Loop | None = None
        for level in self._levels:
            period, length = level.distance, level.run + level.distance
            if not 0 < period <= self._longest or length < self._repeats * period:
                continue
            if best is None or (period, -length) < (best.period, -best.length):
                best = Loop(self._tokens - length, period, length)
        return best


def find_loops(
    tokens: Sequence[Hashable], *, repeats: int = LEAST_REPEATS, longest_period: int = LONGEST_PERIOD
) -> list[Loop]:
    """All loops of a text, each with its full length, in the order in which they were noticed; see ``LoopDetector``."""
    detector = LoopDetector(repeats=repeats, longest_period=longest_period)
    found: dict[tuple[int, int], Loop] = {}
    for token in tokens:
        if loop := detector.feed(token):
            found[loop.onset, loop.period] = loop
    return list(found.values())


class Compression:
    """How much shorter zlib makes a text: bytes before / bytes after, at its default level.

    The measure of Whisper's decoder, which takes more than 2.4 for a loop (Radford et al. 2022, arXiv:2212.04356);
    below 1 for very short texts. zlib looks 32 KiB back, so that a token costs no more the longer the text is.
    """

    def __init__(self) -> None:
        self._zlib = zlib.compressobj()
        self._before = self._after = 0

    def feed(self, data: bytes) -> None:
        """Take the next token's bytes."""
        self._before += len(data)
        self._after += len(self._zlib.compress(data))

    @property
    def ratio(self) -> float:
        """Bytes before / bytes after; 0 for no text."""
        return self._before / (self._after + len(self._zlib.copy().flush()))


def compression_ratio(data: bytes) -> float:
    """How many times shorter zlib makes the bytes; see ``Compression``."""
    compression = Compression()
    compression.feed(data)
    return compression.ratio
