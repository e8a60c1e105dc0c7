"""JupyterLab, opened on the course, once the engine has shown that it answers."""

from __future__ import annotations

import contextlib
import os
import secrets
import sys
import threading
import time
import urllib.error
import urllib.request
import webbrowser
from pathlib import Path

import click

from courselib.engines import launch
from courselib.engines.ports import check_port, free_port
from courselib.engines.process import EngineProcess
from courselib.errors import CourseError, EngineMissing, StartTimeout
from courselib.i18n import _

START_PAGE = Path("notebooks/en/00_start_here.ipynb")
CONFIG = Path(__file__).parent / "jupyter_config"
READY_TIMEOUT_S = 60
STOP_S = 8.0


def course_folder() -> Path:
    """The folder with the notebooks: the current one, that of a clone, or (installed alone) the current one."""
    here = Path.cwd()
    for folder in (here, *here.parents, Path(__file__).parents[1]):
        if (folder / START_PAGE).exists():
            return folder
    return here


def command(folder: Path, port: int, options: list[str]) -> list[str]:
    """JupyterLab's command line: on this machine only, one port and no other, closed without asking."""
    words = [sys.executable, "-m", "jupyterlab", "--no-browser", f"--ServerApp.root_dir={folder}"]
    words += ["--ServerApp.ip=127.0.0.1", f"--ServerApp.port={port}", "--ServerApp.port_retries=0"]
    words += ["--ServerApp.answer_yes=True", "--ServerApp.log_level=WARN"]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        words.append("--allow-root")
    return words + options


def jupyter_environment(token: str) -> dict[str, str]:
    """What JupyterLab needs beside our environment: token, page configuration, ``courselib`` on its terminals' PATH."""
    paths = [str(CONFIG), *filter(None, [os.environ.get("JUPYTER_CONFIG_PATH")])]
    return {
        "JUPYTER_TOKEN": token,
        "JUPYTER_CONFIG_PATH": os.pathsep.join(paths),
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
    }


def run(*, port: int | None, browser: bool, options: list[str]) -> int:
    """Serve JupyterLab until it is stopped.

    Args:
        port: where; ``None`` takes a free one.
        browser: open one.
        options: JupyterLab's own, passed on.

    Returns:
        JupyterLab's exit code.

    Raises:
        EngineMissing: JupyterLab is not installed.
        PortTaken, StartTimeout: it cannot serve.
    """
    from courselib import environment

    if environment.version("jupyterlab") is None:
        raise EngineMissing(_("JupyterLab is not installed; install it with: pip install 'courselib[lab]'."))
    if port is not None:
        check_port("127.0.0.1", port)
    port = port or free_port()
    token = os.environ.get("JUPYTER_TOKEN") or secrets.token_hex(16)
    folder = course_folder()
    page = START_PAGE.as_posix() if (folder / START_PAGE).exists() else ""
    # Stopping it takes a while when kernels run; whatever ends us ends it, and with it the kernels and their engines.
    jupyter = EngineProcess(
        command(folder, port, options), environment=jupyter_environment(token), name="jupyterlab", grace_s=STOP_S
    )
    check = threading.Thread(target=_say_whether_engine_answers)
    check.start()  # meanwhile JupyterLab starts; both take seconds
    try:
        _wait_for(f"http://127.0.0.1:{port}/api", jupyter)
        check.join()
        url = f"http://127.0.0.1:{port}/lab/tree/{page}?token={token}"
        click.echo(_("JupyterLab is ready: {url}").format(url=url))
        click.echo(_("Stop it with Ctrl-C."))
        sys.stdout.flush()
        if browser:
            webbrowser.open(url)
        return jupyter.wait()
    except KeyboardInterrupt:
        return 0
    finally:
        jupyter.stop()


def _say_whether_engine_answers() -> None:
    try:
        with launch("llama.cpp", context=256) as server:
            click.echo(_("llama.cpp answers: first token after {seconds:.1f} s.").format(seconds=server.start_s))
    except CourseError as error:
        click.echo(
            _("llama.cpp does not answer: {reason} See: courselib doctor").format(reason=error.message), err=True
        )


def _wait_for(url: str, jupyter: EngineProcess) -> None:
    deadline = time.monotonic() + READY_TIMEOUT_S
    while jupyter.returncode() is None and time.monotonic() < deadline:
        with contextlib.suppress(urllib.error.URLError, ConnectionError):
            urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=2).close()
            return
        time.sleep(0.1)
    raise StartTimeout(
        _("JupyterLab did not become ready; its own words below say why."), details=jupyter.logs()[-3000:]
    )
