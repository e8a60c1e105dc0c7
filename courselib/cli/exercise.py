"""``courselib exercise``: a learner's copies of the exercises."""

from __future__ import annotations

import click

from courselib.cli import copies
from courselib.cli.lab import find_course
from courselib.errors import CourseError
from courselib.i18n import _


@click.group()
def exercise() -> None:
    """Work with your copies of the exercises."""


@exercise.command("reset")
@click.argument("name")
def exercise_reset(name: str) -> None:
    """Begin the exercise NAME (such as 210_softmax) anew. Your work in it is kept under another name."""
    found = find_course()
    if found is None:
        raise CourseError(_("The course's notebooks are not here; run this in the course's folder."))
    course, folder = found
    click.echo(copies.reset(course.parents[1] / "exercises" / course.name, folder / copies.EXERCISES, name))
