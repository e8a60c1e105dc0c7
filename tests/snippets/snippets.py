"""A piece of code as people write it, its verdict of today, and the running of it.

Imports nothing but the standard library: some snippets run in another environment, with the same functions.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
RUNS, FAILS = "runs as it was", "fails"


@dataclass(frozen=True)
class Snippet:
    """One piece of code; ``says`` is a pattern of what it prints or of the error it ends with; ``mended`` then runs."""

    name: str
    code: str
    verdict: str
    says: str
    mended: str = ""


def fill_in(code: str, places: Mapping[str, str]) -> str:
    """The code with its placeholders, such as ``{url}``, replaced."""
    for name, value in places.items():
        code = code.replace(name, value)
    return code


def outcome(code: str, names: dict[str, Any] | None = None) -> tuple[str, str]:
    """What the code printed, or the error it ended with; ``names`` are what it finds and leaves."""
    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed):
            exec(compile(code, "snippet", "exec"), {"__name__": "__main__"} if names is None else names)
    except Exception as error:
        return FAILS, f"{type(error).__name__}: {error}"
    return RUNS, printed.getvalue().strip()


def outcomes_elsewhere(
    python: str, pieces: list[str], *, environment: Mapping[str, str] | None = None, timeout_s: float = 60
) -> list[tuple[str, str]]:
    """The outcome of each piece, run one after the other in one process of another interpreter: ``session.py``."""
    done = subprocess.run(
        [python, "-m", "tests.snippets.session"],
        input=json.dumps(pieces),
        stdout=subprocess.PIPE,
        cwd=ROOT,
        env={**os.environ, **(environment or {})},
        text=True,
        timeout=timeout_s,
        check=True,
    )
    return [(verdict, text) for verdict, text in json.loads(done.stdout)]


def check(snippet: Snippet, run: Callable[[str], tuple[str, str]]) -> None:
    """Run a snippet and compare; what mends it must run."""
    verdict, text = run(snippet.code)
    assert verdict == snippet.verdict, text
    assert re.search(snippet.says, text, re.DOTALL), text
    if snippet.mended:
        verdict, text = run(snippet.mended)
        assert verdict == RUNS, text
