"""Which answers are alike: a hint for a person, never a verdict.

The measure is winnowing (Schleimer, Wilkerson and Aiken, "Winnowing: local algorithms for document fingerprinting",
SIGMOD 2003), as in MOSS: names that a learner chose are all one token, every run of ``GRAM`` tokens is hashed, and of
every ``WINDOW`` hashes in a row the smallest is kept. What two answers share is their common fingerprints, without
those of what was handed out (MOSS's base file) and those that many answers have (MOSS's option ``-m``). The package
copydetect does the same, but it needs matplotlib and has no such option, and prose is one token to it.

Texts are split by patterns and not parsed: a learner's text may be no Python at all, or take a parser down.
"""

from __future__ import annotations

import builtins
import itertools
import keyword
import re
import zlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

GRAM, WINDOW = 12, 4
# Right answers to a small exercise are alike by themselves, so that shorter ones are not compared. A word of prose,
# which can be chosen freely, counts as two tokens.
LEAST_TOKENS = 80
WORD_TOKENS = 2
# Of the shorter answer's fingerprints. Eight right answers to one exercise, each written by itself, share up to 0.12
# (tests/grading/class_answers.py); a copy with other names 1, an essay with some words changed 0.73.
LEAST_SHARE = 0.7
LEAST_SHARED = 12
# As in MOSS: what more answers than these have is how the exercise is solved.
MOST_ANSWERS = 10
# A string of as many words is prose, whose words are compared.
PROSE_WORDS = 6
_TOKEN = re.compile(
    r"""(?P<comment>\#[^\n]*)
    |(?P<string>[rbfuRBFU]{0,2}(?:\"{3}.*?(?:\"{3}|\Z)|'{3}.*?(?:'{3}|\Z)|"(?:\\.|[^"\\\n])*"?|'(?:\\.|[^'\\\n])*'?))
    |(?P<number>\d[\w.]*)
    |(?P<attribute>\.\s*[^\W\d]\w*)
    |(?P<name>[^\W\d]\w*)
    |(?P<sign>\S)""",
    re.VERBOSE | re.DOTALL,
)
_WORD = re.compile(r"\w+")
_KNOWN = frozenset(keyword.kwlist) | frozenset(dir(builtins))


class Token(NamedTuple):
    """A token, and where it is in the text."""

    text: str
    begin: int
    end: int
    counts: int = 1


@dataclass(frozen=True)
class Prints:
    """An answer's fingerprints.

    Args:
        tokens: how many the answer has; a word of prose counts as ``WORD_TOKENS``.
        places: of each fingerprint, the characters that it stands for.
    """

    tokens: int
    places: Mapping[int, tuple[int, int]]


@dataclass(frozen=True)
class Alike:
    """Two answers that have much in common.

    Args:
        one, other: their numbers, in the order in which they were given.
        share: of the shorter answer's fingerprints, from 0 to 1.
        marked: of each of the two the stretches in common, as first and last character.
    """

    one: int
    other: int
    share: float
    marked: tuple[tuple[tuple[int, int], ...], tuple[tuple[int, int], ...]]


def alike(answers: Sequence[str], given: Iterable[str] = ()) -> list[Alike]:
    """Pairs of answers to one exercise that share most of their fingerprints, the most alike first.

    Args:
        answers: of different learners.
        given: texts that were handed out, which nobody has copied.
    """
    base = {print_ for text in given for print_ in fingerprints(text).places}
    prints = [fingerprints(text) for text in answers]
    held = Counter(each for one in prints for each in one.places)
    common = base | {each for each, times in held.items() if times > MOST_ANSWERS}
    own = [one.places.keys() - common for one in prints]
    long_enough = [at for at, one in enumerate(prints) if one.tokens >= LEAST_TOKENS and len(own[at]) >= LEAST_SHARED]
    holders: dict[int, list[int]] = {}
    for at in long_enough:
        for each in own[at]:
            holders.setdefault(each, []).append(at)
    met = {pair for ats in holders.values() for pair in itertools.combinations(ats, 2)}
    found = []
    for one, other in sorted(met):
        shared = own[one] & own[other]
        share = len(shared) / min(len(own[one]), len(own[other]))
        if len(shared) >= LEAST_SHARED and share >= LEAST_SHARE:
            marked = (_stretches(prints[one], shared), _stretches(prints[other], shared))
            found.append(Alike(one, other, share, marked))
    return sorted(found, key=lambda pair: (-pair.share, pair.one, pair.other))


def fingerprints(text: str) -> Prints:
    """The fingerprints of a text, by winnowing."""
    tokens = list(_tokens(text))
    grams = [tokens[at : at + GRAM] for at in range(len(tokens) - GRAM + 1)]
    hashes = [zlib.crc32("\0".join(token.text for token in gram).encode("utf-8", "replace")) for gram in grams]
    places: dict[int, tuple[int, int]] = {}
    for first in range(len(hashes) - WINDOW + 1):
        # The smallest of the window, and of equal ones the last.
        at = min(range(first, first + WINDOW), key=lambda each: (hashes[each], -each))
        places.setdefault(hashes[at], (grams[at][0].begin, grams[at][-1].end))
    return Prints(sum(token.counts for token in tokens), places)


def _tokens(text: str) -> Iterable[Token]:
    """Tokens of a program: names that were chosen are one, comments are none, prose is its words."""
    for found in _TOKEN.finditer(text):
        kind, word = found.lastgroup, found[0]
        if kind == "string":
            words = list(_WORD.finditer(text, found.start(), found.end()))
            if len(words) >= PROSE_WORDS:
                yield from (Token(each[0].lower(), each.start(), each.end(), WORD_TOKENS) for each in words)
            else:
                yield Token("string", found.start(), found.end())
        elif kind == "name":
            yield Token(word if word in _KNOWN else "name", found.start(), found.end())
        elif kind != "comment":
            yield Token(word, found.start(), found.end())


def _stretches(prints: Prints, shared: Iterable[int]) -> tuple[tuple[int, int], ...]:
    """The stretches of a text that fingerprints stand for, joined where they overlap."""
    joined: list[tuple[int, int]] = []
    for begin, end in sorted(prints.places[each] for each in shared):
        if joined and begin <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((begin, end))
    return tuple(joined)
