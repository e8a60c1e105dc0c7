"""Names of simulated requests: A, B, … Z, AA, …"""

from __future__ import annotations


def letters(number: int) -> str:
    """The name of the request with this number, from 0."""
    text, rest = "", number + 1
    while rest:
        rest, letter = divmod(rest - 1, 26)
        text = chr(ord("A") + letter) + text
    return text
