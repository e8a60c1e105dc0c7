"""``courselib lab``: JupyterLab, opened on the course, and a look at whether the engine answers."""

from __future__ import annotations

import sys
import threading
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING

import click

from courselib.cli import copies, start_page
from courselib.cli.signals import end_on_signals
from courselib.errors import CourseError, EngineMissing
from courselib.i18n import _
from courselib.questions import answers

if TYPE_CHECKING:
    from courselib.cli.jupyter import Jupyter

NOTEBOOKS = Path("notebooks/en")


@click.command(context_settings={"ignore_unknown_options": True})
@click.option("--port", type=click.IntRange(1, 65535), help="Port for JupyterLab; a free one by default.")
@click.option("--no-browser", is_flag=True, help="Do not open a browser; the URL is printed either way.")
@click.argument("jupyter_options", nargs=-1, type=click.UNPROCESSED)
def lab(port: int | None, no_browser: bool, jupyter_options: tuple[str, ...]) -> None:
    """Open the course in JupyterLab, and report whether the engine answers.

    Options this command does not know go to JupyterLab as they are.
    """
    sys.exit(run(port=port, browser=not no_browser, options=list(jupyter_options)))


def find_course() -> tuple[Path, Path] | None:
    """The course's notebooks, and where a learner's copies of them belong: into the clone that one is in, else here."""
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / NOTEBOOKS).is_dir() and (folder / "lessons").is_dir():
            return folder / NOTEBOOKS, folder / copies.FOLDER
    package = Path(__file__).parents[1]
    # In a clone the notebooks lie beside the package, in a wheel within it.
    for course in (package.parent, package / "course"):
        if (course / NOTEBOOKS).is_dir():
            return course / NOTEBOOKS, here / copies.FOLDER
    return None


def prepare() -> tuple[Path, str]:
    """Make a learner's copies and the start page ready; says which folder is to be served, and which page opened."""
    found = find_course()
    if found is None:
        return Path.cwd(), "/lab"
    course, folder = found
    exercises = course.parents[1] / "exercises" / course.name
    kept = copies.update(course, folder)
    if exercises.is_dir():
        kept += copies.update(exercises, folder / copies.EXERCISES)
    for sentence in kept:
        click.echo(sentence)
    lessons = start_page.read_copies(folder, _answers(folder))
    tried = start_page.read_exercises(folder / copies.EXERCISES)
    text = start_page.page(lessons, start_page.missing(), start_page.read_references(folder), tried)
    (folder / start_page.PAGE).write_text(text, encoding="utf-8")
    return folder, f"/lab/tree/{start_page.PAGE}"


def _answers(folder: Path) -> answers.Kept:
    """The learner's answers; the course opens without them where they cannot be read."""
    try:
        kept, sentence = answers.load(folder)
    except CourseError as error:
        kept, sentence = {}, error.message
    if sentence:
        click.echo(sentence)
    return kept


def run(*, port: int | None, browser: bool, options: list[str]) -> int:
    """Serve JupyterLab until it is stopped.

    Args:
        port: where; ``None`` takes a free one.
        browser: open one.
        options: JupyterLab's own, passed on.

    Returns:
        JupyterLab's exit code; 0 if it was stopped by a signal.

    Raises:
        EngineMissing: JupyterLab is not installed.
        PortTaken, EngineDied, StartTimeout: it cannot serve.
    """
    from courselib import machine

    if machine.version("jupyterlab") is None:
        raise EngineMissing(_("JupyterLab is not installed; install it with: pip install 'courselib[lab]'."))
    from courselib.cli.jupyter import Jupyter
    from courselib.processes.ports import check_port, free_port

    end_on_signals()
    if port is not None:
        check_port("127.0.0.1", port)
    folder, page = prepare()
    jupyter = Jupyter(folder, port or free_port(), page, options)
    stopped = threading.Event()
    try:
        _announce(jupyter, browser=browser)
        # It may have to download the model first. As a daemon it delays nobody's end, and its engine ends with us.
        threading.Thread(target=_report_engine, args=(stopped,), daemon=True).start()
        return jupyter.wait()
    except KeyboardInterrupt:
        return 0
    finally:
        stopped.set()
        jupyter.stop()


def _announce(jupyter: Jupyter, *, browser: bool) -> None:
    """Print the address as soon as there is one, and open it."""
    listening = jupyter.wait_until_listening()
    click.echo(_("JupyterLab is ready: {url}").format(url=listening.url))
    click.echo(_("If no browser opens this page, open it yourself. Stop with Ctrl-C."))
    sys.stdout.flush()
    if browser:
        webbrowser.open(listening.redirect.as_uri())


def _report_engine(stopped: threading.Event) -> None:
    """Print whether the engine generates a first token, unless everything has been stopped by then."""
    from courselib.engines.launcher import launch

    try:
        with launch("llama.cpp", context=256) as server:
            text, failed = _("llama.cpp answers: first token after {seconds:.1f} s."), False
            text = text.format(seconds=server.start_s)
    except CourseError as error:
        text, failed = _("llama.cpp does not answer: {reason} See: courselib doctor"), True
        text = text.format(reason=error.message)
    if not stopped.is_set():
        click.echo(text, err=failed)
        sys.stdout.flush()
