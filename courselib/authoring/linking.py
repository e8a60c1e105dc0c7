"""Links from a lesson's prose to the glossary: one a term, on its first use, put in when the notebook is built.

Left alone: code, headings, tables, links, HTML, badges, quotations, and what is folded away
(answers, questions, diagrams). A lesson can forbid links with a comment: ``<!-- no glossary: slot, batch -->`` for two
terms in the whole lesson, ``<!-- no glossary -->`` for the cell that it stands in.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from courselib.authoring.blocks import Block, split
from courselib.authoring.glossary import PAGE, Glossary
from courselib.authoring.prose import HELD
from courselib.authoring.source import Cell, Lesson

# Too many links annoy: the next use is linked where a paragraph has enough.
MAX_IN_BLOCK = 2
_FORBIDS = re.compile(r"<!--\s*no glossary(?::(?P<terms>[^>]*?))?\s*-->")
_LEFT_ALONE = re.compile(
    r"(?:\{[\w:-]+\})?(?P<ticks>`+)(?!`).+?(?<!`)(?P=ticks)(?!`)"  # code, and badges
    r"|<!--.*?-->|<[^<>\n]+>|!?\[[^\]]*\](?:\([^)]*\)|\[[^\]]*\])?|https?://\S+|\$[^$\n]+\$|[“\"][^”\"\n]*[”\"]",
    re.DOTALL,
)
_HEADING_OR_TABLE = re.compile(r"\s*(?:#{1,6}\s|\|)")


def link(lesson: Lesson, glossary: Glossary) -> Lesson:
    """The lesson, with each term linked to the glossary where it is first used."""
    elsewhere = {term.name for term in glossary.terms if term.everyday and term.lesson != lesson.name}
    linker = _Linker(glossary, elsewhere | _forbidden(lesson, glossary))
    return replace(lesson, cells=tuple(linker.cell(cell) for cell in lesson.cells))


def used(lesson: Lesson, glossary: Glossary) -> set[str]:
    """The names of all terms that a lesson's prose uses, linked or not."""
    prose = (cell.source for cell in lesson.cells if cell.kind == "markdown")
    return {glossary.find(found[0]).name for text in prose for found in glossary.pattern.finditer(text)}


def unknown(lesson: Lesson, glossary: Glossary) -> Iterator[tuple[Cell, str]]:
    """What a lesson forbids to link and the glossary does not have, with the cell that it stands in."""
    for cell, word in _forbids(lesson):
        if not glossary.pattern.fullmatch(word):
            yield cell, word


@dataclass
class _Linker:
    glossary: Glossary
    done: set[str]  # names of terms that are linked already, or must not be

    def cell(self, cell: Cell) -> Cell:
        if cell.kind != "markdown" or any(not found["terms"] for found in _FORBIDS.finditer(cell.source)):
            return cell
        return replace(cell, source="\n".join(self._blocks(split(cell.source))))

    def _blocks(self, blocks: Sequence[Block]) -> Iterator[str]:
        inside = ""
        for block in blocks:
            if block.kind in ("open", "close"):
                inside = block.name if block.kind == "open" else ""
            is_prose = block.kind == "text" and inside not in HELD and not _HEADING_OR_TABLE.match(block.text)
            if block.kind != "unclosed":
                yield self._text(block.text) if is_prose else block.text

    def _text(self, text: str) -> str:
        kept = [(found.start(), found.end()) for found in _LEFT_ALONE.finditer(text)]
        pieces, at, links = [], 0, 0
        for found in self.glossary.pattern.finditer(text):
            term = self.glossary.find(found[0])
            is_kept = any(start < found.end() and found.start() < end for start, end in kept)
            if links < MAX_IN_BLOCK and not is_kept and term.name not in self.done:
                self.done.add(term.name)
                links += 1
                pieces += [text[at : found.start()], f"[{found[0]}]({PAGE}#{term.anchor})"]
                at = found.end()
        return "".join([*pieces, text[at:]])


def _forbids(lesson: Lesson) -> Iterator[tuple[Cell, str]]:
    for cell in lesson.cells:
        if cell.kind == "markdown":
            for found in _FORBIDS.finditer(cell.source):
                yield from ((cell, word.strip()) for word in (found["terms"] or "").split(",") if word.strip())


def _forbidden(lesson: Lesson, glossary: Glossary) -> set[str]:
    words = (word for _cell, word in _forbids(lesson))
    return {glossary.find(word).name for word in words if glossary.pattern.fullmatch(word)}
