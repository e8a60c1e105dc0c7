"""The cell tags a lesson may use: this table is the whole list, and an unknown tag is an error."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Tag:
    """One tag.

    Args:
        meaning: what it does, for authors.
        notebook: the tags it becomes in the notebook, understood by Jupyter, nbval and nbgrader.
        runs: whether the cell is run when a notebook is built and tested; ``None`` asks the machine.
    """

    meaning: str
    notebook: tuple[str, ...]
    runs: bool | None = True


TAGS = {
    "golden": Tag("its output is compared when the tests run the notebook; it must not vary", ("nbval-check-output",)),
    "hide-input": Tag("its code is folded away: set-up and panels only, never what is taught", ("hide-input",)),
    "listing": Tag("a whole listing: up to 25 lines instead of 15", ("listing",)),
    "raises-exception": Tag("it is meant to fail", ("raises-exception",)),
    "no-execute": Tag("shown, never run", ("nbval-skip",), runs=False),
    "needs-gpu": Tag(
        "run only where there is an NVIDIA GPU; elsewhere it keeps its output", ("nbval-skip",), runs=None
    ),
    "needs-docker": Tag("run only where Docker runs; elsewhere it keeps its output", ("nbval-skip",), runs=None),
    "solution": Tag("an answer: not in the learner's copy", ("solution",)),
    "hidden-tests": Tag("tests for the grader: not in the learner's copy", ("hidden-tests",)),
}

# The generated cells carry them, the first code cell and that of the questions; authors cannot.
SETUP, QUIZ = "setup", "quiz"


def notebook_tags(tags: tuple[str, ...]) -> list[str]:
    """The notebook's tags for a lesson's.

    A tag that says more to people than to tools keeps its own name beside theirs, so that a notebook can be read back.
    """
    kept = {tag for tag in tags if TAGS[tag].runs is not True}
    return sorted(kept.union(*(TAGS[tag].notebook for tag in tags)))
