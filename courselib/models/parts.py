"""A model in several files, named as llama.cpp's ``gguf-split`` names them: ``name-00001-of-00003.gguf``."""

from __future__ import annotations

import re

PART = re.compile(r"(?P<stem>.+)-(?P<number>\d{5})-of-(?P<count>\d{5})(?P<end>\.gguf)", re.IGNORECASE | re.DOTALL)


def part_names(name: str) -> list[str]:
    """The names of all parts of the model that ``name`` is a part of, or ``name`` alone; a folder before it stays."""
    found = PART.fullmatch(name)
    count = int(found["count"]) if found else 0
    if not found or not 1 <= int(found["number"]) <= count:
        return [name]
    return [f"{found['stem']}-{number:05d}-of-{count:05d}{found['end']}" for number in range(1, count + 1)]
