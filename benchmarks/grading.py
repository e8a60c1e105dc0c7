"""How long grading takes: courselib confined, nbgrader's autograde, and ``otter run``, on the same notebooks.

    python -m benchmarks.grading --graders .venvs/graders/bin

The class has 300 notebooks, 6 of each of 50 learners: right answers, classic mistakes and untouched copies; three of
them never end, and three end the process that runs them. courselib grades all of it, with one job and with two. The
peers get the first learners only, who have none of those six: Otter would wait for an endless loop without a limit,
and nbgrader gives no score at all where a kernel dies. The points have to be the same. Prints tables in Markdown, one
for each round: ``benchmarks/results/grading.md`` keeps them if the ratios of two rounds agree within 20 %.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from courselib.authoring import masters

ROOT = Path(__file__).parents[1]
# A classic mistake of each exercise, as a change of its solution.
MISTAKES = {
    "010_ttft": ("if text:", "if True:"),
    "011_percentile": ("math.ceil(", "math.floor("),
    "210_softmax": (") / temperature", ") * temperature"),
    "320_kv_bytes": ("2 * layers", "layers"),
    "321_blocks_for": ("math.ceil(", "math.floor("),
    "330_cached_tokens": (" // block_size * block_size", ""),
}
HOSTILE = {
    "loops": "def softmax(logits, temperature):\n    while True:\n        pass\n",
    "ends": "import os\n\ndef softmax(logits, temperature):\n    os._exit(0)\n",
}
LEARNERS, LAST_HOSTILE = 50, 6
ASSIGNMENT = "class"
CONFIG = """
c = get_config()
c.CourseDirectory.root = {root!r}
c.ExecutePreprocessor.timeout = 10
"""


def main() -> None:
    """Make the class, grade it in each way, and print what it took."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--graders", type=Path, required=True, help="folder with the programs nbgrader and otter")
    options.add_argument("--sample", type=int, default=5, help="learners that nbgrader gets")
    options.add_argument("--otter", type=int, default=5, help="notebooks that Otter gets")
    options.add_argument("--rounds", type=int, default=2)
    options.add_argument("--whole", action=argparse.BooleanOptionalAction, default=True, help="grade all 300, too")
    given = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        bench = Bench(Path(folder), given.graders.absolute(), given.sample, given.otter)
        bench.prepare()
        for number in range(given.rounds):
            bench.round(number)
        if given.whole:
            bench.whole()


