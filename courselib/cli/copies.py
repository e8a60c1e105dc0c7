"""A learner's own copies of the lessons, without outputs: what a learner writes stays theirs.

The course's notebooks keep their outputs, for pages that run nothing; a learner who is asked to predict a result must
not have it below the question. So ``courselib lab`` opens copies, in a folder of their own. A copy that nobody has
touched follows the course. One that was run or changed is never overwritten: when its lesson changes, it is kept beside
the new one under another name.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from courselib.errors import CourseError
from courselib.files import aside, write_whole
from courselib.i18n import _
from courselib.ipynb import without_outputs

FOLDER = "my-course"
# What was given, by file: how a copy is known to be untouched.
RECORD = ".given.json"
# In the name of a copy that is kept beside a new one.
MINE = "mine"
EXERCISES = "exercises"
# The course has a folder for each language, a learner's folder has the exercises below the lessons.
_LINKS = {"](../../exercises/en/": f"]({EXERCISES}/", "](../../notebooks/en/": "](../"}


def update(course: Path, folder: Path) -> list[str]:
    """Bring a learner's copies up to date.

    Args:
        course: the folder with the course's notebooks.
        folder: the learner's, made if it is not there.

    Returns:
        A sentence for each copy that was kept under another name.

    Raises:
        CourseError: the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return list(_update(course, folder))
    except OSError as error:
        text = _("Your copies of the lessons cannot be written to {folder}: {reason}.")
        raise CourseError(text.format(folder=folder, reason=error.strerror)) from None


def _update(course: Path, folder: Path) -> Iterator[str]:
    given = _given(folder)
    lessons = {path.name: _linked(without_outputs(_read(path))) for path in sorted(course.glob("*.ipynb"))}
    for name, lesson in lessons.items():
        mine, fresh = folder / name, _fingerprint(lesson)
        if mine.exists() and given.get(name) == fresh:
            continue
        if mine.exists() and _is_touched(mine, given.get(name)):
            kept = aside(mine, MINE)
            mine.rename(kept)
            text = _("{name} has changed. Your copy with your work is kept as {kept}.")
            yield text.format(name=name, kept=kept.name)
        # Whole: a copy that is cut off would be taken for a learner's change.
        write_whole(mine, json.dumps(lesson, indent=1, ensure_ascii=False, sort_keys=True) + "\n")
        given[name] = fresh
    for name in given.keys() - lessons.keys():
        if not _is_touched(folder / name, given.pop(name)):  # a lesson that is no more, and that nobody worked in
            (folder / name).unlink(missing_ok=True)
    write_whole(folder / RECORD, json.dumps(given, indent=1, sort_keys=True))
    for page in sorted(course.glob("*.md")):  # the glossary and the cheat sheets, to be read and not worked in
        write_whole(folder / page.name, page.read_text(encoding="utf-8"))


def reset(course: Path, folder: Path, name: str) -> str:
    """Give one copy anew; what a learner wrote in it is kept under another name.

    Args:
        course: the folder with the course's notebooks.
        folder: the learner's, made if it is not there.
        name: the notebook's, with or without ``.ipynb``.

    Returns:
        A sentence: which copy is new, and where the old one is.

    Raises:
        CourseError: there is no such notebook, or the folder cannot be written.
    """
    file = f"{name.removesuffix('.ipynb')}.ipynb"
    there = sorted(path.name for path in course.glob("*.ipynb"))
    if file not in there:
        names = ", ".join(each.removesuffix(".ipynb") for each in there) or "-"
        raise CourseError(_("There is no {name!r}; there are: {names}.").format(name=name, names=names))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        given, mine = _given(folder), folder / file
        fresh, kept = _linked(without_outputs(_read(course / file))), None
        if mine.exists() and _is_touched(mine, given.get(file)):
            kept = aside(mine, MINE)
            mine.rename(kept)
        write_whole(mine, json.dumps(fresh, indent=1, ensure_ascii=False, sort_keys=True) + "\n")
        write_whole(folder / RECORD, json.dumps(given | {file: _fingerprint(fresh)}, indent=1, sort_keys=True))
    except OSError as error:
        text = _("Your copies of the lessons cannot be written to {folder}: {reason}.")
        raise CourseError(text.format(folder=folder, reason=error.strerror)) from None
    if kept is None:
        return _("{name} is as it was given; you had written nothing in it.").format(name=file)
    return _("{name} is new. Your copy with your work is kept as {kept}.").format(name=file, kept=kept.name)


def _linked(notebook: dict[str, Any]) -> dict[str, Any]:
    """The notebook with links that lead to the learner's other copies; changed in place."""
    for cell in notebook["cells"]:
        if cell["cell_type"] == "markdown":
            for course, mine in _LINKS.items():
                source = cell["source"]
                is_text = isinstance(source, str)
                cell["source"] = (
                    source.replace(course, mine) if is_text else [line.replace(course, mine) for line in source]
                )
    return notebook


def _is_touched(path: Path, given: str | None) -> bool:
    """Whether a copy was run or changed since it was given; also true of what cannot be read."""
    try:
        notebook = _read(path)
        ran = any(cell.get("outputs") or cell.get("execution_count") for cell in notebook["cells"])
        return ran or _fingerprint(notebook) != given
    except FileNotFoundError:
        return False
    except (ValueError, KeyError, TypeError):
        return True


def _fingerprint(notebook: dict[str, Any]) -> str:
    """Of what is written in the cells; JupyterLab changes metadata by itself."""
    cells = [[cell["cell_type"], "".join(cell["source"])] for cell in notebook["cells"]]
    return hashlib.sha256(json.dumps(cells).encode()).hexdigest()


def _given(folder: Path) -> dict[str, str]:
    try:
        return dict(json.loads((folder / RECORD).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return {}


def _read(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text(encoding="utf-8")))
