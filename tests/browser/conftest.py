"""JupyterLab in a real browser: one server for the session, a notebook with its own kernel for each test."""

import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import nbformat
import pytest

from courselib.cli.copies import FOLDER
from tests.cli.running import started

NAMES = ("chromium", "chromium-browser", "google-chrome")
THEMES = {"light": "JupyterLab Light", "dark": "JupyterLab Dark"}
PREVIEW = ".jp-MarkdownViewer"
QUIET = {"fetchNews": "false", "checkForUpdates": False, "doNotDisturbMode": True}
# A machine that does other work at the same time takes more than a minute to start JupyterLab and to draw a page.
START_TIMEOUT_S = 240
RUN_TIMEOUT_MS = 240_000
EXPECT_TIMEOUT_MS = 120_000
ERRORS = """() => [...window.jupyterapp.shell.currentWidget.content.model.cells]
    .flatMap(cell => cell.outputs?.toJSON() ?? [])
    .filter(output => output.output_type === "error")
    .map(output => `${output.ename}: ${output.evalue}`)"""
# The indicator reads idle before there is a kernel; running cells then opens a dialog and waits for ever.
KERNEL_READY = """async () => {
    const session = window.jupyterapp.shell.currentWidget.sessionContext;
    await session.ready;
    await session.session.kernel.info;
}"""
ASK = """async code => {
    const future = window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.requestExecute({code});
    let printed = "";
    future.onIOPub = message => { printed += message.content.text ?? message.content.evalue ?? ""; };
    await future.done;
    return printed;
}"""
STILL = """css => {
    const {x, y, width, height} = document.querySelector(css).getBoundingClientRect();
    const now = [x, y, width, height].join();
    window.stillFrames = now === window.stillBox ? window.stillFrames + 1 : 0;
    window.stillBox = now;
    return window.stillFrames >= 20;
}"""


@pytest.fixture(scope="session")
def chromium():
    """The path of a Chromium; without one, CI fails and a person's tests are skipped."""
    found = os.environ.get("COURSELIB_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if found:
        return found
    reason = "there is no Chromium: install one (Debian: apt-get install chromium) or name it in COURSELIB_CHROMIUM"
    return pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)


@pytest.fixture(scope="session")
def browser(chromium):
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=EXPECT_TIMEOUT_MS)
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium)
        yield running
        running.close()


class JupyterLab:
    """A JupyterLab server in folders of its own, open to this machine without a token.

    Args:
        folder: where notebooks lie and the server keeps its files.
        root: the folder shown; ``folder / "notebooks"`` by default.
    """

    def __init__(self, folder, root=None):
        self.root = root or folder / "notebooks"
        self.root.mkdir(exist_ok=True)
        self._log = folder / "jupyter.log"
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.url = f"http://127.0.0.1:{probe.getsockname()[1]}"
        self._process = subprocess.Popen(
            self._command(), env=self._environment(folder), stdout=self._log.open("wb"), stderr=subprocess.STDOUT
        )

    def _command(self):
        options = {
            "ServerApp.ip": "127.0.0.1",
            "ServerApp.port": self.url.rpartition(":")[2],
            "ServerApp.port_retries": 0,
            "ServerApp.root_dir": self.root,
            "ServerApp.password": "",
            # Without it the tests' own REST calls are refused.
            "ServerApp.disable_check_xsrf": True,
            "IdentityProvider.token": "",
        }
        flags = ["--no-browser", "--allow-root", "--expose-app-in-browser"]
        return [sys.executable, "-m", "jupyterlab", *flags, *(f"--{name}={value}" for name, value in options.items())]

    def _environment(self, folder):
        places = ("CONFIG_DIR", "DATA_DIR", "RUNTIME_DIR")
        folders = {f"JUPYTER_{place}": str(folder / place) for place in places}
        folders |= {f"JUPYTERLAB_{place}": str(folder / place) for place in ("SETTINGS_DIR", "WORKSPACES_DIR")}
        settings = folder / "SETTINGS_DIR/@jupyterlab/apputils-extension/notification.jupyterlab-settings"
        settings.parent.mkdir(parents=True)
        settings.write_text(json.dumps(QUIET))
        return {**os.environ, **folders}

    def wait_until_ready(self):
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline and self._process.poll() is None:
            with contextlib.suppress(OSError):
                self.ask("/api/status")
                return
            time.sleep(0.1)
        pytest.fail(f"JupyterLab did not start:\n{self._log.read_text()[-3000:]}")

    def ask(self, path, method="GET"):
        request = urllib.request.Request(self.url + path, method=method)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.loads(answer.read() or b"null")

    def end_kernels(self):
        for session in self.ask("/api/sessions"):
            self.ask(f"/api/sessions/{session['id']}", "DELETE")

    def stop(self):
        with contextlib.suppress(OSError):
            self.end_kernels()
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


