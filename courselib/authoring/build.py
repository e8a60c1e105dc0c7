"""``courselib build``: lessons to notebooks.

A notebook is a function of its lesson's text, outputs excepted: measured numbers differ from run to run. So a notebook
remembers the hash of the code that its outputs came from, and is run again only when that code has changed. Building
twice gives the same bytes.
"""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from courselib.authoring import cheats, exercise_cells, figures, glossary, linking, outputs, timing
from courselib.authoring.execution import execute as run
from courselib.authoring.frame import ALONE, Neighbours
from courselib.authoring.glossary import EMPTY, Glossary
from courselib.authoring.lint import lint
from courselib.authoring.notebook import Built, assemble, to_text
from courselib.authoring.problem import Problem, refuse
from courselib.authoring.project import Project, read_project
from courselib.authoring.source import EXERCISES, Lesson, lesson_title, read_lesson
from courselib.authoring.translation import panel_words, read_translations, translated
from courselib.authoring.variants import Variant, vary
from courselib.controls import table
from courselib.errors import LessonError
from courselib.i18n import _
from courselib.ipynb import without_outputs
from courselib.memory import claims
from courselib.questions.questions import to_json

MAX_DIFF_LINES = 20
QUESTIONS = "courselib/questions"
FOLDERS = {"lesson": "notebooks", "exercise": "exercises", "solution": "solutions"}


@dataclass
class Report:
    """What was built and what is wrong.

    Args:
        lines: one for each lesson that is well.
        problems: what to mend, each with its lesson.
    """

    lines: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems

    def __str__(self) -> str:
        return "\n".join([*self.lines, *self.problems])


def build(
    root: Path,
    names: list[str] | None = None,
    *,
    check: bool = False,
    execute: bool | None = None,
    language: str = "en",
) -> Report:
    """Build notebooks from lessons.

    Args:
        root: the project's folder, with ``lessons/`` and ``notebooks/``.
        names: which lessons, by file name with or without ``.md``; ``None`` for all.
        check: write and run nothing; a notebook that is not what its lesson gives is a problem. Outputs are not
            compared, the tests run the notebooks for that.
        execute: run all (``True``), none (``False``), or those whose code has changed (``None``).
        language: ``"en"``, or one that has translations in ``locale/``.

    Returns:
        What was done; lessons do not stop each other.

    Raises:
        LessonError: the project or a named lesson is not there.
    """
    terms = glossary.read(root)
    builder = _Builder(root.resolve(), read_project(root), language, check, execute, terms)
    report = Report()
    for path in _sources(root.resolve(), names):
        for variant in _variants(path):
            try:
                report.lines.append(f"{path.stem}: {builder.one(path, variant)}")
            except LessonError as error:
                report.problems.append(error.message)
    if names is None:
        report.problems += builder.orphans()
        report.problems += builder.pages()
        report.problems += _page(root, table.PAGE, table.page(), "courselib/controls", check)
        report.problems += _page(root, claims.PAGE, claims.page(), "courselib/memory/claims.py", check)
    return report


def render(
    root: Path,
    lesson: Lesson,
    project: Project,
    *,
    path: str,
    language: str = "en",
    variant: Variant = "lesson",
    neighbours: Neighbours = ALONE,
    terms: Glossary = EMPTY,
) -> Built:
    """A lesson's notebook in one variant and one language, without outputs.

    Args:
        root: the project's folder, where translations are.
        lesson: as read.
        project: where links point to.
        path: the notebook's place from the project's root.
        language: ``"en"``, or one that has translations.
        variant: the lesson as written, the learner's copy of an exercise, or its solution.
        neighbours: the lessons before and after it.
        terms: those that are linked; in English only.

    Raises:
        LessonError: an answer is not marked as it must be, or the translations cannot be read.
    """
    varied = vary(lesson, variant)
    spoken = (
        translated(varied, read_translations(root, lesson, language))
        if language != "en"
        else linking.link(varied, terms)
    )
    words = panel_words(language)
    return assemble(spoken, project, path, language=language, variant=variant, words=words, neighbours=neighbours)


def _page(root: Path, name: str, fresh: str, source: str, check: bool) -> list[str]:
    """Write a page that is rendered from a table, or say that it is not what the table gives."""
    path = root / name
    if not path.parent.is_dir() or (path.exists() and path.read_text(encoding="utf-8") == fresh):
        return []
    if check:
        return [_("{page}: not what {source} gives; run: courselib build").format(page=name, source=source)]
    path.write_text(fresh, encoding="utf-8", newline="\n")
    return []


def _variants(path: Path) -> tuple[Variant, ...]:
    return ("exercise", "solution") if path.parent.name == "exercises" else ("lesson",)


