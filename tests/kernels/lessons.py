"""The lessons and exercises in a stand-in for Colab: ``python -m tests.kernels.lessons colab [NAME...]``.

An environment is made with Colab's Python and with what Colab has preinstalled of the packages that the course needs.
Then each lesson that needs llama.cpp at most, and each exercise's solution, runs from its first cell in an empty
folder. The first of them installs the course, as on Colab, but from this checkout: the tag on GitHub may not exist yet.
Prints, as Markdown, what each took and what failed; ``benchmarks/results/colab.md`` keeps it.

What Colab has of its own, ``google.colab``, is a fake, and there is no front end: ``docs/anywhere.md`` lists what that
leaves open.
"""

import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import nbformat

from courselib.authoring.project import read_project
from tests.kernels.environments import ROOT, bare_colab
from tests.kernels.notebook_run import MIB, Run, run_notebook
from tests.notebooks.nbval import needed_by

FAKE_COLAB = Path(__file__).with_name("fake_colab")


def notebooks(names: tuple[str, ...] = ()) -> list[Path]:
    """Lessons that need llama.cpp at most, then solutions; of these only the named, if any are."""
    found = [path for folder in ("notebooks", "solutions") for path in sorted((ROOT / folder / "en").glob("*.ipynb"))]
    return [path for path in found if set(needed_by(path)) <= {"llama.cpp"} and (not names or path.stem in names)]


def colab_environment(python: Path) -> dict[str, str]:
    """A kernel's environment on Colab, without a way to this checkout."""
    programs = os.pathsep.join([str(python.parent), os.environ["PATH"]])
    colab = {"COLAB_RELEASE_TAG": "stand-in", "PYTHONPATH": str(FAKE_COLAB)}
    return {**os.environ, **colab, "PATH": programs, "PYTHONHASHSEED": "0"}


def pack_checkout(archive: Path) -> None:
    """What GitHub packs of a tag: the tracked files, in one folder."""
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
        for name in filter(None, tracked.split("\0")):
            packed.write(ROOT / name, Path("courselib", name))


def read_notebook(path: Path, archive: Path):
    """A notebook whose first cell installs the archive instead of the tag."""
    text = path.read_text(encoding="utf-8").replace(read_project(ROOT).requirement, f"courselib @ {archive.as_uri()}")
    return nbformat.reads(text, as_version=4)


def installed(python: Path) -> set[str]:
    """The packages of an environment, with their versions."""
    command = [python, "-m", "pip", "--disable-pip-version-check", "list", "--format=freeze"]
    return set(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split())


def row(run: Run) -> str:
    """What a notebook took, as a row of Markdown."""
    first = "" if run.first_server is None else f"{run.first_server:.1f}"
    end = f"failed: {run.failure}" if run.failure else "ran"
    return f"| {run.name} | {run.seconds:.0f} | {first} | {run.peak / MIB:.0f} | {end} |"


def report(runs: list[Run], gone: set[str], new: set[str]) -> str:
    """Markdown: what was installed, and a row for each lesson; solutions that ran share one."""
    lines = [
        f"Installed by the first cell: {', '.join(sorted(new)) or 'nothing'}.",
        f"Changed of what was preinstalled: {', '.join(sorted(gone)) or 'nothing'}.\n",
        "| notebook | seconds | first server answers, s | peak memory, MiB | |",
        "|---|---|---|---|---|",
    ]
    solutions = [run for run in runs if run.name[:3].isdigit() and not run.failure]
    lines += [row(run) for run in runs if run not in solutions]
    if solutions:
        seconds, peak = sum(run.seconds for run in solutions), max(run.peak for run in solutions)
        lines.append(f"| {len(solutions)} solutions | {seconds:.0f} | | {peak / MIB:.0f} | ran |")
    return "\n".join(lines)


def main(place: str, *names: str) -> int:
    """Run the notebooks; the exit status is how many failed, or changed what was preinstalled."""
    if place != "colab":
        sys.exit(f"There is a stand-in for colab, and none for {place}.")
    runs = []
    with tempfile.TemporaryDirectory() as folder:
        archive, python = Path(folder, "courselib.zip"), bare_colab(Path(folder, "venv"))
        pack_checkout(archive)
        environment = colab_environment(python) | {"XDG_CACHE_HOME": str(Path(folder, "cache"))}
        before = installed(python)
        for path in notebooks(names):
            content = Path(folder, "content", path.stem)
            content.mkdir(parents=True)
            runs.append(run_notebook(read_notebook(path, archive), path.stem, [str(python)], content, environment))
            print(row(runs[-1]), file=sys.stderr, flush=True)
        after = installed(python)
    print(report(runs, before - after, after - before))
    return sum(bool(run.failure) for run in runs) + len(before - after)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
