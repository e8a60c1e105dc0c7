"""A notebook's bytes without its outputs, which may be larger than the memory that parsing them would take."""

from __future__ import annotations

import re

# Outputs in a cell of a list in the notebook: notebook, cells, cell.
_DEPTH = 3
_LEFT_OUT = (b'"outputs"', b'"attachments"')
_SIGN = re.compile(rb'["\[\]{}]')
_COLON = re.compile(rb"\s*:\s*")
MOST_SIGNS = 20_000_000


class TooMuch(Exception):
    """There is more in a notebook than can be looked through."""


def bare(data: bytes) -> bytes:
    """The same notebook with empty outputs; what is no JSON is returned as it is, or in part.

    Raises:
        TooMuch: it has more brackets and quotes than ``MOST_SIGNS``.
    """
    kept, begin, at, depth, signs = [], 0, 0, 0, 0
    left_out = 0  # the depth at which what is left out began; 0 outside of it
    while sign := _SIGN.search(data, at):
        at, signs = sign.end(), signs + 1
        if signs > MOST_SIGNS:
            raise TooMuch
        match sign[0]:
            case b'"':
                at = _string_end(data, at)
                if depth == _DEPTH and not left_out and data[sign.start() : at] in _LEFT_OUT:
                    colon = _COLON.match(data, at)
                    if colon and data[colon.end() : colon.end() + 1] in (b"[", b"{"):
                        at = colon.end()
                        kept.append(data[begin : at + 1])
                        left_out = depth + 1
            case b"[" | b"{":
                depth += 1
            case _:
                if depth == left_out:
                    begin, left_out = at - 1, 0
                depth -= 1
    return b"".join((*kept, b"" if left_out else data[begin:]))


def _string_end(data: bytes, at: int) -> int:
    """Where a string ends, whose text begins at ``at``."""
    while (end := data.find(b'"', at)) >= 0:
        before = end
        while before > at and data[before - 1] == ord("\\"):
            before -= 1
        at = end + 1
        if (end - before) % 2 == 0:
            return at
    return len(data)