def _sources(root: Path, names: list[str] | None) -> list[Path]:
    """The lessons, then the exercises; all of them, or those named."""
    lessons = sorted((root / "lessons").glob("*.md"))
    files = {path.stem: path for path in [*lessons, *sorted((root / EXERCISES).glob("*.md"))]}
    if names is None:
        return list(files.values())
    wanted = [Path(name).stem if name.endswith(".md") else name for name in names]
    for name in wanted:
        if name not in files:
            raise LessonError(
                _("There is no lesson {name!r}; there are: {names}.").format(name=name, names=", ".join(files) or "-")
            )
    return [files[name] for name in wanted]


@dataclass(frozen=True)
class _Builder:
    root: Path
    project: Project
    language: str
    check: bool
    execute: bool | None
    terms: Glossary

    def one(self, path: Path, variant: Variant = "lesson") -> str:
        """Build or check one notebook of a lesson or an exercise; says what was done."""
        lesson = read_lesson(self.root, path)
        if lesson.exercise:
            lesson = exercise_cells.graded(lesson)
            refuse(exercise_cells.lint(lesson))
        else:
            refuse([*lint(lesson), *figures.recorded_problems(self.root, lesson), *self._unknown_terms(lesson)])
        target = self._target(lesson.name, variant)
        old = _read_notebook(target)
        built = render(
            self.root,
            lesson,
            self.project,
            path=target.relative_to(self.root).as_posix(),
            language=self.language,
            variant=variant,
            neighbours=ALONE if lesson.exercise else self._neighbours(path),
            # The glossary lies beside the lessons; exercises do not link to it.
            terms=EMPTY if lesson.exercise else self.terms,
        )
        if variant == "exercise":
            # Never run, so it has no outputs to take over: the bytes are all of it.
            return self._write_or_compare(built, target, old)
        done = self._compare(built, target, old) if self.check else self._write(built, lesson, target, old)
        if variant == "lesson" and (wrong := self._questions(built, lesson)):
            raise LessonError("\n".join(wrong))
        # Written first: what was run must not be lost for a word of the prose.
        refuse([*timing.problems(lesson, built), *figures.measured_problems(lesson, built)])
        return done

    def _questions(self, built: Built, lesson: Lesson) -> list[str]:
        """Write or check what the package knows of a lesson's questions; says what is wrong."""
        if not built.questions:
            return []
        page = f"{QUESTIONS}/{self.language}/{lesson.name}.json"
        return _page(self.root, page, to_json(built.questions), lesson.path, self.check)

    def _neighbours(self, path: Path) -> Neighbours:
        files = sorted((self.root / "lessons").glob("*.md"))
        at = files.index(path)
        before = files[at - 1] if at else None
        after = files[at + 1] if at + 1 < len(files) else None
        return Neighbours(
            (before.stem, lesson_title(before)) if before else None,
            (after.stem, lesson_title(after)) if after else None,
            sheet=cheats.of_lesson(self.root, path.stem),
            exercises=exercise_cells.of_lesson(self.root, path.stem),
        )

    def orphans(self) -> list[str]:
        """Notebooks that no lesson and no exercise gives."""
        text = _("{notebook}: there is no {folder}/{name}.md; remove the notebook, or write its {source}.")
        problems = []
        for variant in FOLDERS:
            folder, source = ("lessons", _("lesson")) if variant == "lesson" else (EXERCISES, _("exercise"))
            names = {path.stem for path in (self.root / folder).glob("*.md")}
            for path in sorted(self._target("", variant).parent.glob("*.ipynb")):
                if path.stem not in names:
                    where = path.relative_to(self.root).as_posix()
                    problems.append(text.format(notebook=where, folder=folder, name=path.stem, source=source))
        return [*problems, *self._orphaned_questions()]

    def _orphaned_questions(self) -> Iterator[str]:
        text = _("{where}: no lesson has these questions; remove the file.")
        for path in sorted((self.root / QUESTIONS / self.language).glob("*.json")):
            lesson = self.root / "lessons" / f"{path.stem}.md"
            if not lesson.exists() or ":::{quiz}" not in lesson.read_text(encoding="utf-8"):
                yield text.format(where=path.relative_to(self.root).as_posix())

    def _unknown_terms(self, lesson: Lesson) -> Iterator[Problem]:
        for cell, word in linking.unknown(lesson, self.terms):
            yield lesson.problem(_("no term {word!r} is in the glossary.").format(word=word), cell)

    def pages(self) -> list[str]:
        """Write or check the pages beside the notebooks; says what is wrong."""
        place = self._target("").parent.relative_to(self.root)
        found = self._glossary(place)
        for sheet, text in cheats.pages(self.root):
            source = f"{cheats.FOLDER}/{sheet.file}"
            found += _page(self.root, (place / sheet.file).as_posix(), text, source, self.check)
        return found

    def _glossary(self, place: Path) -> list[str]:
        if not self.terms.terms:
            return []
        lessons = [read_lesson(self.root, path) for path in sorted((self.root / "lessons").glob("*.md"))]
        used = {lesson.name: linking.used(lesson, self.terms) for lesson in lessons}
        titles = {lesson.name: lesson_title(self.root / lesson.path) for lesson in lessons}
        fresh = glossary.page(self.terms, titles)
        where = (place / glossary.PAGE).as_posix()
        return [*glossary.unused(self.terms, used), *_page(self.root, where, fresh, glossary.SOURCE, self.check)]

    def _target(self, name: str, variant: str = "lesson") -> Path:
        return self.root / FOLDERS[variant] / self.language / f"{name}.ipynb"

    def _write_or_compare(self, built: Built, target: Path, old: NotebookNode | None) -> str:
        text = to_text(built.notebook)
        if target.exists() and target.read_text(encoding="utf-8") == text:
            return _("up to date")
        if self.check:
            words = _("{where}: not what the lesson gives; run: courselib build {name}")
            where = target.relative_to(self.root).as_posix()
            diff = _diff(to_text(old), text) if old else []
            raise LessonError("\n".join([words.format(where=where, name=target.stem), *diff]))
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8", newline="\n")
        return _("written")

    def _write(self, built: Built, lesson: Lesson, target: Path, old: NotebookNode | None) -> str:
        target.parent.mkdir(parents=True, exist_ok=True)
        done = self._fill(built, lesson, target.parent, old)
        text = to_text(built.notebook)
        if not target.exists() or target.read_text(encoding="utf-8") != text:
            target.write_text(text, encoding="utf-8", newline="\n")
        return done

    def _fill(self, built: Built, lesson: Lesson, folder: Path, old: NotebookNode | None) -> str:
        """Give a notebook its outputs; says how."""
        if not self.execute and outputs.take_over(built, old):
            return _("up to date")
        if self.execute is False:
            return _("not executed")
        outputs.keep_skipped(built, old)
        timing.keep(built, run(built, lesson, folder, self.language))
        changed = outputs.clean(built.notebook, outputs.private_paths(self.root))
        refuse(_bad_goldens(built, lesson, changed))
        built.mark_executed()
        return _("executed")

    def _compare(self, built: Built, target: Path, old: NotebookNode | None) -> str:
        """Refuse a notebook that is not what ``_write`` would leave, but for what its outputs say."""
        where, name = target.relative_to(self.root).as_posix(), target.stem
        if old is None:
            text = _("{where}: missing or unreadable; run: courselib build {name}")
            raise LessonError(text.format(where=where, name=name))
        fresh = without_outputs(built.notebook)
        if outputs.take_over(built, old):
            if to_text(built.notebook) == target.read_text(encoding="utf-8"):
                return _("up to date")
            fresh.metadata = built.notebook.metadata
        diff = _diff(to_text(without_outputs(old)), to_text(fresh))
        if built.executed_of(old) != built.code:
            text = _("{where}: the lesson's code is not the code its outputs came from; run: courselib build {name}")
        elif diff:
            text = _("{where}: not what the lesson gives; run: courselib build {name}")
        else:
            text = _("{where}: not written as the build writes it; run: courselib build {name}")
        raise LessonError("\n".join([text.format(where=where, name=name), *diff]))


def _bad_goldens(built: Built, lesson: Lesson, changed: list[int]) -> Iterator[Problem]:
    for index, (cell, origin) in enumerate(zip(built.notebook.cells, built.origins, strict=True)):
        if origin and "golden" in origin.tags:
            if not any(outputs.says_something(output) for output in cell.outputs):
                text = _("a golden cell must put something out; let its last line be the result.")
                yield lesson.problem(text, origin)
            elif index in changed:
                text = _("a golden output holds a path or a memory address of this machine; print something else.")
                yield lesson.problem(text, origin)


def _read_notebook(path: Path) -> NotebookNode | None:
    try:
        notebook: NotebookNode = nbformat.reads(path.read_text(encoding="utf-8"), as_version=4)
    except (FileNotFoundError, nbformat.reader.NotJSONError, nbformat.ValidationError, UnicodeDecodeError):
        return None
    return notebook


def _diff(committed: str, fresh: str) -> list[str]:
    before, after = committed.splitlines(), fresh.splitlines()
    lines = difflib.unified_diff(before, after, _("committed"), _("lesson"), n=1, lineterm="")
    return [f"    {line}" for line in itertools.islice(lines, MAX_DIFF_LINES)]