class Bench:
    """A class in a folder, and the graders that are timed on it."""

    def __init__(self, folder: Path, graders: Path, sample: int, otter: int) -> None:
        self.folder, self.graders, self.sample, self.otter = folder, graders, sample, otter
        self.environment = os.environ | {"PATH": f"{graders}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
        # Nothing of this person's settings.
        self.environment |= {
            f"JUPYTER_{name}": str(folder / name) for name in ("CONFIG_DIR", "DATA_DIR", "RUNTIME_DIR")
        }

    def prepare(self) -> None:
        """Write nbgrader's course, its assignment, Otter's, and the class."""
        source = self.folder / "course" / "source" / ASSIGNMENT
        source.mkdir(parents=True)
        (self.folder / "course" / "nbgrader_config.py").write_text(CONFIG.format(root=str(self.folder / "course")))
        for path in masters.write(ROOT, self.folder / "masters", "nbgrader"):
            if path.stem in MISTAKES:
                shutil.copy(path, source)
        self._peer("nbgrader", "generate_assignment", ASSIGNMENT, at="course")
        masters.write(ROOT, self.folder / "otter", "otter")
        self._peer("otter", "assign", "--no-pdfs", "321_blocks_for.ipynb", "assigned", at="otter")
        for learner in range(LEARNERS):
            for at, exercise in enumerate(MISTAKES):
                text = json.dumps(self._notebook(exercise, learner, at))
                for part in ("class", "sample", "course/submitted")[: 3 if learner < self.sample else 1]:
                    folder = self.folder / part / f"learner{learner:02}" / ASSIGNMENT
                    folder.mkdir(parents=True, exist_ok=True)
                    (folder / f"{exercise}.ipynb").write_text(text, encoding="utf-8")

    def round(self, number: int) -> None:
        """Time all graders on the sample, one after the other, and print how they compare."""
        count = self.sample * len(MISTAKES)
        one = self._courselib("sample", f"one{number}", 1)
        shutil.rmtree(self.folder / "course" / "autograded", ignore_errors=True)
        nbgrader = self._timed(lambda: self._peer("nbgrader", "autograde", ASSIGNMENT, at="course"))
        two = self._courselib("sample", f"two{number}", 2)
        again = self._courselib("sample", f"again{number}", 1)
        otter = self._timed(self._otter_runs)
        self._same_points(f"one{number}")
        ours = (one + again) / 2 / count
        rows = {
            "courselib grade, confined, one job": ours,
            "courselib grade, confined, two jobs": two / count,
            f"nbgrader {self._version('nbgrader')} autograde, in one process": nbgrader / count,
            f"Otter {self._version('otter-grader')} run, a process each": otter / self.otter,
        }
        print(f"\nRound {number + 1}: {count} notebooks (Otter: {self.otter}); {os.cpu_count()} cores, ", end="")
        print("load {:.0f}, {:.0f}, {:.0f}\n".format(*os.getloadavg()))
        print("| grader | s a notebook | times courselib with one job |\n|---|---|---|")
        for name, seconds in rows.items():
            print(f"| {name} | {seconds:.2f} | {seconds / ours:.1f} |", flush=True)

    def whole(self) -> None:
        """Time the whole class with one job and with two, whose scores have to be equal."""
        seconds = [self._courselib("class", f"whole{jobs}", jobs) for jobs in (1, 2)]
        tables = {(self.folder / f"whole{jobs}" / "scores.csv").read_bytes() for jobs in (1, 2)}
        assert len(tables) == 1, "one job and two gave other scores"
        count = LEARNERS * len(MISTAKES)
        print(f"\nAll {count} notebooks: {seconds[0]:.0f} s with one job, {seconds[1]:.0f} s with two.")

    def _notebook(self, exercise: str, learner: int, at: int) -> dict[str, Any]:
        path = self.folder / "course" / "release" / ASSIGNMENT / f"{exercise}.ipynb"
        notebook: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        answer = _answer_cell(notebook)
        solution = _answer_cell(json.loads((ROOT / "solutions" / "en" / path.name).read_text(encoding="utf-8")))
        right = "".join(solution["source"])
        kind = (learner + at) % 3
        if learner >= LEARNERS - LAST_HOSTILE and exercise == "210_softmax":
            answer["source"] = HOSTILE["loops" if learner % 2 else "ends"]
        elif kind:
            assert MISTAKES[exercise][0] in right, exercise
            answer["source"] = right if kind == 1 else right.replace(*MISTAKES[exercise])
        return notebook

    def _courselib(self, part: str, out: str, jobs: int) -> float:
        command = [sys.executable, "-m", "courselib.cli.main", "grade", str(self.folder / part)]
        command += ["--out", str(self.folder / out), "--key", "benchmark", "--jobs", str(jobs)]
        return self._timed(lambda: self._run(command, ROOT))

    def _otter_runs(self) -> None:
        autograder = next((self.folder / "otter" / "assigned" / "autograder").glob("*.zip"))
        for n in range(self.otter):
            learner = n % self.sample
            notebook = self.folder / "sample" / f"learner{learner:02}" / ASSIGNMENT / "321_blocks_for.ipynb"
            self._peer("otter", "run", "-a", str(autograder), str(notebook), at="otter")

    def _same_points(self, out: str) -> None:
        self._peer("nbgrader", "export", "--to", "grades.csv", at="course")
        with (self.folder / "course" / "grades.csv").open() as file:
            theirs = {row["student_id"]: float(row["score"]) for row in csv.DictReader(file)}
        with (self.folder / out / "scores.csv").open() as file:
            ours = {row["learner"]: float(row["total"]) for row in csv.DictReader(file)}
        assert ours == theirs, f"other points: {ours}, nbgrader {theirs}"

    def _version(self, package: str) -> str:
        code = f"import importlib.metadata as m; print(m.version({package!r}))"
        return self._run([str(self.graders / "python"), "-c", code], self.folder).strip()

    def _peer(self, *command: str, at: str) -> str:
        return self._run([str(self.graders / command[0]), *command[1:]], self.folder / at)

    def _run(self, command: Sequence[str], folder: Path) -> str:
        done = subprocess.run(
            command, cwd=folder, env=self.environment, capture_output=True, text=True, check=False, timeout=3600
        )
        assert done.returncode == 0, f"{command}: {done.stderr[-3000:]}"
        return done.stdout

    @staticmethod
    def _timed(what: Any) -> float:
        began = time.perf_counter()
        what()
        return time.perf_counter() - began


def _answer_cell(notebook: dict[str, Any]) -> dict[str, Any]:
    cells: list[dict[str, Any]] = notebook["cells"]
    return next(cell for cell in cells if cell["metadata"].get("nbgrader", {}).get("solution"))


if __name__ == "__main__":
    main()
