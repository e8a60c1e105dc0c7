"""The command ``courselib``."""

from __future__ import annotations

import sys
from typing import Any

import click

from courselib import __version__
from courselib.cli.build import build
from courselib.cli.exercise import exercise
from courselib.cli.grade import grade
from courselib.cli.grade_by_hand import grade_by_hand
from courselib.cli.install import install
from courselib.cli.lab import lab
from courselib.cli.llama_server import llama_server
from courselib.cli.manifest import manifest
from courselib.cli.models import models
from courselib.cli.serve import serve
from courselib.errors import CourseError
from courselib.i18n import _

FAILED = 1


class Group(click.Group):
    """Shows our own errors as one sentence and exits with 1; anything else is a bug and keeps its traceback."""

    def invoke(self, context: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(context)
        except CourseError as error:
            click.secho(_("Error: ") + error.message, fg="red", err=True)
            if error.details:
                click.echo(error.details, err=True)
            context.exit(FAILED)


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
def main() -> None:
    """A course that runs: LLM inference with TGI, vLLM and llama.cpp on real engines.

    Start with `courselib doctor`, then `courselib lab`.
    """


@main.command()
def version() -> None:
    """Print the version."""
    click.echo(__version__)


@main.command()
@click.option("--json", "as_json", is_flag=True, help="Print everything as one JSON object.")
def doctor(as_json: bool) -> None:
    """Report what this machine is, has, and lacks; exit with 1 if the course cannot run here."""
    from courselib.cli import doctor as examination

    findings = examination.examine()
    if as_json:
        click.echo(examination.as_json(findings))
    else:
        for finding in findings:
            mark, colour = examination.MARKS[finding.state]
            click.echo(click.style(mark, fg=colour) + f" {finding.subject:<12} {finding.text}")
            if finding.remedy:
                click.echo(" " * 17 + click.style(finding.remedy, bold=True))
    if any(finding.state is examination.State.BROKEN for finding in findings):
        sys.exit(FAILED)


for command in (install, lab, manifest, models, llama_server, build, serve, exercise, grade, grade_by_hand):
    main.add_command(command)

if __name__ == "__main__":
    main()
