"""``courselib grade``: a class's notebooks to scores and pages."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from courselib import machine
from courselib.cli.lab import find_course
from courselib.errors import CourseError, SettingsError
from courselib.i18n import _

if TYPE_CHECKING:
    from courselib.grading.results import Result


@click.command()
@click.argument("submissions", type=click.Path(exists=True, path_type=Path))
@click.option("--out", required=True, type=click.Path(file_okay=False, path_type=Path), help="Folder for the results.")
@click.option("--exercise", "only", multiple=True, help="An exercise that counts. By default all that were handed in.")
@click.option(
    "--key", help="Other numbers in the hidden calls for another key. By default a random one, kept in --out."
)
@click.option("--jobs", type=click.IntRange(1), help="Learners graded at a time. By default one for each core.")
@click.option("--unsafe", is_flag=True, help="Run learners' code with limits only. Each page then has a warning.")
def grade(
    submissions: Path, out: Path, only: tuple[str, ...], key: str | None, jobs: int | None, *, unsafe: bool
) -> None:
    """Grade SUBMISSIONS, a folder or zip of notebooks as your platform gave it. A run that was broken off goes on."""
    from courselib.grading import pages, sandbox
    from courselib.grading.assignment import read_assignments
    from courselib.grading.collect import collect
    from courselib.grading.confined import Limits
    from courselib.grading.results import Journal
    from courselib.grading.run import Plan, run
    from courselib.models.cache import cache_folder

    found = find_course()
    if found is None:
        raise CourseError(_("The course's notebooks are not here; run this in the course's folder."))
    course, _mine = found
    if not unsafe:
        sandbox.require()
    assignments = read_assignments(course.parents[1] / "exercises" / course.name)
    if unknown := set(only) - set(assignments):
        text = _("There is no exercise {name!r}; there are: {names}.")
        raise SettingsError(text.format(name=min(unknown), names=", ".join(assignments)))
    files = collect(submissions)
    journal = Journal(out)
    plan = Plan(assignments, key or _kept_key(out), cache_folder() / "models", Limits(), unsafe)
    with click.progressbar(length=len(files), label=_("Grading")) as bar:
        results = run(
            files, plan, journal, jobs=jobs or machine.cores(), told=lambda done, _of: bar.update(done - bar.pos)
        )
    counted = {name: each for name, each in assignments.items() if name in (only or _handed_in(results))}
    pages.write(out, results, counted)
    failed = sum(bool(each.failed) for each in results)
    learners = len({(each.learner, each.platform_id) for each in results})
    text = _("{files} files of {learners} learners are graded. Begin with {page}.")
    click.echo(text.format(files=len(results), learners=learners, page=out / pages.INDEX))
    if failed:
        click.echo(_("{n} could not be judged; the page lists them.").format(n=failed))


def _handed_in(results: Sequence[Result]) -> set[str]:
    """The exercises of which anybody has handed in something."""
    return {each.exercise for each in results}


def _kept_key(out: Path) -> str:
    """The key of these results; a random one the first time."""
    path = out / "key.txt"
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(secrets.token_hex(8), encoding="utf-8")
    return path.read_text(encoding="utf-8")
