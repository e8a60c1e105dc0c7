"""The questions at a lesson's end: cut out of its text, made the package's own, and shown by a cell of one line.

The cell's output is no run's: it is the questions as folded HTML, which the panel leaves in a saved notebook as well.
So a changed question is changed prose, and runs nothing. A kernel that has no widgets gets the folds as prose.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from markdown_it import MarkdownIt
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_output

from courselib.authoring import folds
from courselib.authoring.blocks import Block, split
from courselib.authoring.problem import Problem
from courselib.authoring.prose import Translate, badged, render
from courselib.authoring.source import DEFAULT_KERNEL, Cell, Lesson
from courselib.authoring.tags import QUIZ
from courselib.i18n import _
from courselib.questions.questions import Option, Question, folded, plain

HEADING = "## Check yourself"
# A learner who sees that the longest option is mostly the right one no longer reads.
MAX_LONGEST = 2
_MARKDOWN = MarkdownIt("commonmark")


def of_lesson(lesson: Lesson, words: Translate) -> tuple[Question, ...]:
    """A lesson's questions, in its order."""
    return tuple(question for cell in lesson.cells for question in cut(cell, words)[1])


def cut(cell: Cell, words: Translate) -> tuple[str, list[Question], str]:
    """A cell's text before its questions, the questions, and the text after them."""
    before: list[str] = []
    after: list[str] = []
    found: list[Question] = []
    opening: Block | None = None
    body: list[str] = []
    for block in split(cell.source) if cell.kind == "markdown" else ():
        if block.kind == "open" and block.name == "quiz":
            opening, body = block, []
        elif opening and block.kind == "close":
            found.append(_question(opening.title, body, words))
            opening = None
        elif opening:
            body.append(badged(block.text, words))
        else:
            (after if found else before).append(block.text)
    return "\n".join(before).strip("\n"), found, "\n".join(after).strip("\n")


def cells(cell: Cell, lesson: Lesson, words: Translate) -> list[NotebookNode]:
    """A cell that holds questions as the notebook's cells; empty where it holds none."""
    before, found, after = cut(cell, words)
    if not found:
        return []
    shown = folded(found, words)
    if lesson.kernel != DEFAULT_KERNEL:
        return [new_markdown_cell("\n\n".join([render(before, words), shown, render(after, words)]))]
    text = words("Run the cell, then choose an option: its explanation appears below it. Your answers are kept in ")
    text += words("`.answers.json`, in the folder of your lessons.")
    source = f"import courselib\n\ncourselib.Quiz({lesson.name!r})".replace("'", '"')
    data = {"text/plain": f"Quiz({lesson.name!r})", "text/html": shown}
    made = [
        new_markdown_cell("\n\n".join(filter(None, [render(before, words), text]))),
        new_code_cell(source, metadata={"tags": [QUIZ]}, outputs=[new_output("display_data", data=data)]),
    ]
    return [*made, new_markdown_cell(render(after, words))] if after else made


def is_quiz(cell: NotebookNode) -> bool:
    """Whether a notebook's cell is the one that shows the questions."""
    return QUIZ in cell.metadata.get("tags", ())


def problems(lesson: Lesson) -> Iterator[Problem]:
    """Questions that are not all together below their heading, and right options that their length gives away."""
    with_questions = [cell for cell in lesson.cells if cut(cell, str)[1]]
    for cell in with_questions:
        outside = [block for block in _outside(cell) if block.kind != "blank"]
        at = [number for number, block in enumerate(outside) if block.name == "quiz"]
        before = outside[at[0] - 1].text if at[0] else ""
        if cell != with_questions[0] or at[-1] - at[0] + 1 != len(at) or before != HEADING:
            text = _("a lesson's questions stand together, directly below '{heading}'.")
            yield lesson.problem(text.format(heading=HEADING), cell, outside[at[0]].offset)
    longest = [question for question in of_lesson(lesson, str) if is_right_the_longest(question)]
    if len(longest) > MAX_LONGEST:
        text = _("the right option is the longest one in {n} questions, and may be in {most}; one of them: {question}")
        words = text.format(n=len(longest), most=MAX_LONGEST, question=longest[-1].key)
        yield lesson.problem(words, with_questions[0])


def is_right_the_longest(question: Question) -> bool:
    """Whether a right option has more letters than every wrong one."""
    lengths = [(len(plain(option.text)), option.is_right) for option in question.options]
    wrong = [length for length, is_right in lengths if not is_right]
    return bool(wrong) and max(lengths)[0] > max(wrong)


def _outside(cell: Cell) -> Iterator[Block]:
    """A cell's blocks, those inside directives left out; a directive is its first line."""
    inside = False
    for block in split(cell.source):
        if block.kind == "close":
            inside = False
        elif not inside:
            yield block
        inside = inside or block.kind == "open"


def _question(title: str, body: Sequence[str], words: Translate) -> Question:
    options = (Option(_html(each.text), each.is_right, _html(each.why)) for each in folds.options(body))
    return Question(_html(badged(title, words)), tuple(options))


def _html(text: str) -> str:
    return str(_MARKDOWN.renderInline(text))
