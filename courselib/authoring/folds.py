"""What a page hides until it is asked for: answers, and why an option of a question is right or wrong.

HTML's own fold, which JupyterLab, Colab, GitHub and a plain page all show, and which needs no script. How questions are
shown is in ``quizzes``.

    :::{answer}
    About three in four.
    :::

    :::{quiz} What decides how long the first token takes?
    - [ ] The length of the answer.
      Prefill knows nothing of the answer.
    - [x] The length of the prompt.
      All of its tokens go through the model first.
    :::
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Sequence

from courselib.authoring.blocks import Block
from courselib.i18n import _
from courselib.questions.questions import Option

FOLDS = ("answer", "quiz")
FEWEST_OPTIONS = 2
_OPTION = re.compile(r"^- \[(?P<mark>[ xX])\] +(?P<text>[^\n]+?) *(?:\n(?P<why>.*))?$", re.DOTALL)
_CODE = re.compile(r"`([^`]+)`")


def answer(title: str, body: Sequence[str], words: dict[str, str]) -> list[str]:
    """The lines of a folded answer.

    Args:
        title: another word for an answer.
        body: the blocks inside, badges already shown.
        words: ``answer`` in the page's language.
    """
    lines = _details(title or words["answer"], "\n".join(body).strip("\n"))
    # A block quote, as other boxes are: it keeps the fold apart from what follows.
    return [*(f"> {line}".rstrip() for line in "\n".join(lines[:-1]).split("\n")), ""]


def options(body: Sequence[str]) -> list[Option]:
    """The options among the blocks of a question, as they are written."""
    found = [_OPTION.match(text) for text in body]
    return [
        Option(each["text"], each["mark"] != " ", re.sub(r"[ \n]+", " ", each["why"] or "").strip())
        for each in found
        if each
    ]


def problems(name: str, title: str, blocks: Sequence[Block]) -> Iterator[str]:
    """What is wrong with one fold."""
    texts = [block.text for block in blocks if block.kind == "text"]
    if not texts:
        yield _("this fold is empty.")
    if name != "quiz":
        return
    if not title:
        yield _("a quiz has its question after its name: :::{quiz} What is a token?")
    found = options(texts)
    if len(found) != len(texts) or any(block.kind not in ("text", "blank") for block in blocks):
        yield _("a quiz holds only options: '- [ ] text' or '- [x] text', each with an explanation indented below it.")
    elif len(found) < FEWEST_OPTIONS or not any(option.is_right for option in found):
        yield _("a quiz has two options or more, and marks a right one with [x].")
    elif not all(option.why for option in found):
        yield _("every option of a quiz has an explanation in an indented line below it.")


def _details(summary: str, text: str) -> list[str]:
    # Inside a tag Markdown is not read: the code spans of a summary are written out.
    shown = _CODE.sub(r"<code>\1</code>", html.escape(summary, quote=False))
    return [f"<details><summary>{shown}</summary>", "", text, "", "</details>", ""]
