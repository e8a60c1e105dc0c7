"""Answers that are much alike, side by side: a hint for the instructor to look at."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from courselib.grading.book import Book, Learner, percent
from courselib.grading.likeness import LEAST_SHARE, LEAST_TOKENS, MOST_ANSWERS, alike
from courselib.grading.markup import Html, fold, tag
from courselib.i18n import _

MOST_SHOWN = 50


def copies(book: Book, link: Callable[[Learner], Html]) -> list[Html]:
    """The section of the instructor's page.

    Args:
        book: all results.
        link: makes a link to a learner's feedback.
    """
    pairs = []
    for name, assignment in book.assignments.items():
        answers = book.answers(name)
        given = (assignment.stub, *assignment.before, *sorted(assignment.given))
        for pair in alike([result.answer for _learner, result in answers], given):
            (one, first), (other, second) = answers[pair.one], answers[pair.other]
            text = _("{name}: {share} alike").format(name=name, share=percent(pair.share))
            sides = [
                _side(link(one), first.answer, pair.marked[0]),
                _side(link(other), second.answer, pair.marked[1]),
            ]
            who = f"{text} – {one.name}, {other.name}"
            pairs.append((-pair.share, fold(who, tag("div", sides, class_="side-by-side"))))
    pairs.sort(key=lambda each: each[0])
    hint = _(
        "This is a hint and no proof: look at both answers before you speak to anybody. It shows pairs of answers that "
        "share {share} or more of the fingerprints of the shorter one (winnowing, as in MOSS), whatever the names of "
        "variables are. What was handed out does not count, and neither does what more than {most} answers have. Short "
        "answers to small exercises are alike by themselves: answers of fewer than {tokens} tokens are not compared."
    ).format(share=percent(LEAST_SHARE), most=MOST_ANSWERS, tokens=LEAST_TOKENS)
    shown: list[Html] = [fold_ for _share, fold_ in pairs[:MOST_SHOWN]]
    if len(pairs) > MOST_SHOWN:
        text = _("{n} more pairs are not shown.").format(n=len(pairs) - MOST_SHOWN)
        shown.append(tag("p", text))
    if not pairs:
        shown.append(tag("p", _("No pair was found.")))
    return [tag("h2", _("Answers that are alike")), tag("p", hint), *shown]


def _side(name: Html, text: str, marked: Iterable[tuple[int, int]]) -> Html:
    parts: list[str] = []
    at = 0
    for begin, end in marked:
        parts += [text[at:begin], tag("mark", text[begin:end])]
        at = end
    return tag("div", tag("h3", name), tag("pre", tag("code", *parts, text[at:]), tabindex=0))
