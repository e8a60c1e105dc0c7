"""Texts of learners, made fit to be shown: in a terminal, in a table, on a page, and as UTF-8."""

from __future__ import annotations

import unicodedata

# Control characters, formats such as those that turn the direction of text, halves of pairs, and what is no character.
_HIDDEN = {"Cc", "Cf", "Cs", "Cn", "Co", "Zl", "Zp"}
# Joins letters and emoji of many languages.
_KEPT = {"\u200c", "\u200d"}


def printable(text: str) -> str:
    """The text with each character that cannot be seen written as Python writes it; lines and tabs stay."""
    return "".join(map(_seen, text.replace("\r\n", "\n")))


def printable_name(text: str) -> str:
    """The same for what is one line: a name, a path."""
    return printable(text).replace("\n", "\\n").replace("\t", "\\t")


def _seen(character: str) -> str:
    if character in "\n\t" or character in _KEPT or unicodedata.category(character) not in _HIDDEN:
        return character
    return character.encode("unicode_escape").decode("ascii")
