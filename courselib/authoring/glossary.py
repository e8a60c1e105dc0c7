"""The course's terms: read from one hand-written source, checked, and written as a page beside the lessons.

The source is ``lessons/reference/glossary.md``, a heading a term. That form can be compared line by line in a review,
needs no extension of Markdown, and gives each term an anchor wherever the page is shown:

    ## KV cache
    The keys and values that attention keeps for every token. They grow with the context.
    - lesson: 32_kv_cache
    - engines: llama.cpp `--ctx-size`; vLLM `kv_cache_memory`
    - also: K/V cache
    - only: …

``also`` adds wordings that are linked; ``only`` replaces the term by other wordings, where the term alone is too common
a word. The two are separated by commas. ``everyday: yes`` marks a word that stands in every paragraph of the course, or
that means something else in other lessons (a loop in a program): it is linked in the lesson that teaches it, and
nowhere else.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from courselib.authoring import english
from courselib.errors import LessonError
from courselib.i18n import _

SOURCE = "lessons/reference/glossary.md"
PAGE = "glossary.md"
MAX_SENTENCES = 2
_FIELD = re.compile(r"^- (?P<name>\w+): (?P<value>.+)$")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9 .-]*")
_SENTENCE_END = re.compile(r"[.!?](?=\s+[A-Z`]|\s*$)")
FIELDS = ("lesson", "engines", "also", "only", "everyday")


@dataclass(frozen=True)
class Term:
    """One term of the course.

    Args:
        name: as the page's heading has it.
        definition: two sentences at most.
        lesson: the file's stem of the lesson that teaches it.
        engines: what engines call it; empty where all say the same.
        also: other wordings that are linked to it.
        only: the only wordings that are linked; empty where the name itself is.
        everyday: linked only in the lesson that teaches it.
        line: its heading's line in the source, from 1.
    """

    name: str
    definition: str
    lesson: str
    engines: str
    also: tuple[str, ...]
    only: tuple[str, ...]
    everyday: bool
    line: int

    @property
    def anchor(self) -> str:
        """What follows ``#``: as JupyterLab makes it from the heading; the page writes it down for GitHub."""
        return self.name.replace(" ", "-")

    @property
    def wordings(self) -> tuple[str, ...]:
        """What a link may stand on, plurals and capitals left out."""
        return self.only or (self.name, *self.also)


@dataclass(frozen=True)
class Glossary:
    """All terms, by wording."""

    terms: tuple[Term, ...] = ()

    @cached_property
    def by_key(self) -> dict[str, Term]:
        """Each term by its wordings' keys, plurals included."""
        return {key: term for term in self.terms for wording in term.wordings for key in _keys(wording)}

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """Finds all wordings, the longest first: "stop sequence" is not "sequence"."""
        longest_first = sorted(self.by_key, key=lambda key: (-len(key), key))
        words = "|".join(r"\s+".join(map(re.escape, key.split())) for key in longest_first)
        return re.compile(rf"(?<![\w/.`-])(?:{words})(?![\w/-]|\.\w)" if words else r"(?!)", re.IGNORECASE)

    def find(self, words: str) -> Term:
        """The term of a wording that ``pattern`` has found."""
        return self.by_key[" ".join(words.lower().split())]


EMPTY = Glossary()


def read(root: Path) -> Glossary:
    """Read the glossary of a project; an empty one where there is none.

    Raises:
        LessonError: it is not as it must be; all that is wrong is in the message.
    """
    path = root / SOURCE
    if not path.exists():
        return Glossary()
    text = path.read_text(encoding="utf-8")
    terms = list(_terms(text))
    lessons = {file.stem for file in (root / "lessons").glob("*.md")}
    if found := [*_english_problems(text), *_problems(terms, lessons)]:
        raise LessonError("\n".join(f"{SOURCE}:{line}: {words}" for line, words in sorted(found)))
    return Glossary(tuple(sorted(terms, key=lambda term: term.name.lower())))


