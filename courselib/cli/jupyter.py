"""JupyterLab as a process of ours: how it is started, and where it listens once it does.

Where it listens is read in the file that every Jupyter server writes into Jupyter's runtime folder as soon as its
socket is open (``jpserver-PID.json``, jupyter_server 2). So a base URL, a certificate or another port among
JupyterLab's own options is followed, and nothing is asked over the network.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import psutil

from courselib.errors import EngineDied, StartTimeout
from courselib.i18n import _
from courselib.processes.process import GuardedProcess
from courselib.processes.python import python_module

CONFIG = Path(__file__).parents[1] / "jupyter_config"
READY_TIMEOUT_S = 120.0
POLL_S = 0.1
# Stopping it takes a while when kernels run.
STOP_S = 8.0
# Of JupyterLab's options, those of ours that have a second name.
SHORT_NAMES = {
    "ip": "ServerApp.ip",
    "port": "ServerApp.port",
    "port-retries": "ServerApp.port_retries",
    "log-level": "ServerApp.log_level",
    "notebook-dir": "ServerApp.root_dir",
}


@dataclass(frozen=True)
class Listening:
    """Where a JupyterLab listens.

    Args:
        url: the address of the page it opens on, with the token.
        redirect: a file that leads a browser there. Only this user can read it, while an address given to a browser
            is a word of a command line, which every user of the machine can read.
    """

    url: str
    redirect: Path


def command(folder: Path, port: int, page: str, options: list[str]) -> list[str]:
    """JupyterLab's command line: on this machine only, one port and no other, closed without asking.

    ``options`` take the place of ours: JupyterLab refuses an option that is given twice. No browser is opened by
    JupyterLab itself: it would be a child of the guard, which ends all of them in the end.
    """
    ours = {
        "ServerApp.root_dir": str(folder),
        "ServerApp.ip": "127.0.0.1",
        "ServerApp.port": str(port),
        "ServerApp.port_retries": "0",
        "ServerApp.answer_yes": "True",
        "ServerApp.log_level": "WARN",
        "LabApp.default_url": page,
    }
    given = {word.lstrip("-").partition("=")[0] for word in options if word.startswith("-")}
    given |= {SHORT_NAMES[name] for name in given & SHORT_NAMES.keys()}
    words = [*python_module("jupyterlab"), "--no-browser"]
    words += [f"--{name}={value}" for name, value in ours.items() if name not in given]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        words.append("--allow-root")
    return words + options


def environment() -> dict[str, str]:
    """What JupyterLab needs beside our environment: token, page configuration, ``courselib`` on its terminals' PATH."""
    paths = [str(CONFIG), *filter(None, [os.environ.get("JUPYTER_CONFIG_PATH")])]
    return {
        "JUPYTER_TOKEN": os.environ.get("JUPYTER_TOKEN") or secrets.token_hex(16),
        "JUPYTER_CONFIG_PATH": os.pathsep.join(paths),
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
    }


class Jupyter:
    """A running JupyterLab; whatever ends us ends it, and with it the kernels and their engines.

    Args:
        folder: what it serves.
        port: where it is to listen, if its own options say nothing else.
        page: the path it opens on, such as ``/lab``.
        options: JupyterLab's own, passed on.
    """

    def __init__(self, folder: Path, port: int, page: str, options: list[str]) -> None:
        self._page = page
        self._process = GuardedProcess(
            command(folder, port, page, options), environment=environment(), name="jupyterlab", grace_s=STOP_S
        )
        # Of an earlier process that was killed and had this one's number.
        for info, _redirect in self._files():
            info.unlink(missing_ok=True)

    def wait_until_listening(self) -> Listening:
        """Wait until it takes requests.

        Raises:
            EngineDied: it has ended instead.
            StartTimeout: it is not ready after ``READY_TIMEOUT_S`` seconds.
        """
        deadline = time.monotonic() + READY_TIMEOUT_S
        while time.monotonic() < deadline:
            if (found := self._listening()) is not None:
                return found
            if (code := self._process.returncode(POLL_S)) is not None:
                text = _("JupyterLab ended with exit code {code}; its log below shows why.").format(code=code)
                raise EngineDied(text, details=self._log())
        text = _("JupyterLab was not ready after {seconds} s; its log is below.").format(seconds=round(READY_TIMEOUT_S))
        raise StartTimeout(text, details=self._log())

    def wait(self) -> int:
        """Wait until it has ended; its exit code."""
        return self._process.wait()

    def stop(self) -> None:
        """End it with all its kernels."""
        self._process.stop()

    def _listening(self) -> Listening | None:
        for info, redirect in self._files():
            try:
                found = json.loads(info.read_text(encoding="utf-8"))
                complete = redirect.stat().st_size > 0
            except (OSError, ValueError):  # not there yet, or half of it
                continue
            if complete:
                return Listening(_address(found, self._page), redirect)
        return None

    def _files(self) -> list[tuple[Path, Path]]:
        """Both files for each process that it may be: on Windows, the Python of an environment starts another one."""
        from jupyter_core.paths import jupyter_runtime_dir

        numbers = [self._process.pid]
        with contextlib.suppress(psutil.Error):
            numbers += [child.pid for child in psutil.Process(self._process.pid).children(recursive=True)]
        folder = Path(jupyter_runtime_dir())
        return [(folder / f"jpserver-{number}.json", folder / f"jpserver-{number}-open.html") for number in numbers]

    def _log(self) -> str:
        return self._process.logs()[-3000:]


def _address(info: dict[str, str], page: str) -> str:
    token = f"?token={quote(info['token'], safe='')}" if info["token"] else ""
    return info["url"].rstrip("/") + page + token
