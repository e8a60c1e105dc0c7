"""Which scripts a text is written in, place by place: penalties push Chinese and Japanese out of their language.

A character's script is Unicode's property of that name (Unicode Standard Annex 24). Punctuation, digits, spaces and
accents are common to all scripts and count for none.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Mapping
from functools import lru_cache

import regex

from courselib.errors import SettingsError
from courselib.i18n import _

WINDOW = 40
OTHER = "Other"
# Those of the languages models are asked in most, the likeliest first; all others are counted as one.
SCRIPTS = (
    "Latin", "Han", "Hiragana", "Katakana", "Hangul", "Cyrillic", "Arabic", "Devanagari", "Greek", "Hebrew", "Thai",
    "Bengali", "Tamil", "Telugu", "Georgian", "Armenian",
)  # fmt: skip
_PATTERNS = tuple((name, regex.compile(rf"\p{{Script={name}}}")) for name in SCRIPTS)
_COMMON = regex.compile(r"[\p{Script=Common}\p{Script=Inherited}\p{Script=Unknown}]")


@lru_cache(maxsize=1 << 14)
def script(character: str) -> str | None:
    """The script of one character, ``"Other"`` for those that are not told apart, None for what has no script."""
    for name, pattern in _PATTERNS:
        if pattern.match(character):
            return name
    return None if _COMMON.match(character) else OTHER


def script_shares(text: str) -> dict[str, float]:
    """The share of each script among a text's characters that have one; adds up to 1, or is empty."""
    return _shares(Counter(found for character in text if (found := script(character))))


def _shares(counts: Mapping[str, int]) -> dict[str, float]:
    total = sum(counts.values())
    return {name: count / total for name, count in counts.items() if count} if total else {}


def drift(before: Mapping[str, float], after: Mapping[str, float]) -> float:
    """How far one set of shares is from another: from 0, the same, to 1, nothing in common.

    The total variation distance, half the sum of all differences; 0 where either has no script at all.
    """
    if not before or not after:
        return 0.0
    return sum(abs(before.get(name, 0) - after.get(name, 0)) for name in {*before, *after}) / 2


class ScriptWindow:
    """The shares of the scripts among the last characters of a text that grows.

    Args:
        window: how many characters, of those that have a script.
    """

    def __init__(self, window: int = WINDOW) -> None:
        if window < 1:
            raise SettingsError(_("window is {n}; look at at least one character.").format(n=window))
        self._last: deque[str] = deque()
        self._window = window
        self._counts: Counter[str] = Counter()

    def feed(self, text: str) -> None:
        """Take the text of the next token, or of several."""
        for character in text:
            found = script(character)
            if found is None:
                continue
            self._last.append(found)
            self._counts[found] += 1
            if len(self._last) > self._window:
                self._counts[self._last.popleft()] -= 1

    @property
    def shares(self) -> dict[str, float]:
        """The share of each script, adding up to 1; empty as long as no character has one."""
        return _shares(self._counts)


def shares_by_place(tokens: Iterable[str], *, window: int = WINDOW) -> list[dict[str, float]]:
    """After each token's text: the shares of the scripts among the last ``window`` characters that have one."""
    scripts = ScriptWindow(window)
    found = []
    for text in tokens:
        scripts.feed(text)
        found.append(scripts.shares)
    return found


def largest_drift(prompt: str, tokens: Iterable[str], *, window: int = WINDOW) -> float:
    """How far an answer goes from its prompt's scripts at most, from 0 to 1; measured once a whole window is there.

    An answer shorter than the window is measured at its end.
    """
    wanted = script_shares(prompt)
    scripts = ScriptWindow(window)
    most, seen = 0.0, 0
    for text in tokens:
        scripts.feed(text)
        seen += sum(1 for character in text if script(character))
        if seen >= window:
            most = max(most, drift(wanted, scripts.shares))
    return most if seen >= window else drift(wanted, scripts.shares)
