"""Patterns of English that lessons, panels, errors and help avoid, each with what to write instead.

Readers come from all over the world, and many read English as a second language: short sentences, the subject first,
the field's own terms. A pattern is here because lessons once had it; it is refused, so that it does not come back.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from courselib.authoring.blocks import split
from courselib.i18n import N_, _

_NOT_PROSE = re.compile(r"(`+)(?!`).+?(?<!`)\1(?!`)|\]\([^)]*\)|<!--.*?-->", re.DOTALL)

PATTERNS = {
    r"\btells?\b(?! apart)|\btold\b": N_("returns, reports, shows, or prints"),
    r"\bshall\b": N_("will"),
    r"\bwho(?:so)?ever\b": N_("if you"),
    r"\bwho (?:needs|wants|asks)\b": N_("if you need, want, ask"),
    r"\b(?:nobody|somebody)\b": N_("the passive, or: the client, the server, you"),
    r"\bmany an? \w+": N_("many, with a plural"),
    r"\ball the same\b": N_("still"),
    r"\bwithout a word\b": N_("silently"),
    r"\bin so many words\b": N_("exactly"),
    r"\bby its source\b": N_("according to its source code"),
    r"\bhas done its work\b": N_("is no longer needed"),
    r"\b(?:the web|pages?) says?\b": N_("many tutorials use"),
    r"\b(?:a|its|the) least (?:length|number|size)\b": N_("minimum"),
    r"\b(?:without|left to|by) chance\b": N_("random, or deterministic"),
    r"\bbeside (?:that|this|it|them|those)\b": N_("besides"),
    r"\bgoes by the environment\b": N_("is passed in an environment variable"),
    r"\blikeliest\b": N_("most likely"),
    r"\bdesks?\b": N_("control panel, or the panel's name"),
    r"\bengine's (?:own )?words?\b": N_("reported by the engine"),
}
_COMPILED = {re.compile(pattern, re.IGNORECASE): instead for pattern, instead in PATTERNS.items()}


def problems(source: str) -> Iterator[tuple[int, str]]:
    """What in a markdown cell should be said otherwise: the line in the cell, from 0, and how."""
    for block in split(source):
        if block.kind == "text":
            # Blanked out, not removed: the lines must keep their places.
            plain = _NOT_PROSE.sub(lambda found: "\n" * found[0].count("\n"), block.text)
            for pattern, instead in _COMPILED.items():
                for found in pattern.finditer(plain):
                    text = _("{words!r}: write {instead}.").format(words=found[0], instead=_(instead))
                    yield block.offset + plain.count("\n", 0, found.start()), text
