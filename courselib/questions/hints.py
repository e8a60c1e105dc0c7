"""Hints to exercises, one after the other, and how many a learner has opened.

    lessons/exercises/210_softmax.md, its three folds
        --courselib build--> questions/hints/en.json    exercise -> texts; part of the package
    courselib.hint("softmax") --> the next text, and in .answers.json beside the notebook: {"softmax": {"hints": ["1"]}}

Notebooks that are read without a kernel have the folds; a learner's copies have a line about ``courselib.hint``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from courselib.errors import CourseError, SettingsError
from courselib.i18n import _, language
from courselib.questions import answers

FOLDER = Path(__file__).parent / "hints"
KEY = "hints"


class Hint:
    """One hint: Markdown in a notebook."""

    def __init__(self, number: int, of: int, text: str, remark: str = "") -> None:
        self.number, self.of, self.text, self.remark = number, of, text, remark

    def _repr_markdown_(self) -> str:
        title = _("Hint {n} of {all}").format(n=self.number, all=self.of)
        return "\n\n".join(part for part in (f"**{title}**", self.text, self.remark) if part)

    def __repr__(self) -> str:
        return self._repr_markdown_().replace("**", "")


def hint(name: str, *, folder: Path | None = None) -> Hint:
    """The next hint to an exercise; after the last one, the last one again.

    Args:
        name: the exercise's, as in its notebook.
        folder: where the number of opened hints is kept; ``None`` for the folder that the notebook runs in.

    Raises:
        SettingsError: there is no such exercise.
        CourseError: the number cannot be kept.
    """
    texts = read()
    if name not in texts:
        text = _("There are no hints for {name!r}; there are hints for: {names}.")
        raise SettingsError(text.format(name=name, names=", ".join(sorted(texts))))
    folder, all_of_them = folder or Path.cwd(), texts[name]
    kept, remark = answers.load(folder)
    number = min(opened(kept, name) + 1, len(all_of_them))
    answers.keep(folder, name, {KEY: [str(each + 1) for each in range(number)]})
    return Hint(number, len(all_of_them), all_of_them[number - 1], remark)


def read() -> dict[str, list[str]]:
    """All hints, by their exercises' names, in the language in use where they are translated."""
    own = FOLDER / f"{language()}.json"
    path = own if own.exists() else FOLDER / "en.json"
    return dict(json.loads(path.read_text(encoding="utf-8")))


def to_json(hints: Mapping[str, Sequence[str]]) -> str:
    """Hints as ``read`` finds them."""
    return json.dumps(hints, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def opened(kept: answers.Kept, name: str) -> int:
    """How many hints to an exercise were opened."""
    return len(kept.get(name, {}).get(KEY, ()))


def opened_here(name: str) -> int:
    """How many were opened, by the file beside the notebook; 0 where it cannot be read."""
    try:
        return opened(answers.load(Path.cwd())[0], name)
    except CourseError:
        return 0
