"""axe-core, which finds what keeps people from using a page; npm fetches it, in the version named here."""

import functools
import shutil
import subprocess
import tarfile
import tempfile

import pytest

VERSION = "4.10.3"
TIMEOUT_S = 120
GRAVE = ("serious", "critical")
# Within a panel only: the page around it is JupyterLab's.
RUN = """async css => (await axe.run(css, {resultTypes: ["violations"]})).violations
    .flatMap(found => found.nodes.map(node => [found.impact, found.id, node.target.join(" "), node.failureSummary]))"""


@functools.cache
def script():
    """Its script; a test that needs it is skipped where there is no npm, or npm cannot get it."""
    npm = shutil.which("npm")
    if not npm:
        pytest.skip("there is no npm here, which fetches axe-core")
    with tempfile.TemporaryDirectory() as folder:
        command = [npm, "pack", f"axe-core@{VERSION}", "--silent", "--prefer-offline", "--pack-destination", folder]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
        except subprocess.TimeoutExpired:
            pytest.skip(f"npm does not get axe-core within {TIMEOUT_S} s")
        if done.returncode:
            pytest.skip(f"npm cannot get axe-core {VERSION}: {done.stderr[-300:]}")
        with tarfile.open(f"{folder}/axe-core-{VERSION}.tgz") as archive:
            return archive.extractfile("package/axe.min.js").read().decode()


def grave_faults(page, css):
    """What is serious or critical within the elements that ``css`` finds: kind, place and words of each."""
    if not page.evaluate("typeof axe !== 'undefined'"):
        page.evaluate(script())
    return [f"{id}: {place}\n{words}" for impact, id, place, words in page.evaluate(RUN, css) if impact in GRAVE]
