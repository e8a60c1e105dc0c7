"""A learner's answers: one small JSON file in the folder of their lessons.

    {"20_generation": {"How do you find out …?": ["Send it, and see …", "Send an extreme value …"]}}

What was chosen stands in order, the first try first. The file is read anew before each write, since other lessons may
be open; of two answers within the same few milliseconds, in two notebooks, the later one would be kept alone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from courselib.errors import CourseError
from courselib.files import aside, write_whole
from courselib.i18n import _

FILE = ".answers.json"
# In the name of a file that could not be read.
BROKEN = "broken"
Kept = dict[str, dict[str, list[str]]]


def load(folder: Path) -> tuple[Kept, str]:
    """All answers in a folder, and a sentence if their file was broken; it is then kept under another name.

    Args:
        folder: the learner's lessons are in it.

    Raises:
        CourseError: the file can be neither read nor renamed.
    """
    path = folder / FILE
    try:
        return _checked(json.loads(path.read_text(encoding="utf-8"))), ""
    except FileNotFoundError:
        return {}, ""
    except (ValueError, OSError) as error:
        return {}, _set_aside(path, error)


def keep(folder: Path, lesson: str, chosen: Mapping[str, Sequence[str]]) -> str:
    """Write a lesson's answers; those of other lessons, and to questions that are not named, stay as they are.

    Args:
        folder: the learner's lessons are in it.
        lesson: by the name of its notebook.
        chosen: for each question, the options chosen; none takes the question's answer away.

    Returns:
        The sentence of ``load``; empty if all was well.

    Raises:
        CourseError: the file cannot be written, or is broken and cannot be renamed: nothing is ever written over it.
    """
    kept, sentence = load(folder)
    merged = {**kept.get(lesson, {}), **{question: list(options) for question, options in chosen.items()}}
    kept[lesson] = {question: options for question, options in merged.items() if options}
    try:
        write_whole(folder / FILE, json.dumps(kept, indent=1, ensure_ascii=False, sort_keys=True) + "\n")
    except OSError as error:
        text = _("Your answer is not kept, because {file} cannot be written: {reason}.")
        raise CourseError(text.format(file=folder / FILE, reason=error.strerror or error)) from None
    return sentence


def _checked(found: Any) -> Kept:
    """What was read, if it is of the form that ``keep`` writes."""

    def is_texts(value: Any) -> bool:
        return isinstance(value, list) and all(isinstance(each, str) for each in value)

    if not isinstance(found, dict) or not all(isinstance(each, dict) for each in found.values()):
        raise ValueError(_("it is not a table of lessons"))
    if not all(is_texts(options) for each in found.values() for options in each.values()):
        raise ValueError(_("an answer is not a list of options"))
    return found


def _set_aside(path: Path, error: Exception) -> str:
    other = aside(path, BROKEN)
    try:
        path.rename(other)
    except OSError:
        text = _("Your answers in {file} cannot be read, and no answer is kept until this file is renamed: {reason}.")
        raise CourseError(text.format(file=path, reason=error)) from None
    text = _("Your answers could not be read from {file}. The file is kept as {other}.")
    return text.format(file=path.name, other=other.name)
