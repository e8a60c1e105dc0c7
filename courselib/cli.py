"""The command ``courselib``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from courselib import __version__
from courselib.cli_serve import serve
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
    """Say what this machine is, has, and lacks; exit with 1 if the course cannot run here."""
    from courselib import doctor as examination

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


@main.group()
def install() -> None:
    """Install engines that are not there from the start."""


@install.command("vllm")
@click.option("--python", help="Interpreter to make its environment with, 3.11 or newer; this one by default.")
@click.argument("pip_options", nargs=-1, type=click.UNPROCESSED)
def install_vllm(python: str | None, pip_options: tuple[str, ...]) -> None:
    """Install vLLM in an environment of its own (3.5 GB on a CPU), with a kernel for notebooks.

    Options after -- go to pip; on a machine without GPU pip needs PyTorch's index of CPU builds.
    """
    from courselib.engines.vllm_install import install as install_it

    found = install_it(python=python, pip_options=pip_options)
    click.echo(
        _("vLLM {version} {device}: {python}").format(version=found.version, device=found.device, python=found.python)
    )


@main.command(context_settings={"ignore_unknown_options": True})
@click.option("--port", type=click.IntRange(1, 65535), help="Port for JupyterLab; a free one by default.")
@click.option("--no-browser", is_flag=True, help="Do not open a browser; the URL is printed either way.")
@click.argument("jupyter_options", nargs=-1, type=click.UNPROCESSED)
def lab(port: int | None, no_browser: bool, jupyter_options: tuple[str, ...]) -> None:
    """Open the course in JupyterLab, after making sure that the engine answers.

    Options this command does not know go to JupyterLab as they are.
    """
    from courselib import lab as laboratory

    sys.exit(laboratory.run(port=port, browser=not no_browser, options=list(jupyter_options)))


@main.group()
def models() -> None:
    """Find, fetch and locate models."""


@models.command("list")
def models_list() -> None:
    """List the models the course knows, and which are on disk."""
    from courselib import models as catalogue

    for row in catalogue.list_models():
        click.echo(row.line())


@models.command("get")
@click.argument("model")
def models_get(model: str) -> None:
    """Fetch MODEL (a name from the list, or owner/repository:file) and print its path."""
    from courselib import models as catalogue

    click.echo(catalogue.resolve(model))


@models.command("path")
@click.argument("model")
def models_path(model: str) -> None:
    """Print the path of MODEL if it is on disk; exit with 1 if not. Downloads nothing."""
    from courselib import models as catalogue

    click.echo(catalogue.locate(model))


@main.command(
    "llama-server",
    context_settings={"ignore_unknown_options": True, "help_option_names": []},
    add_help_option=False,
)
@click.argument("flags", nargs=-1, type=click.UNPROCESSED)
def llama_server(flags: tuple[str, ...]) -> None:
    """Run llama.cpp's own server, from the wheel, with llama-server's flags (--help lists them)."""
    from courselib.llama_server import main as serve_forever

    sys.exit(serve_forever(list(flags)))


@main.command()
@click.argument("lessons", nargs=-1)
@click.option("--check", is_flag=True, help="Change nothing; fail if a notebook differs from its lesson.")
@click.option("--execute/--no-execute", default=None, help="Run all, or none; by default those whose code changed.")
@click.option("--root", type=click.Path(exists=True, file_okay=False, path_type=Path), default=".", hidden=True)
def build(lessons: tuple[str, ...], check: bool, execute: bool | None, root: Path) -> None:
    """Build the notebooks from LESSONS (all by default)."""
    from courselib.authoring import build as build_notebooks

    report = build_notebooks(root, list(lessons) or None, check=check, execute=execute)
    click.echo(str(report))
    if not report.ok:
        sys.exit(FAILED)


main.add_command(serve)

if __name__ == "__main__":
    main()
