"""What runs a learner's code, inside the confinement. Run as a script: jobs by the line on stdin, answers on stdout.

First a job comes: the cells, the name of the function, limits, and how to reach outside. It is answered by
``{"ready": true}``, ``{"unfinished": true}`` or ``{"failed": words}``. Then lists of calls, each answered by a line for
each call that was made. Nothing here knows what is right, and the learner's code may say whatever it likes on these
lines: it can say no more than its function could return.
"""

from __future__ import annotations

import ast
import contextlib
import json
import os
import resource
import socket
import sys
import threading
import types
from dataclasses import asdict
from typing import Any

from courselib.calls import Outcome, outcomes

TURN = 65_536


def main() -> None:
    """Answer a job and its calls until there are no more."""
    lines, said = os.fdopen(os.dup(0), encoding="utf-8"), os.fdopen(os.dup(1), "w", encoding="utf-8")
    # What learners print goes nowhere: a print that fills a pipe would stop them.
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nothing, stream)

    def say(message: dict[str, Any]) -> None:
        said.write(json.dumps(message) + "\n")
        said.flush()

    job = json.loads(lines.readline())
    for name, limit in job["limits"].items():
        resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (limit, limit))
    if job["relay"]:
        _relay(**job["relay"])
    names, failed = _ran(job)
    function = names.get(job["function"])
    if failed is None and not callable(function):
        failed = {"failed": f"NameError: {job['function']}"}
    say(failed or {"ready": True})
    for line in lines:
        for outcome in _safely(function, json.loads(line)):
            say(_told(outcome))


def _ran(job: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """The names that the cells make, and how they failed, if they did."""
    module = types.ModuleType("__main__")
    sys.modules["__main__"] = module
    names = vars(module)
    try:
        import courselib

        names["courselib"] = courselib
        if job["engine"]:
            server = courselib.attach(**job["engine"])
            courselib.launch = lambda *_settings, **_more: server
        for cell in (*job["before"], *map(_definitions, job["own"]), job["answer"]):
            exec(compile(cell, "<cell>", "exec"), names)  # noqa: S102 - it is what this process is for
    except NotImplementedError:
        return names, {"unfinished": True}
    except BaseException as error:  # noqa: BLE001 - also SystemExit: whatever ends the answer is told
        return names, {"failed": f"{type(error).__name__}: {error}"}
    return names, None


def _definitions(cell: str) -> ast.Module:
    """What a cell defines and imports, without what it does; nothing where it is no Python."""
    try:
        statements = ast.parse(cell).body
    except SyntaxError:
        statements = []
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom, ast.Assign, ast.AnnAssign)
    return ast.Module([each for each in statements if isinstance(each, kinds)], [])


def _safely(function: Any, calls: list[list[Any]]) -> Any:
    try:
        yield from outcomes(function, calls)
    except BaseException as error:  # noqa: BLE001 - also SystemExit: whatever ends the call is told
        yield Outcome(error=f"{type(error).__name__}: {error}")


def _told(outcome: Outcome) -> dict[str, Any]:
    try:
        json.dumps(asdict(outcome))
    except (TypeError, ValueError, RecursionError):
        kind = type(outcome.value).__name__
        return asdict(Outcome(error=f"TypeError: the function returned a value that JSON cannot hold ({kind})"))
    return asdict(outcome)


def _relay(port: int, path: str) -> None:
    """Hand what comes to a port of this process's own loopback to the socket that leads outside."""
    inside = socket.create_server(("127.0.0.1", port))

    def serve() -> None:
        while True:
            here, _address = inside.accept()
            there = socket.socket(socket.AF_UNIX)
            there.connect(path)
            for source, target in ((here, there), (there, here)):
                threading.Thread(target=_pump, args=(source, target), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()


def _pump(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(TURN):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)


if __name__ == "__main__":
    main()
