"""``courselib lab``: JupyterLab on the course, from a folder of a learner's, reached, opened and ended in every way."""

import re
import shutil
import signal
import ssl
import stat
import subprocess
import sys
import urllib.request
from pathlib import Path

import psutil
import pytest

from courselib.cli.jupyter import _address
from courselib.processes.ports import free_port
from tests.cli.running import POSIX, descendants, ends_with_all_it_started, run, started
from tests.waiting import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not POSIX, reason="signals end a program so on Linux and macOS")]
PAGE = "lab/tree/start.md"


def printed_url(process):
    """The address; it is the first thing printed."""
    line = process.stdout.readline()
    found = re.search(r"https?://\S+", line)
    assert found, line
    return found[0]


def status(url):
    """What a browser gets there that goes through no proxy, and takes any certificate."""
    anybody = ssl.create_default_context()
    anybody.check_hostname, anybody.verify_mode = False, ssl.CERT_NONE
    handlers = (urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=anybody))
    with urllib.request.build_opener(*handlers).open(url) as page:
        assert page.geturl() == url  # and not the page that asks for a token
        return page.status


@pytest.mark.engine
@pytest.mark.parametrize(
    ("ending", "interrupt"),
    [("SIGINT", signal.SIG_DFL), ("SIGINT", signal.SIG_IGN), ("SIGTERM", signal.SIG_IGN), ("SIGKILL", signal.SIG_DFL)],
    ids=["INT", "INT in the background", "TERM in the background", "KILL"],
)
def test_lab_serves_the_start_page_and_takes_jupyter_along(ending, interrupt, learners_folder):
    both = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    options = {**both, "interrupt": interrupt, "cwd": learners_folder}
    with started("lab", "--no-browser", **options) as process:
        url = printed_url(process)
        assert f"/{PAGE}?token=" in url
        assert status(url) == 200
        assert "Ctrl-C" in process.stdout.readline()
        assert "llama.cpp answers" in process.stdout.readline()
        ends_with_all_it_started(process, getattr(signal, ending))
        assert process.returncode == (-signal.SIGKILL if ending == "SIGKILL" else 0)


def test_the_address_follows_jupyters_own_options(learners_folder, certificate):
    """A base URL as behind a JupyterHub, TLS, and another port."""
    port = free_port()
    options = [
        "--ServerApp.base_url=/user/somebody/",
        f"--certfile={certificate}",
        f"--ServerApp.port={port}",
        "--ip",
        "127.0.0.1",
    ]
    with started("lab", "--no-browser", *options, stdout=subprocess.PIPE, cwd=learners_folder) as process:
        url = printed_url(process)
        assert url.startswith(f"https://127.0.0.1:{port}/user/somebody/{PAGE}?token=")
        assert status(url) == 200


@pytest.fixture
def certificate(tmp_path):
    """A key and a certificate for it that it has signed itself, in one file."""
    if not shutil.which("openssl"):
        pytest.skip("openssl is not installed")
    file = tmp_path / "certificate.pem"
    words = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=127.0.0.1", "-days", "2"]
    subprocess.run([*words, "-keyout", str(file), "-out", str(file)], capture_output=True, check=True)
    if "BEGIN CERTIFICATE" not in (text := file.read_text()) or "PRIVATE KEY" not in text:
        pytest.skip("this openssl writes over its own file")
    return file


@pytest.mark.parametrize("ending", ["SIGINT", "SIGTERM"])
def test_its_address_comes_before_any_download_and_it_ends_during_one(ending, learners_folder, tmp_path):
    log, opened = tmp_path / "stderr", tmp_path / "opened"
    environment = {
        "COURSELIB_CACHE": str(tmp_path / "cache"),
        # Nobody listens there, and pip asks again and again.
        "PIP_INDEX_URL": f"http://127.0.0.1:{free_port()}",
        "PIP_RETRIES": "1000",
        "BROWSER": f"{fake_browser(tmp_path, opened)} %s",
    }
    options = {"environment": environment, "cwd": learners_folder, "stdout": subprocess.PIPE}
    with log.open("w") as stderr, started("lab", stderr=stderr, **options) as process:
        url = printed_url(process)
        assert status(url) == 200
        wait_until(opened.exists, 30)
        assert "token" not in " ".join(opened.read_text().splitlines()[:1])
        assert url in opened.read_text()
        wait_until(lambda: any(is_pip(child) for child in descendants(process)), 60)
        assert not any(url.partition("token=")[2] in line for line in command_lines(process))
        ends_with_all_it_started(process, getattr(signal, ending))
        assert process.returncode == 0
    assert "does not answer" not in log.read_text()


def fake_browser(folder, opened):
    """A program in place of a browser: writes down the address it was called with, and what it finds there."""
    program = folder / "fake-browser"
    program.write_text(
        f"#!{sys.executable}\nimport sys, pathlib, urllib.request\n"
        "text = sys.argv[1] + chr(10) + urllib.request.urlopen(sys.argv[1]).read().decode()\n"
        f"part = pathlib.Path({str(opened)!r} + '.part')\npart.write_text(text)\npart.rename({str(opened)!r})\n"
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return program


def is_pip(process):
    try:
        return "download" in process.cmdline() and "pip" in process.cmdline()
    except psutil.Error:
        return False


def command_lines(process):
    for child in descendants(process):
        try:
            yield " ".join(child.cmdline())
        except psutil.Error:
            continue


def test_a_jupyterlab_that_cannot_start_says_why(tmp_path):
    done = run("lab", "--no-browser", "--certfile=/no/such/file.pem", cwd=tmp_path)
    assert done.returncode == 1
    assert re.search(r"Error: JupyterLab ended with exit code \d+; its log below shows why\.", done.stderr)
    assert "/no/such/file.pem" in done.stderr
    assert "Traceback" not in done.stderr.partition("its log below")[0]


@pytest.mark.parametrize(
    ("info", "address"),
    [
        ({"url": "http://127.0.0.1:8888/", "token": "abc"}, "http://127.0.0.1:8888/lab?token=abc"),
        ({"url": "http://127.0.0.1:8888/user/x/", "token": "a/&b"}, "http://127.0.0.1:8888/user/x/lab?token=a%2F%26b"),
        ({"url": "https://[::1]:8888/", "token": ""}, "https://[::1]:8888/lab"),
    ],
)
def test_the_address(info, address):
    assert _address(info, "/lab") == address


def test_no_address_of_an_earlier_process(monkeypatch, tmp_path):
    """Jupyter's file of a process that was killed, whose number another JupyterLab has now, is not read."""
    from courselib.cli import jupyter

    class FakeProcess:
        def __init__(self, *_, **__):
            self.pid = 2**22 + 1  # no process has this number
            for name in (f"jpserver-{self.pid}.json", f"jpserver-{self.pid}-open.html"):
                (tmp_path / name).write_text('{"url": "http://127.0.0.1:1/", "token": "old"}')

    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setattr(jupyter, "GuardedProcess", FakeProcess)
    assert jupyter.Jupyter(Path(), 8888, "/lab", [])._listening() is None