def unused(glossary: Glossary, used: Mapping[str, set[str]]) -> Iterator[str]:
    """A sentence for each term that no lesson uses, or not the lesson that is said to teach it.

    Args:
        glossary: all terms.
        used: the names of the terms that each lesson uses, by its file's stem.
    """
    names = set[str]().union(*used.values())
    for term in glossary.terms:
        if term.name not in names:
            text = _("no lesson uses {term!r}; remove the entry, or name the wording that lessons use.")
        elif term.name not in used[term.lesson]:
            text = _("{term!r} is not in the text of {lesson}; name a lesson that uses it.")
        else:
            continue
        yield f"{SOURCE}:{term.line}: {text.format(term=term.name, lesson=term.lesson)}"


def page(glossary: Glossary, titles: Mapping[str, str]) -> str:
    """The page that learners open, as Markdown.

    Args:
        glossary: all terms.
        titles: the lessons' titles with their numbers, by file's stem.
    """
    lines = [f"<!-- Written by `courselib build` from {SOURCE}; do not edit. -->", "# Glossary", ""]
    lines += ["Every term of the course, with the lesson that teaches it and the names that engines use for it.", ""]
    for letter in sorted({term.name[0].upper() for term in glossary.terms}):
        names = [f"[{term.name}](#{term.anchor})" for term in glossary.terms if term.name[0].upper() == letter]
        lines.append(f"- **{letter}** {' · '.join(names)}")
    for term in glossary.terms:
        where = f"Lesson: [{titles[term.lesson]}]({term.lesson}.ipynb)"
        engines = f" · In engines: {term.engines}" if term.engines else ""
        # JupyterLab makes the anchor from the heading; GitHub would make another one, in small letters.
        lines += ["", f'<a id="{term.anchor}"></a>', "", f"## {term.name}", "", term.definition, "", where + engines]
    return "\n".join(lines) + "\n"


def _terms(text: str) -> Iterator[Term]:
    at = 1
    for part in re.split(r"(?m)^(?=## )", text):
        head, *body = part.rstrip("\n").split("\n")
        if head.startswith("## "):
            found = [_FIELD.match(line) for line in body]
            fields = {each["name"]: each["value"].strip() for each in found if each}
            words = " ".join(line.strip() for line, each in zip(body, found, strict=True) if not each).strip()
            also, only = (
                tuple(word.strip() for word in fields.get(name, "").split(",") if word.strip())
                for name in ("also", "only")
            )
            for name in fields:
                if name not in FIELDS:
                    wrong = _("unknown field {name!r}; known are {known}.").format(name=name, known=", ".join(FIELDS))
                    raise LessonError(f"{SOURCE}:{at}: {wrong}")
            lesson, engines, everyday = (fields.get(name, "") for name in ("lesson", "engines", "everyday"))
            yield Term(head[3:].strip(), words, lesson, engines, also, only, everyday == "yes", at)
        at += part.count("\n")


def _english_problems(text: str) -> Iterator[tuple[int, str]]:
    return ((line + 1, words) for line, words in english.problems(text))


def _problems(terms: list[Term], lessons: set[str]) -> Iterator[tuple[int, str]]:
    seen: dict[str, Term] = {}
    for term in terms:
        if not _NAME.fullmatch(term.name):
            yield term.line, _("{term!r}: a term is letters, digits, spaces, dots and hyphens.").format(term=term.name)
        if not 1 <= len(_SENTENCE_END.findall(term.definition)) <= MAX_SENTENCES:
            text = _("{term!r}: a definition is one sentence or two.")
            yield term.line, text.format(term=term.name)
        if term.lesson not in lessons:
            text = _("{term!r}: there is no lesson {lesson!r}.")
            yield term.line, text.format(term=term.name, lesson=term.lesson)
        for wording in {_key(word) for word in (term.name, *term.wordings)}:
            if wording in seen:
                text = _("{word!r} is here twice; it belongs to {term!r} already.")
                yield term.line, text.format(word=wording, term=seen[wording].name)
            seen[wording] = term


def _key(wording: str) -> str:
    return " ".join(wording.lower().split())


def _keys(wording: str) -> Iterator[str]:
    key = _key(wording)
    yield key
    if re.search(r"[^aeiou]y$", key):
        yield f"{key[:-1]}ies"
    elif re.search(r"(?:s|x|ch|sh)$", key):
        yield f"{key}es"
    else:
        yield f"{key}s"
