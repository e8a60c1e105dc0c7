"""``courselib grade-by-hand``: a person gives points, answer by answer."""

from __future__ import annotations

import contextlib
from pathlib import Path

import click

from courselib.cli.lab import find_course
from courselib.cli.signals import end_on_signals
from courselib.errors import CourseError, SettingsError
from courselib.i18n import _


@click.command()
@click.argument("results", type=click.Path(exists=True, file_okay=False, path_type=Path))
def grade_by_hand(results: Path) -> None:
    """Give points for answers that a person has to read, in RESULTS of `courselib grade`.

    Serves a page for this machine only, and prints its address. Everything that you save is kept at once; run the
    command again to go on. At its end, the tables and pages are written anew.
    """
    from courselib.grading import form, latest_run, pages
    from courselib.grading.assignment import read_assignments
    from courselib.grading.by_hand import Marks, to_give
    from courselib.grading.results import Journal
    from courselib.grading.rubric import read_rubric
    from courselib.grading.run import latest

    found = find_course()
    if found is None:
        raise CourseError(_("The course's notebooks are not here; run this in the course's folder."))
    course = found[0].parents[1]
    run = latest_run.read(results)
    kept = Journal(results).results
    assignments = read_assignments(course / "exercises" / found[0].name)
    if missing := set(run.exercises) - set(assignments):
        raise SettingsError(_("The course no longer has exercise {name}; grade again.").format(name=min(missing)))
    counted = {name: assignments[name] for name in run.exercises}
    graded = [kept[name] for name in run.results]
    answers = [each for each in to_give(list(latest(graded))) if each.exercise in counted]
    if not answers:
        click.echo(_("No answer waits for points from a person."))
        return
    marks = Marks(results)
    rubrics = {name: read_rubric(course, name) for name in {each.exercise for each in answers}}
    text = _("{n} answers to read. Open this address, and end with its Finish button or Ctrl-C:")
    click.echo(text.format(n=len(answers)))
    end_on_signals()
    try:
        with contextlib.suppress(KeyboardInterrupt):
            form.serve(
                lambda finish: form.Form(answers, marks, rubrics, is_unsafe=run.is_unsafe, finish=finish), click.echo
            )
    finally:
        pages.write(results, graded, counted, is_unsafe=run.is_unsafe)
    left = sum(marks.of(each) is None for each in answers)
    text = _("The tables and pages are written; {n} answers are left. See {page}.")
    click.echo(text.format(n=left, page=results / pages.INDEX))