@pytest.fixture(scope="session")
def jupyter(tmp_path_factory):
    server = JupyterLab(tmp_path_factory.mktemp("jupyter"))
    try:
        server.wait_until_ready()
        yield server
    finally:
        server.stop()


class Notebook:
    """A notebook open in a page of its own, and what that page has sent and received."""

    def __init__(self, context, url, theme, screenshots):
        self.page = context.new_page()
        self.received_bytes = 0
        self.called = []
        self._screenshots = screenshots
        self.page.on("websocket", self._watch)
        self.page.on("request", lambda request: self.called.append(request.url))
        self.page.goto(url, timeout=START_TIMEOUT_S * 1000)
        self.page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=START_TIMEOUT_S * 1000)
        change = "theme => window.jupyterapp.commands.execute('apputils:change-theme', {theme})"
        self.page.evaluate(change, THEMES[theme])

    def _watch(self, websocket):
        def count(frame):
            self.received_bytes += len(frame)

        websocket.on("framereceived", count)

    def calls_outside(self):
        """Addresses the page asked for that are not this machine."""
        return [url for url in self.called if url.startswith("http") and "//127.0.0.1:" not in url]

    def wait_for_kernel(self):
        self.page.evaluate(KERNEL_READY)

    def run_all(self, timeout_ms=RUN_TIMEOUT_MS):
        """Run all cells and wait for their end; a cell's error fails the test."""
        self.wait_for_kernel()
        # Awaiting this promise inside evaluate would have no time limit.
        self.page.evaluate(
            "() => {window.courseRun = ''; window.jupyterapp.commands.execute('notebook:run-all-cells')"
            ".then(() => window.courseRun = 'done', error => window.courseRun = `failed: ${error}`)}"
        )
        self.page.wait_for_function("() => window.courseRun", timeout=timeout_ms)
        assert self.page.evaluate("window.courseRun") == "done"
        # The promise knows nothing of cells that failed.
        assert self.page.evaluate(ERRORS) == []

    def ask(self, code):
        """Run code in the notebook's kernel without a cell, and give what it prints."""
        return self.page.evaluate(ASK, code)

    def settle(self, css):
        """Wait until an element has kept its place and size for twenty frames: after scrolling or a new layout."""
        self.page.evaluate("window.stillFrames = 0")
        self.page.wait_for_function(STILL, arg=css, polling="raf")

    def screenshot(self, name, locator=None):
        """Save a picture of the page, or of one part of it."""
        (locator or self.page).screenshot(path=str(self._screenshots / f"{name}.png"))


@pytest.fixture
def screenshots(tmp_path):
    """Where pictures go: the folder named in COURSELIB_SCREENSHOTS, so that a person can look at them."""
    folder = Path(os.environ.get("COURSELIB_SCREENSHOTS") or tmp_path)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def show(page, css):
    """Bring a part of the notebook into view; JupyterLab draws cells only when they are near it."""
    place = page.locator(css).first
    for _turn in range(200):
        if place.count() and place.is_visible():
            break
        page.locator(".jp-WindowedPanel-outer").first.evaluate("panel => panel.scrollBy(0, 400)")
        page.wait_for_timeout(100)
    place.scroll_into_view_if_needed()
    return place


@pytest.fixture
def open_notebook(browser, jupyter, screenshots):
    """A function that opens a notebook made of the code cells given."""
    contexts = []

    def open_(*cells, theme="light", width=1280, height=1000):
        name = f"scratch-{len(contexts)}.ipynb"
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in cells])
        notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
        nbformat.write(notebook, jupyter.root / name)
        context = browser.new_context(viewport={"width": width, "height": height})
        context.grant_permissions(["clipboard-read", "clipboard-write"], origin=jupyter.url)
        contexts.append(context)
        return Notebook(context, f"{jupyter.url}/lab/tree/{name}?reset", theme, screenshots)

    yield open_
    for context in contexts:
        context.close()
    jupyter.end_kernels()


@pytest.fixture
def opened(tmp_path, browser):
    """Opens the course anew, as ``courselib lab`` does, in one and the same folder; gives the page."""
    from playwright.sync_api import expect

    settings = tmp_path / "settings/@jupyterlab/apputils-extension/notification.jupyterlab-settings"
    settings.parent.mkdir(parents=True)
    settings.write_text(json.dumps(QUIET))
    environment = {
        "JUPYTERLAB_SETTINGS_DIR": str(tmp_path / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(tmp_path / "workspaces"),
    }
    folder = tmp_path / "somewhere"
    folder.mkdir()
    context = browser.new_context(viewport={"width": 1280, "height": 1000})

    def start():
        options = ("--no-browser", "--expose-app-in-browser")
        return started("lab", *options, environment=environment, cwd=folder, stdout=subprocess.PIPE)

    def visit(process):
        page = context.new_page()
        page.goto(re.search(r"https?://\S+", process.stdout.readline())[0])
        expect(page.locator(f"{PREVIEW} h1")).to_contain_text("The course")
        return page

    yield folder / FOLDER, start, visit
    context.close()
