"""Sizes in MiB and GiB: 2**20 and 2**30 bytes, never the powers of ten that disks are sold in."""

from __future__ import annotations

MIB = 1 << 20
GIB = 1 << 30


def size_text(size: int | None) -> str:
    """A size for people: ``96.00 MiB``, ``5.38 GiB`` from 10 GiB on with one decimal; ``?`` where it is not known."""
    if size is None:
        return "?"
    if abs(size) < GIB:
        return f"{size / MIB:.2f} MiB"
    return f"{size / GIB:.2f} GiB" if abs(size) < 10 * GIB else f"{size / GIB:.1f} GiB"
