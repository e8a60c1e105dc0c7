"""A learner's page: what was asked, what came, why it is wrong, and what to read. Nothing of anybody else."""

from __future__ import annotations

from courselib.grading.assignment import Assignment
from courselib.grading.book import Book, Learner, points
from courselib.grading.markup import Child, Html, code, fold, page, tag
from courselib.grading.results import Result
from courselib.i18n import _, ngettext


def feedback(learner: Learner, book: Book) -> str:
    """The page of one learner."""
    sections = [_exercise(each, learner.results.get(name), book) for name, each in book.assignments.items()]
    strays = [_stray(each) for each in learner.strays]
    others = [tag("h2", _("Files that belong to no exercise")), tag("ul", strays)] if strays else []
    return page(
        _("Feedback for {learner}").format(learner=learner.name),
        _total(learner, book),
        sections,
        others,
        is_unsafe=book.is_unsafe,
    )


def _total(learner: Learner, book: Book) -> Html:
    text = _("{n} of {most} points.").format(n=points(learner.total), most=points(book.most))
    waits = []
    if learner.waits:
        text_of_waits = ngettext(
            "{n} answer is still to be read by a person; its points are not included.",
            "{n} answers are still to be read by a person; their points are not included.",
            learner.waits,
        )
        waits = [" ", text_of_waits.format(n=learner.waits)]
    return tag("p", tag("strong", text), *waits)


def _exercise(assignment: Assignment, result: Result | None, book: Book) -> Html:
    lesson = assignment.lesson.partition("_")[0]
    about = _("Exercise {name}, lesson {lesson}.").format(name=assignment.name, lesson=lesson)
    parts = [tag("h2", assignment.title), tag("p", about, class_="faint")]
    if result is None:
        parts.append(tag("p", _("Not handed in: 0 of {most} points.").format(most=points(assignment.points))))
    else:
        parts += [_verdict(assignment, result, book), fold(_("Your answer"), code(result.answer))]
    return tag("section", parts, class_="exercise")


def _verdict(assignment: Assignment, result: Result, book: Book) -> Html:
    facts: list[tuple[str, Child]] = [(_("Points"), _points(assignment, result))]
    mark = book.marks.of(result) if assignment.judge.by_hand else None
    if result.verdict:
        facts.append((_("Why"), tag("span", result.verdict, class_="says")))
    if mark and mark.comment:
        facts.append((_("Comment"), tag("span", mark.comment, class_="says")))
    if result.notes:
        facts.append((_("Your file"), tag("ul", [tag("li", note) for note in result.notes])))
    if result.points is not None and result.points < assignment.points:
        facts.append((_("Read"), _(assignment.judge.read)))
    facts.append((_("Graded file"), tag("span", result.path, class_="says")))
    return tag("dl", [[tag("dt", name), tag("dd", what)] for name, what in facts], class_="facts")


def _points(assignment: Assignment, result: Result) -> Html:
    most = points(assignment.points)
    if result.points is None:
        return tag("span", _("A person will read your answer and give up to {most}.").format(most=most))
    text = _("{n} of {most}").format(n=points(result.points), most=most)
    is_full = result.points >= assignment.points
    if is_full:
        text += f" – {_('right')}"
    return tag("strong", text, class_="good" if is_full else "bad")


def _stray(result: Result) -> Html:
    return tag("li", tag("span", result.path, class_="says"), ": ", tag("span", result.verdict, class_="says"))
