"""The instructor's page: how the class did, what is hard, what went wrong, and what a person should look at."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from courselib.grading import scores
from courselib.grading.book import Book, Learner, percent, points
from courselib.grading.copies import copies
from courselib.grading.groups import Group, groups
from courselib.grading.markup import Html, code, fold, page, table, tag
from courselib.grading.results import Result
from courselib.i18n import _, ngettext

FEEDBACK = "feedback"
BINS = 10
GRADE_BY_HAND = "courselib grade-by-hand RESULTS"


def overview(book: Book) -> str:
    """The page over all results."""
    return page(
        _("Results of the class"),
        _lead(book),
        _distribution(book),
        _exercises(book),
        _wrong(book),
        _failed(book),
        _strays(book),
        copies(book, link),
        _learners(book),
        is_unsafe=book.is_unsafe,
    )


def link(learner: Learner) -> Html:
    """A learner's name, with a link to the feedback."""
    return tag("a", learner.name or _("(no name)"), href=f"{FEEDBACK}/{learner.page}")


def _lead(book: Book) -> list[Html]:
    counts = _("{learners} learners, {exercises} exercises, {most} points.").format(
        learners=len(book.learners), exercises=len(book.assignments), most=points(book.most)
    )
    tables = [[tag("a", name, href=name), " "] for name in (scores.SCORES, scores.CANVAS, scores.MOODLE)]
    parts = [tag("p", counts, " ", _("Tables:"), " ", *tables)]
    waits = sum(each.waits for each in book.learners)
    if waits:
        count = ngettext(
            "{n} answer waits for points from a person.", "{n} answers wait for points from a person.", waits
        )
        text = _("Until then the tables for Canvas and Moodle have no total for these learners. To give points, run:")
        parts.append(tag("p", count.format(n=waits), " ", text, " ", tag("code", GRADE_BY_HAND), role="note"))
    return parts


def _distribution(book: Book) -> list[Html]:
    totals = [each.total for each in book.learners]
    heading = tag("h2", _("Distribution of totals"))
    if not totals or not book.most:
        return [heading, tag("p", _("There are no points to show."))]
    counts = [0] * BINS
    for total in totals:
        counts[min(BINS - 1, int(BINS * total / book.most))] += 1
    step = 100 // BINS
    rows = [
        (_("{low} to {high} %").format(low=at * step, high=(at + 1) * step - (at < BINS - 1)), _bar(n, counts), str(n))
        for at, n in enumerate(counts)
    ]
    text = _("Median {median} of {most} points, mean {mean}, lowest {low}, highest {high}.")
    words = text.format(
        median=points(statistics.median(totals)),
        most=points(book.most),
        mean=f"{statistics.fmean(totals):.1f}",
        low=points(min(totals)),
        high=points(max(totals)),
    )
    return [heading, tag("p", words), table((_("Share of all points"), "", _("Learners")), rows, numbers=(2,))]


def _bar(n: int, counts: Sequence[int]) -> Html:
    """A bar beside its number, which says the same to those who do not see it."""
    rect = tag("rect", width=f"{100 * n / max(counts):.1f}", height=10)
    return tag("svg", rect, class_="bar", viewBox="0 0 100 10", preserveAspectRatio="none", aria_hidden="true")


def _exercises(book: Book) -> list[Html]:
    """The exercises, the hardest first."""
    rows = []
    for name, assignment in book.assignments.items():
        answers = [result for _learner, result in book.answers(name)]
        judged = [each.points for each in answers if each.points is not None]
        share = statistics.fmean(judged) / assignment.points if judged else None
        right = sum(each >= assignment.points for each in judged)
        waits = len(answers) - len(judged)
        row = (
            f"{name}: {assignment.title}",
            "–" if share is None else percent(share),
            *map(str, (right, len(judged) - right, waits, len(book.learners) - len(answers))),
        )
        rows.append((2.0 if share is None else share, name, row))
    heads = (_("Exercise"), _("Mean"), _("Right"), _("Not right"), _("To read"), _("Missing"))
    return [
        tag("h2", _("Exercises, the hardest first")),
        tag("p", _("The mean is the share of the points, of those who have handed in an answer.")),
        table(heads, [row for _share, _name, row in sorted(rows)], numbers=range(1, 6)),
    ]


def _wrong(book: Book) -> list[Html]:
    parts = [tag("h2", _("Wrong answers"))]
    for name, assignment in book.assignments.items():
        found = groups(book, name)
        if found:
            wrong = sum(len(each.learners) for each in found)
            text = _("{name}: {title} ({n})").format(name=name, title=assignment.title, n=wrong)
            parts.append(
                fold(text, tag("ul", [_group(each) for each in found]), is_open=any(each.is_known for each in found))
            )
    if len(parts) == 1:
        return [*parts, tag("p", _("There are none."))]
    text = _("Grouped by the mistake that was recognised; all others by the first line of their feedback.")
    return [parts[0], tag("p", text), *parts[1:]]


def _group(group: Group) -> Html:
    kind = _("recognised mistake") if group.is_known else _("not recognised")
    names = [[", " if at else "", link(each)] for at, each in enumerate(group.learners)]
    says = tag("strong", f"{len(group.learners)} × ", tag("span", group.says, class_="says"))
    return tag("li", says, " ", tag("span", f"({kind})", class_="faint"), tag("br"), *names)


def _failed(book: Book) -> list[Html]:
    failed = [(each, result) for each in book.learners for result in _all(each) if result.failed]
    heading = tag("h2", _("Runs that failed"))
    if not failed:
        return [heading, tag("p", _("There are none."))]
    text = _(
        "These answers have 0 points, although the grader failed and not the learner. When the cause is mended, grade "
        "once more into another folder."
    )
    items = [
        tag("li", link(learner), ", ", result.exercise or result.path, fold(_("What failed"), code(result.failed)))
        for learner, result in failed
    ]
    return [heading, tag("p", text), tag("ul", items)]


def _strays(book: Book) -> list[Html]:
    rows = [
        (tag("span", stray.path, class_="says"), link(learner), tag("span", stray.verdict, class_="says"))
        for learner in book.learners
        for stray in learner.strays
    ]
    heading = tag("h2", _("Files that belong to no exercise"))
    if not rows:
        return [heading, tag("p", _("There are none."))]
    return [heading, table((_("File"), _("Learner"), _("What was found")), rows)]


def _learners(book: Book) -> list[Html]:
    rows = [
        (
            link(each),
            each.platform_id,
            points(each.total),
            str(len(each.results)),
            str(each.waits),
            str(sum(len(result.notes) for result in each.results.values())),
        )
        for each in book.learners
    ]
    heads = (_("Learner"), _("Number"), _("Points"), _("Answers"), _("To read"), _("Notes on files"))
    return [tag("h2", _("Learners")), table(heads, rows, numbers=range(1, 6))]


def _all(learner: Learner) -> list[Result]:
    return [*learner.results.values(), *learner.strays]
