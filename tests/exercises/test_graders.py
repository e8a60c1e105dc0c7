"""nbgrader's and Otter's own programs take the exported exercises, and run their checks."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from courselib.authoring import masters

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
# A function, a program whose requests are recorded, predictions, and an explanation, which a person grades.
KINDS = {
    "210_softmax": "21_sampling",
    "121_port_program": "12_tgi",
    "214_predict_sampling": "21_sampling",
    "220_explain_seeds": "22_seeds",
}
BY_HAND = "220_explain_seeds"
# Their own programs, for many notebooks in one process: each takes seconds to start.
GENERATE = """
import os
from nbgrader.apps import NbGraderAPI
from traitlets.config import Config
config = Config()
config.CourseDirectory.root = os.getcwd()
nbgrader = NbGraderAPI(config=config)
for lesson in sorted(os.listdir("source")):
    done = nbgrader.generate_assignment(lesson)
    assert done["success"], done
"""
ASSIGN = """
import sys
from pathlib import Path
from otter.assign import main
for name in sys.argv[1:]:
    main(name, Path("made") / Path(name).stem, no_pdfs=True)
"""


@pytest.fixture
def run(graders, tmp_path):
    """Runs a program of the graders' environment, in the test's own folder."""
    environment = os.environ | {"PATH": f"{graders}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    # Nothing of this person's: settings, kernels, and nbgrader's and Otter's own files.
    environment |= {f"JUPYTER_{name}": str(tmp_path / name) for name in ("CONFIG_DIR", "DATA_DIR", "RUNTIME_DIR")}

    def run_(*command):
        return subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=280, check=False
        )

    return run_


def sources(path):
    return ["".join(cell["source"]) for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]]


def test_nbgrader_makes_assignments_of_all_and_validates_them(run, tmp_path):
    exported = masters.write(ROOT, tmp_path, "nbgrader")
    done = run("python", "-c", GENERATE)
    assert done.returncode == 0, done.stderr[-3000:]
    released = {path.stem: path for path in tmp_path.glob("release/*/*.ipynb")}
    assert set(released) == {path.stem for path in exported}
    for path in released.values():
        text = "\n".join(sources(path))
        assert "# YOUR CODE HERE\n" in text and "SOLUTION" not in text
        assert "Classic mistakes" not in text

    solved = run("nbgrader", "validate", *(f"source/{lesson}/{name}.ipynb" for name, lesson in KINDS.items()))
    assert solved.stdout.count("Success! Your notebook passes all the tests.") == len(KINDS), solved.stderr
    assert "partial credit" not in solved.stderr  # what a check gives is not read as a number of points
    untouched = run("nbgrader", "validate", str(released["210_softmax"]))
    assert "VALIDATION FAILED ON 1 CELL(S)" in untouched.stdout
    assert "Nothing is written yet" in untouched.stdout


def test_otter_assigns_them(run, tmp_path):
    masters.write(ROOT, tmp_path, "otter")
    done = run("python", "-c", ASSIGN, *(f"{name}.ipynb" for name in KINDS))
    assert done.returncode == 0, done.stderr[-3000:]
    for name in KINDS:
        student = tmp_path / "made" / name / "student" / f"{name}.ipynb"
        text = "\n".join(sources(student))
        assert f"raise NotImplementedError('{name}: your answer goes here')" in text
        assert "SOLUTION" not in text and "Classic mistakes" not in text
        assert (f'grader.check("q{name}")' in text) == (name != BY_HAND)
        assert ("courselib.check" in text) == (name == BY_HAND)


def test_otter_refuses_a_master_whose_answer_is_wrong(run, tmp_path):
    """So its acceptance means that the check was run, and that the answer is right."""
    masters.write(ROOT, tmp_path, "otter")
    path = tmp_path / "210_softmax.ipynb"
    text = path.read_text(encoding="utf-8")
    assert text.count("power / total") == 1
    path.write_text(text.replace("power / total", "power"), encoding="utf-8")
    done = run("python", "-c", ASSIGN, path.name)
    assert done.returncode
    assert "These values do not add up to 1" in done.stderr
