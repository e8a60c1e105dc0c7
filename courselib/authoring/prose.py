"""MyST prose made plain: what JupyterLab, Colab and GitHub all show, from the few marks lessons may use.

None of the three knows MyST, so its directives become block quotes and its roles a word set small: plain Markdown,
which reads well in a light and a dark theme and is not touched by GitHub's sanitizer.

Badges say where a number comes from. The source or the conditions follow in angle brackets:

    {measured}`41 tokens/s <2 cores, Q4_1>`
    {quoted}`up to 24x <https://arxiv.org/abs/2309.06180>`
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from courselib.authoring import diagrams, folds
from courselib.authoring.blocks import Block, split
from courselib.i18n import _

Translate = Callable[[str], str]

BADGES = ("measured", "simulated", "quoted", "recorded")
ADMONITIONS = ("note", "tip", "warning", "predict")
HELD = (*folds.FOLDS, diagrams.NAME)  # shown only once all of it is known
DIRECTIVES = (*ADMONITIONS, *HELD)

# A role, or a code span, in which nothing is a role.
_ROLE = re.compile(r"\{(?P<role>[\w:-]+)\}`(?P<claim>[^`]*)`|(?P<ticks>`+)(?!`).+?(?<!`)(?P=ticks)(?!`)", re.DOTALL)
_SOURCE = re.compile(r"^(?P<claim>.*?)\s*<(?P<source>[^<>]+)>$", re.DOTALL)
_ADDRESS = re.compile(r"(?P<url>https?://\S+?)(?:,\s+(?P<more>.+))?", re.DOTALL)
_TARGET = re.compile(r"^\([\w-]+\)=\s*$", re.MULTILINE)


def badge_words(_: Translate) -> dict[str, str]:
    """The badges' words in the language of ``_``."""
    return {"measured": _("measured"), "simulated": _("simulated"), "quoted": _("quoted"), "recorded": _("recorded")}


def admonition_words(_: Translate) -> dict[str, str]:
    """The admonitions' titles in the language of ``_``."""
    return {"note": _("Note"), "tip": _("Tip"), "warning": _("Warning"), "predict": _("Predict first")}


def fold_words(_: Translate) -> dict[str, str]:
    """The words of folds in the language of ``_``."""
    return {"answer": _("Answer")}


def roles(text: str) -> Iterator[re.Match[str]]:
    """The roles in a block of text, code spans left out."""
    return (found for found in _ROLE.finditer(text) if found["role"])


def claim_and_source(text: str) -> tuple[str, str]:
    """A badge's text cut in two: the claim, and the source in angle brackets, empty where there is none."""
    found = _SOURCE.match(text)
    return (found["claim"], found["source"]) if found else (text, "")


def render(source: str, translate: Translate) -> str:
    """A markdown cell's text as plain Markdown.

    Args:
        source: MyST of the kind ``problems`` finds nothing wrong with, its questions cut out (``quizzes.cut``).
        translate: gives the badges' and admonitions' words.
    """
    lines: list[str] = []
    endings: list[str] = []
    quoted = False
    folded: tuple[Block, list[str]] | None = None
    for block in split(source):
        text = badged(block.text, translate) if block.kind == "text" else block.text
        if block.kind == "open" and block.name in HELD:
            folded = block, []
        elif folded and block.kind == "close":
            opening, body = folded
            if opening.name == diagrams.NAME:
                shown, ending = diagrams.picture(opening.title, body)
                lines.append(shown)
                endings.append(ending)
            else:
                lines += folds.answer(opening.title, body, fold_words(translate))
            folded = None
        elif folded:
            folded[1].append(text)
        elif block.kind == "open":
            quoted = True
            words = admonition_words(translate)[block.name]
            lines += [f"> **{words}: {block.title}**" if block.title else f"> **{words}**", ">"]
        elif block.kind == "close":
            quoted = False
        else:
            lines += [f"> {line}".rstrip() for line in text.split("\n")] if quoted else text.split("\n")
    return "\n".join([*lines, *(f"\n{ending}" for ending in endings)])


def badged(text: str, translate: Translate) -> str:
    """A block of text with its badges as Markdown."""
    return _ROLE.sub(lambda found: _badge(found, translate), text)


def _badge(found: re.Match[str], translate: Translate) -> str:
    if not found["role"]:
        return found[0]
    word = badge_words(translate)[found["role"]]
    claim, source = claim_and_source(found["claim"])
    if not source:
        return f"{claim}\u00a0<sup>{word}</sup>"
    return f"{claim}\u00a0<sup>{_cited(word, source)}</sup>"


def _cited(word: str, source: str) -> str:
    """A badge's word with its source: an address becomes the word's link, and what follows its comma stays text."""
    found = _ADDRESS.fullmatch(source)
    if not found:
        return f"{word}: {source}"
    return f"[{word}]({found['url']})" + (f", {found['more']}" if found["more"] else "")


def problems(source: str) -> Iterator[tuple[int, str]]:
    """What ``render`` could not show: the line in the cell, from 0, and what is wrong."""
    inside: Block | None = None
    held: list[Block] = []
    for block in split(source):
        if block.kind == "unclosed":
            yield block.offset, _("a fence is opened here and never closed.")
        elif block.kind == "open":
            if inside:
                yield block.offset, _("a directive inside a directive; close the first one before it.")
            elif block.name not in DIRECTIVES:
                text = _("unknown directive {name!r}; known are {known}.")
                yield block.offset, text.format(name=block.name, known=", ".join(DIRECTIVES))
            inside, held = block, []
        elif block.kind == "close":
            if inside and inside.name in folds.FOLDS:
                for text in folds.problems(inside.name, inside.title, held):
                    yield inside.offset, text
            if inside and inside.name == diagrams.NAME:
                for text in diagrams.problems(inside.title, held):
                    yield inside.offset, text
            inside = None
        else:
            held.append(block)
            if block.kind == "text":
                yield from _text_problems(block)


def _text_problems(block: Block) -> Iterator[tuple[int, str]]:
    for found in roles(block.text):
        offset = block.offset + block.text.count("\n", 0, found.start())
        if found["role"] not in BADGES:
            yield (
                offset,
                _("unknown role {name!r}; known are {known}.").format(name=found["role"], known=", ".join(BADGES)),
            )
        elif not found["claim"].strip() or found["claim"].lstrip().startswith("<"):
            yield offset, _("a badge wraps what it is about: {{{name}}}`41 tokens/s`.").format(name=found["role"])
        elif found["role"] == "quoted" and not _SOURCE.match(found["claim"]):
            yield (
                offset,
                _("what is quoted needs its source: {quoted}`24x <https://…>`.").replace("24x", found["claim"]),
            )
    for found in _TARGET.finditer(block.text):
        offset = block.offset + block.text.count("\n", 0, found.start())
        yield offset, _("link targets are not known to Jupyter; link to a heading instead.")
