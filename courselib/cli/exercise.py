"""``courselib exercise``: a learner's copies of the exercises, and an instructor's masters."""

from __future__ import annotations

from pathlib import Path

import click

from courselib.cli import copies
from courselib.cli.lab import find_course
from courselib.errors import CourseError
from courselib.i18n import _


@click.group()
def exercise() -> None:
    """Begin your copy of an exercise anew, or export all exercises for a grader."""


@exercise.command("reset")
@click.argument("name")
def exercise_reset(name: str) -> None:
    """Begin the exercise NAME (such as 210_softmax) anew. Your work in it is kept under another name."""
    found = find_course()
    if found is None:
        raise CourseError(_("The course's notebooks are not here; run this in the course's folder."))
    course, folder = found
    click.echo(copies.reset(course.parents[1] / "exercises" / course.name, folder / copies.EXERCISES, name))


@exercise.command("export")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option("--for", "grader", type=click.Choice(["nbgrader", "otter"]), required=True, help="Who makes assignments.")
@click.option("--root", type=click.Path(exists=True, file_okay=False, path_type=Path), default=".", hidden=True)
def exercise_export(folder: Path, grader: str, root: Path) -> None:
    """For instructors: write all exercises, with their answers, as nbgrader's or Otter's master notebooks into FOLDER.

    FOLDER is nbgrader's course, which has an assignment a lesson; run there: nbgrader generate_assignment 21_sampling.
    Otter takes one notebook at a time: otter assign FOLDER/210_softmax.ipynb OUTPUT. Both run a learner's code without
    protection, and learners need the course installed.
    """
    from courselib.authoring import masters

    for path in masters.write(root.resolve(), folder, grader):
        click.echo(path)
