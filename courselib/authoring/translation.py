"""A lesson in another language: gettext on the paragraphs of its prose.

What has no translation, or only a fuzzy one, stays English. Code cells and fenced code are never touched, so code
cannot drift between languages.
"""

from __future__ import annotations

import gettext
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.pofile import PoFileError, read_po

from courselib import i18n
from courselib.authoring.blocks import split
from courselib.authoring.prose import Translate
from courselib.authoring.source import Cell, Lesson
from courselib.errors import LessonError

_ = i18n._


def panel_words(language: str) -> Translate:
    """The translations of the pipeline's own words, which lie with those of the panels."""
    return gettext.translation("courselib", Path(i18n.__file__).parent / "locale", [language], fallback=True).gettext


def read_translations(root: Path, lesson: Lesson, language: str) -> Catalog:
    """A lesson's translations, ``locale/LANGUAGE/LESSON.po``; none when the file is not there.

    Raises:
        LessonError: the file is not a gettext catalogue.
    """
    path = root / "locale" / language / f"{lesson.name}.po"
    if not path.exists():
        return Catalog()
    try:
        with path.open("rb") as file:
            return read_po(file, abort_invalid=True)
    except (PoFileError, ValueError) as error:
        raise LessonError(f"{path.relative_to(root).as_posix()}: {error}") from error


def template(lesson: Lesson) -> Catalog:
    """What there is to translate in a lesson, for babel's ``write_po``."""
    catalog = Catalog(charset="utf-8")
    for cell in lesson.cells:
        for text, offset in _paragraphs(cell):
            catalog.add(text, locations=[(lesson.path, cell.line + offset)])
    return catalog


def translated(lesson: Lesson, catalog: Catalog) -> Lesson:
    """The lesson with its prose in the catalogue's language."""
    cells = tuple(replace(cell, source=_cell_text(cell, catalog)) for cell in lesson.cells)
    return replace(lesson, cells=cells)


def _paragraphs(cell: Cell) -> Iterator[tuple[str, int]]:
    if cell.kind == "markdown":
        for block in split(cell.source):
            if block.kind == "text":
                yield block.text, block.offset
            elif block.kind == "open" and block.title:
                yield block.title, block.offset


def _cell_text(cell: Cell, catalog: Catalog) -> str:
    if cell.kind != "markdown":
        return cell.source
    lines = []
    for block in split(cell.source):
        if block.kind == "text":
            lines.append(_look_up(catalog, block.text))
        elif block.kind == "open" and block.title:
            lines.append(block.text.replace(block.title, _look_up(catalog, block.title)))
        else:
            lines.append(block.text)
    return "\n".join(lines)


def _look_up(catalog: Catalog, text: str) -> str:
    message = catalog.get(text)
    if message is None or message.fuzzy or not isinstance(message.string, str):
        return text
    return message.string or text
