"""Running nbval on one notebook, as the suite runs it on all."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"


def built_notebooks() -> list[Path]:
    return sorted(NOTEBOOKS.glob("*/*.ipynb"))


def golden_cells(notebook) -> list:
    """The cells whose output nbval really compares: tagged, executed, and with something to compare."""
    return [
        cell
        for cell in notebook.cells
        if cell.cell_type == "code"
        and "nbval-check-output" in cell.metadata.get("tags", [])
        and cell.execution_count is not None
        and any(_text(output).strip() for output in cell.outputs)
    ]


def change_first_golden(notebook) -> None:
    """Make the first golden output say something that running the cell does not."""
    output = next(output for output in golden_cells(notebook)[0].outputs if _text(output).strip())
    if "text" in output:
        output.text += "something else"
    else:
        output.data["text/plain"] += "something else"


def _text(output) -> str:
    return output.get("text", "") + str(output.get("data", {}).get("text/plain", ""))


def run_nbval(path: Path) -> subprocess.CompletedProcess[str]:
    """A pytest of its own, which knows neither this one's options nor its workers."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    environment |= {"PLOTLY_RENDERER": "plotly_mimetype", "PYTHONHASHSEED": "0"}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--color=no"]
    command += ["--nbval-lax", "--nbval-cell-timeout=120", "--nbval-kernel-name=python3", str(path)]
    return subprocess.run(
        command, cwd=path.parent, env=environment, capture_output=True, text=True, timeout=280, check=False
    )
