"""A piece of code as people write it, its verdict of today, and the running of it.

Imports nothing but the standard library: vLLM's own snippets run in another environment, with the same functions.
"""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

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


def check(snippet: Snippet, run: Callable[[str], tuple[str, str]]) -> None:
    """Run a snippet and compare; what mends it must run."""
    verdict, text = run(snippet.code)
    assert verdict == snippet.verdict, text
    assert re.search(snippet.says, text, re.DOTALL), text
    if snippet.mended:
        verdict, text = run(snippet.mended)
        assert verdict == RUNS, text
