"""What the course adds to Binder's image, and what lesson 00 takes there: ``python -m tests.kernels.binder_image``.

Docker builds the image from ``binder/``. Here its steps are done in an environment of Python's: the packages of the
base, then ``binder/requirements.txt``, then ``binder/postBuild``. A layer's size is that of the files that its step
made or changed, which is what an image keeps of it, uncompressed. Then lesson 00 runs beside a JupyterLab with one
core, and with 2 GiB of memory where a control group can be made.

Not here: Ubuntu, conda and Node.js of the base image, and its compression. ``docs/anywhere.md`` keeps the figures.
"""

import contextlib
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import nbformat

from courselib.processes.ports import free_port
from tests.kernels.environments import ROOT, make_environment, read_pins
from tests.kernels.lessons import pack_checkout
from tests.kernels.notebook_run import MIB, peak_memory, run_notebook
from tests.real_group import real_group
from tests.waiting import wait_until

PYTHON = (ROOT / "binder" / "runtime.txt").read_text().strip().replace("-", "")
MEMORY = 2048 * MIB
LIMITS = {
    "cpu": {"cpu.max": "100000 100000", "cpu.cfs_quota_us": "100000"},
    "memory": {"memory.max": str(MEMORY), "memory.limit_in_bytes": str(MEMORY)},
}


class Layers:
    """The sizes of the steps of a build, by what each makes or changes in a folder."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.known = self._files()
        self.sizes: dict[str, int] = {}

    def _files(self) -> dict[Path, tuple[int, int]]:
        found = (path for path in self.folder.rglob("*") if path.is_file() and not path.is_symlink())
        return {path: (path.stat().st_size, path.stat().st_mtime_ns) for path in found}

    def end(self, name: str) -> None:
        """A step has ended."""
        files = self._files()
        self.sizes[name] = sum(size for path, (size, at) in files.items() if self.known.get(path) != (size, at))
        self.known = files


def build(folder: Path) -> tuple[Layers, dict[str, str]]:
    """Build the stand-in for the image in a folder; returns its layers, and the environment its programs run in."""
    layers, source = Layers(folder), folder / "source"
    python = make_environment(folder / "venv", PYTHON, read_pins("binder_base.txt"))
    layers.end("the base's Python packages")
    pack_checkout(folder / "packed.zip")
    with zipfile.ZipFile(folder / "packed.zip") as packed:
        packed.extractall(folder)
    (folder / "packed.zip").unlink()
    (folder / "courselib").rename(source)
    layers.end("the repository")
    home = {"HOME": str(folder / "home"), "XDG_CACHE_HOME": str(folder / "home" / ".cache"), "PYTHONPATH": ""}
    path = os.pathsep.join([str(python.parent), os.environ["PATH"]])
    environment = {**os.environ, **home, "BINDER_SERVICE_HOST": "stand-in", "PATH": path}
    install = [python, "-m", "pip", "install", "--quiet", "--no-cache-dir", "-r", "binder/requirements.txt"]
    subprocess.run(install, cwd=source, env=environment, check=True)
    layers.end("binder/requirements.txt")
    subprocess.run(["bash", "binder/postBuild"], cwd=source, env=environment, check=True, stdout=subprocess.DEVNULL)
    layers.end("binder/postBuild")
    return layers, environment


def run_lesson_00(folder: Path, environment: dict[str, str]) -> None:
    """Run it beside a JupyterLab, limited as on Binder as far as this machine allows, and print what it took."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    notebooks, python = folder / "source" / "notebooks" / "en", str(folder / "venv" / "bin" / "python")
    with contextlib.ExitStack() as stack:
        enter = []
        for controller, limits in LIMITS.items():
            group, reason = stack.enter_context(real_group(controller, limits))
            print(f"{controller}: {'limited by a control group' if group else reason}")
            if group:
                enter.append(f'echo $$ > "{group}/cgroup.procs" && ')
                stack.callback(wait_until, lambda file=group / "cgroup.procs": not file.read_text())
        within = ["sh", "-c", "".join(enter) + 'exec "$0" "$@"', python]
        peak = stack.enter_context(peak_memory())
        lab = subprocess.Popen(
            [*within, "-m", "jupyterlab", "--no-browser", "--allow-root", f"--port={free_port()}", "--ip=127.0.0.1"],
            cwd=notebooks, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            notebook = nbformat.read(notebooks / "00_start_here.ipynb", as_version=4)
            run = run_notebook(notebook, "lesson 00", within, notebooks, environment)
        finally:
            lab.terminate()
            lab.wait()
    first_line = next(cell for cell in notebook.cells if cell.cell_type == "code").outputs[0].text.strip()
    print(f"first cell: {first_line}", f"lesson 00: {run.failure or 'ran'}", sep="\n")
    print(f"seconds: {run.seconds:.0f}, until the first server answered: {run.first_server or 0:.1f}")
    print(f"peak memory, JupyterLab included: {max(peak) / MIB:.0f} MiB")


def main() -> None:
    """Build, print the layers, run the lesson."""
    with tempfile.TemporaryDirectory() as name:
        layers, environment = build(Path(name))
        for step, size in layers.sizes.items():
            print(f"| {step} | {size / 1e6:.0f} MB |")
        run_lesson_00(Path(name), environment)


if __name__ == "__main__":
    sys.exit(main())
