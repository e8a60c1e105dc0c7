"""Cheat sheets, a page an engine: hand-written, with tables from the code in the places that name them.

The sources are in ``lessons/reference/``. A line of its own holds the name of a table:

    {settings: context parallel}    these settings, with defaults and the sentences of their docstrings
    {controls}                      every control, as the engine's chat endpoint takes it
    {errors}                        how the engine's start usually fails, and what to do
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import MISSING, dataclass, fields
from pathlib import Path

from courselib.authoring import english
from courselib.controls.catalogue import CONTROLS
from courselib.controls.route import LOST
from courselib.controls.routes import chat_route
from courselib.controls.table import wire_names
from courselib.engines.base import Engine
from courselib.engines.llamacpp.engine import LlamaCpp
from courselib.engines.settings_help import settings_help
from courselib.engines.tgi.engine import Tgi
from courselib.engines.vllm.engine import Vllm
from courselib.errors import LessonError
from courselib.i18n import _

FOLDER = "lessons/reference"
_MARK = re.compile(r"^\{(?P<name>\w+)(?:: (?P<rest>[^}]*))?\}$", re.MULTILINE)
_FLAG = re.compile(r" *\((?P<flag>(?:--|[A-Z_]{6,})[^()]*)\)(?=\.?$)")


@dataclass(frozen=True)
class Sheet:
    """One cheat sheet.

    Args:
        file: its name, in the sources and beside the lessons.
        engine: whose settings, controls and errors it shows.
        lesson: the lesson that links to it.
        title: of that link.
    """

    file: str
    engine: type[Engine]  # type: ignore[type-arg]
    lesson: str
    title: str


SHEETS = (
    Sheet("sheet_llamacpp.md", LlamaCpp, "10_llamacpp", "llama.cpp: cheat sheet"),
    Sheet("sheet_vllm.md", Vllm, "11_vllm", "vLLM: cheat sheet"),
    Sheet("sheet_tgi.md", Tgi, "12_tgi", "TGI: cheat sheet"),
)


def of_lesson(root: Path, lesson: str) -> tuple[str, str] | None:
    """The file and the title of a lesson's cheat sheet, if the project has one."""
    sheets = (sheet for sheet in SHEETS if sheet.lesson == lesson and (root / FOLDER / sheet.file).exists())
    return next(((sheet.file, sheet.title) for sheet in sheets), None)


def pages(root: Path) -> Iterator[tuple[Sheet, str]]:
    """Each sheet that the project has, with its page's text.

    Raises:
        LessonError: a source names a table or a setting that is not there, or its English is refused.
    """
    for sheet in SHEETS:
        path = root / FOLDER / sheet.file
        if path.exists():
            yield sheet, page(sheet, path.read_text(encoding="utf-8"))


def page(sheet: Sheet, source: str) -> str:
    """A sheet's page, from its source.

    Raises:
        LessonError: as ``pages`` does.
    """
    where = f"{FOLDER}/{sheet.file}"
    if wrong := [f"{where}:{line + 1}: {words}" for line, words in english.problems(source)]:
        raise LessonError("\n".join(wrong))

    def table(found: re.Match[str]) -> str:
        names = (found["rest"] or "").split()
        if found["name"] == "settings":
            return _settings(sheet, names)
        if found["name"] == "controls":
            return _controls(sheet)
        if found["name"] == "errors":
            return _errors(sheet)
        raise LessonError(_("{where}: there is no table {name!r}.").format(where=where, name=found["name"]))

    head = f"<!-- Written by `courselib build` from {where} and the code; do not edit. -->\n"
    return head + _MARK.sub(table, source)


def _settings(sheet: Sheet, names: Sequence[str]) -> str:
    helps = settings_help(sheet.engine.settings_type)
    defaults = {each.name: each.default for each in fields(sheet.engine.settings_type)}
    rows = []
    for name in names:
        if name not in defaults:
            text = _("{where}: {engine} has no setting {name!r}.")
            raise LessonError(text.format(where=f"{FOLDER}/{sheet.file}", engine=sheet.engine.name, name=name))
        flag = _FLAG.search(helps[name])
        sentence = _FLAG.sub("", helps[name]).rstrip(".")
        default = "" if defaults[name] in (None, MISSING) else f"`{defaults[name]}`"
        rows.append([f"`{name}`", f"`{flag['flag']}`" if flag else "", default, sentence])
    return _table(["setting", "flag", "course's default", "what it does"], rows)


def _controls(sheet: Sheet) -> str:
    route = chat_route(sheet.engine.name)
    rows = []
    for name in CONTROLS:
        spelling = route.table[name]
        honoured = "no" if spelling.verdict in LOST else "yes"
        words = spelling.verdict.value if spelling.verdict in LOST else ""
        if spelling.write and spelling.verdict not in LOST:
            words = " ".join(f"`{wire}`" for wire in wire_names(name, spelling))
        rows.append([f"`{name}`", honoured, "; ".join(filter(None, [words, spelling.words]))])
    return _table(["control", "honoured", f"on `{route.path}`: name, or why not"], rows)


def _errors(sheet: Sheet) -> str:
    rows = []
    for cause in sheet.engine.causes:
        # The values belong to one failure; a table shows that there is one.
        words = re.sub(r"\{\w+(?:!r)?\}", "…", cause.message)
        wrong, _semicolon, mending = words.partition("; ")
        rows.append([cause.error.__name__, wrong.rstrip("."), mending])
    return _table(["error", "what is wrong", "what to do"], rows)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    escaped = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *escaped))
