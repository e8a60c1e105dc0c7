"""Running nbval; as a program, on all notebooks of a kind that can run on this machine."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

from courselib.authoring.execution import CELL_TIMEOUT_S
from courselib.engines.vllm import environment
from courselib.errors import EngineMissing
from courselib.front import haproxy
from courselib.observe import prometheus

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
# Plotly's outputs are compared as plain data, and sets in one order.
PLAIN = {"PLOTLY_RENDERER": "plotly_mimetype", "PYTHONHASHSEED": "0"}


def built_notebooks() -> list[Path]:
    return sorted(NOTEBOOKS.glob("*/*.ipynb"))


def needed_by(path: Path) -> list[str]:
    return json.loads(path.read_text(encoding="utf-8"))["metadata"]["courselib"]["needs"]


def what_is_missing(path: Path) -> str:
    """Why a notebook cannot run on this machine, in a sentence; empty if it can."""
    needs = needed_by(path)
    if "native" in needs and not importlib.util.find_spec("llama_cpp"):
        return "llama-cpp-python is not installed: make native"
    if "vllm" in needs:
        try:
            environment.find()
        except EngineMissing as error:
            return error.message
    for need, program in (("prometheus", prometheus), ("haproxy", haproxy)):
        if need in needs:
            try:
                program.find()
            except EngineMissing as error:
                return error.message
    return ""


def golden_cells(notebook) -> list:
    """The cells whose output nbval really compares: tagged, executed, and with something to compare."""
    return [
        cell
        for cell in notebook.cells
        if cell.cell_type == "code"
        and "nbval-check-output" in cell.metadata.get("tags", [])
        and cell.execution_count is not None
        and text_of(cell.outputs).strip()
    ]


def change_first_golden(notebook) -> None:
    """Make the first golden output say something that running the cell does not."""
    output = next(output for output in golden_cells(notebook)[0].outputs if text_of([output]).strip())
    if "text" in output:
        output.text += "something else"
    else:
        output.data["text/plain"] += "something else"


def text_of(outputs) -> str:
    """What a cell puts out as text."""
    return "".join(each.get("text", "") + str(each.get("data", {}).get("text/plain", "")) for each in outputs)


def nbval_command(*paths: Path) -> list[str]:
    # Each notebook in the kernel that it names. A cell may start vLLM: as long as the build gives it.
    options = ["-p", "no:cacheprovider", "--nbval-lax", f"--nbval-cell-timeout={CELL_TIMEOUT_S}"]
    return [sys.executable, "-m", "pytest", *options, *map(str, paths)]


def run_nbval(path: Path) -> subprocess.CompletedProcess[str]:
    """A pytest of its own, which knows neither this one's options nor its workers."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    environment |= PLAIN
    command = [*nbval_command(path), "-q", "--color=no"]
    return subprocess.run(
        command, cwd=path.parent, env=environment, capture_output=True, text=True, timeout=280, check=False
    )


def main(kind: str, *options: str) -> int:
    """Run every notebook of a kind that can run here, and name those that cannot.

    Args:
        kind: ``"with-vllm"`` or ``"without-vllm"``: vLLM wants a machine for itself, others can run two at a time.
        options: pytest's, as is the exit status.
    """
    wanted = {"with-vllm": True, "without-vllm": False}[kind]
    notebooks = [path for path in built_notebooks() if ("vllm" in needed_by(path)) == wanted]
    found = {path: what_is_missing(path) for path in notebooks}
    for path, missing in found.items():
        if missing:
            print(f"Left out: {path.name}. {missing}")
    status = 0
    if can_run := [path for path, missing in found.items() if not missing]:
        command = [*nbval_command(*can_run), *options]
        status = subprocess.run(command, cwd=NOTEBOOKS.parent, env={**os.environ, **PLAIN}, check=False).returncode
    return status or int(any(found.values()) and os.environ.get("COURSELIB_REQUIRE_VLLM") == "1")


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
