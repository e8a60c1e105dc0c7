"""All exercises, by name."""

from __future__ import annotations

from courselib.exercises import (
    arithmetic,
    draws,
    memory,
    messages,
    programs,
    sampling,
    scheduling,
    serving,
    settings,
    streams,
    texts,
    words,
)
from courselib.exercises.judge import Exercise


def exercises() -> dict[str, Exercise]:
    """Every exercise's judge, by its name."""
    rooms = (
        sampling,
        draws,
        arithmetic,
        memory,
        scheduling,
        serving,
        streams,
        texts,
        messages,
        programs,
        settings,
        words,
    )
    return {each.name: each for room in rooms for each in room.EXERCISES}
