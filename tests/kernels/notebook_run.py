"""A notebook run in a kernel of another environment: how it ends, how long it takes, how much memory it needs."""

import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import jupyter_client
import nbformat
import psutil
from nbclient import NotebookClient
from nbclient.exceptions import CellControlSignal, CellExecutionError, DeadKernelError

from courselib.authoring.execution import CELL_TIMEOUT_S
from tests.notebooks.nbval import text_of

MIB = 1 << 20
PERIOD_S = 0.5


@dataclass(frozen=True)
class Run:
    """How a notebook ran.

    Args:
        name: the notebook's.
        failure: in a line, why it failed; empty if it did not.
        seconds: from the start of its kernel to the end of its last cell, or to the failure.
        first_server: seconds until the end of the first cell that launches a server, which answers before that;
            ``None`` if no cell does.
        peak: bytes of memory of this program's children, the highest that was seen.
        notebook: with its outputs.
    """

    name: str
    failure: str
    seconds: float
    first_server: float | None
    peak: int
    notebook: nbformat.NotebookNode


def run_notebook(notebook, name: str, kernel: list[str], folder: Path, environment: dict[str, str]) -> Run:
    """Run a notebook from its first cell to its last, or to one that fails.

    A golden output that is not there is a failure, as it is with nbval; what a first run prints besides, as of a
    download, is none. So is an error in a cell that is not meant to fail.

    Args:
        notebook: changed in place.
        name: what to call it.
        kernel: the command that starts Python.
        folder: where the kernel works.
        environment: the kernel's.
    """
    manager = jupyter_client.KernelManager()
    manager.kernel_spec.argv = [*kernel, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    committed = [text_of(cell.get("outputs", [])) for cell in notebook.cells]
    ended: list[tuple[float, nbformat.NotebookNode]] = []
    began = time.monotonic()
    client = NotebookClient(
        notebook,
        km=manager,
        timeout=CELL_TIMEOUT_S,
        skip_cells_with_tag="nbval-skip",
        store_widget_state=False,
        coalesce_streams=True,
        on_cell_executed=lambda cell, cell_index, execute_reply: ended.append((time.monotonic() - began, cell)),
        resources={"metadata": {"path": str(folder)}},
    )
    failure = ""
    with peak_memory() as peak:
        try:
            client.execute(env=environment)
        except CellExecutionError as error:
            failure = f"{error.ename}: {error.evalue}"
        except (CellControlSignal, DeadKernelError, RuntimeError) as error:
            failure = str(error)
        finally:
            seconds = time.monotonic() - began
            with suppress(RuntimeError):
                manager.shutdown_kernel(now=True)
    differs = [
        cell.source.splitlines()[0]
        for cell, before in zip(notebook.cells, committed, strict=True)
        if "nbval-check-output" in cell.metadata.get("tags", []) and before not in text_of(cell.outputs)
    ]
    if differs and not failure:
        failure = f"other golden output of the cell that begins with {differs[0]}"
    first = next((at for at, cell in ended if "courselib.launch(" in cell.source), None)
    return Run(name, " ".join(failure.split()), seconds, first, max(peak), notebook)


@contextmanager
def peak_memory():
    """A list of what this program's children needed, in bytes, read twice a second; what they share counts once."""
    seen, over = [0], threading.Event()

    def watch():
        while not over.wait(PERIOD_S):
            total = 0
            for process in psutil.Process().children(recursive=True):
                with suppress(psutil.Error):
                    total += process.memory_full_info().pss
            seen.append(total)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()
