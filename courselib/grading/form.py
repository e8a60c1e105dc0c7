"""A small site on this machine on which a person gives points, answer by answer, without the learners' names.

Each press of Save is in the journal before the next page comes, so that nothing is lost however the program ends. The
key in the address keeps out all other pages and programs that can reach the port.
"""

from __future__ import annotations

import math
import secrets
import socket
from collections.abc import Callable, Mapping, Sequence
from urllib.parse import parse_qs

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from courselib.grading.book import points
from courselib.grading.by_hand import Mark, Marks
from courselib.grading.markup import Html, code, fold, page, prose, tag
from courselib.grading.results import Result
from courselib.grading.rubric import Rubric
from courselib.i18n import _

MOST_BYTES = 200_000
HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}


class Form:
    """The site.

    Args:
        answers: to be read, in their order.
        marks: where the points go.
        rubrics: of the exercises, by name.
        is_unsafe: whether learners' code was run with limits only.
        finish: called when the person is done; ends the server.
    """

    def __init__(
        self,
        answers: Sequence[Result],
        marks: Marks,
        rubrics: Mapping[str, Rubric],
        *,
        is_unsafe: bool = False,
        finish: Callable[[], None] = lambda: None,
    ) -> None:
        self.key = secrets.token_urlsafe(16)
        self._answers = answers
        self._marks = marks
        self._rubrics = rubrics
        self._is_unsafe = is_unsafe
        self._finish = finish
        at = f"/{self.key}"
        self.app = Starlette(
            routes=[
                Route(f"{at}/", self._list),
                Route(f"{at}/finish", self._done, methods=["POST"]),
                Route(f"{at}/{{number:int}}", self._answer, methods=["GET", "POST"]),
            ]
        )

    async def _list(self, _request: Request) -> Response:
        left = sum(self._marks.of(each) is None for each in self._answers)
        begin = [tag("a", _("Go to the next answer"), href=str(self._next(0)))] if left else []
        items = [
            tag("li", tag("a", _("Answer {n}").format(n=n), href=str(n)), f" ({each.exercise}): {self._given(each)}")
            for n, each in enumerate(self._answers, start=1)
        ]
        text = _("{left} of {n} answers are not graded yet. Their order does not depend on the learners' names.")
        return self._page(
            _("Grade by hand"),
            tag("p", text.format(left=left, n=len(self._answers))),
            tag("div", begin, self._finish_button(), class_="buttons"),
            tag("ul", items),
        )

    async def _answer(self, request: Request) -> Response:
        number = request.path_params["number"]
        if not 1 <= number <= len(self._answers):
            return self._page(_("There is no answer of this number"), tag("p", self._back()), status=404)
        result = self._answers[number - 1]
        mark = self._marks.of(result)
        if request.method == "GET":
            return self._one(number, points(mark.points) if mark else "", mark.comment if mark else "")
        body = await request.body()
        fields = parse_qs(body[:MOST_BYTES].decode("utf-8", "replace"), keep_blank_values=True)
        typed, comment = fields.get("points", [""])[0], fields.get("comment", [""])[0].replace("\r\n", "\n").strip()
        earned = _number(typed, result.most)
        if earned is None or len(body) > MOST_BYTES:
            text = _("Nothing was saved: give a number from 0 to {most}, and a shorter comment if it is very long.")
            return self._one(number, typed, comment, wrong=text.format(most=points(result.most)))
        self._marks.give(result, Mark(earned, comment))
        to = self._next(number)
        # To the next open answer, or to the list where none is open.
        return RedirectResponse(str(to) if to else "./", status_code=303, headers=HEADERS)

    async def _done(self, _request: Request) -> Response:
        self._finish()
        text = _("The points are in the tables and on the pages as soon as the command has ended. Close this page.")
        return self._page(_("Finished"), tag("p", text))

    def _one(self, number: int, typed: str, comment: str, *, wrong: str = "") -> Response:
        result = self._answers[number - 1]
        rubric = self._rubrics[result.exercise]
        most = points(result.most)
        if rubric.reasons:
            beside = [tag("h2", _("Rubric")), prose(rubric.reasons), fold(_("A right answer"), code(rubric.answer))]
        else:
            beside = [tag("p", _("The course's solutions are not here, so there is no rubric."))]
        question = fold(_("The question"), prose(rubric.question), is_open=True)
        alert = [tag("p", wrong, class_="warning", role="alert")] if wrong else []
        form = tag(
            "form",
            tag("label", _("Points, from 0 to {most}").format(most=most), for_="points"),
            tag(
                "input",
                type="number",
                id="points",
                name_="points",
                min=0,
                max=most,
                step="any",
                value=typed,
                required=True,
                autofocus=True,
            ),
            tag("label", _("Comment for the learner (may be empty)"), for_="comment"),
            tag("textarea", comment, id="comment", name_="comment"),
            tag("div", tag("button", _("Save and go on"), type="submit"), self._back(), class_="buttons"),
            method="post",
            action=str(number),
        )
        return self._page(
            _("Answer {n} of {all}").format(n=number, all=len(self._answers)),
            tag("p", f"{result.exercise}: {self._given(result)}"),
            alert,
            tag("div", tag("div", code(result.answer), form), tag("div", beside, question), class_="side-by-side"),
            status=422 if wrong else 200,
        )

    def _given(self, result: Result) -> str:
        mark = self._marks.of(result)
        if mark is None:
            return _("not graded yet")
        return _("{n} of {most} points").format(n=points(mark.points), most=points(result.most))

    def _next(self, number: int) -> int | None:
        """The next open answer after a number, from the beginning again at the end."""
        count = len(self._answers)
        order = [(number + step) % count for step in range(count)]
        return next((at + 1 for at in order if self._marks.of(self._answers[at]) is None), None)

    def _back(self) -> Html:
        return tag("a", _("All answers"), href="./")

    def _finish_button(self) -> Html:
        return tag("form", tag("button", _("Finish"), type="submit"), method="post", action="finish")

    def _page(self, title: str, *body: Html | Sequence[Html], status: int = 200) -> Response:
        text = page(title, *body, is_unsafe=self._is_unsafe)
        return HTMLResponse(text.encode(), status_code=status, headers=HEADERS)


def serve(form: Callable[[Callable[[], None]], Form], told: Callable[[str], None]) -> None:
    """Serve until the person has finished or interrupts.

    Args:
        form: makes the site, given what ends the server.
        told: called with the address.
    """
    import uvicorn

    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        # Who follows the address at once waits for the server, and is not refused.
        listening.listen()
        servers: list[uvicorn.Server] = []

        def finish() -> None:
            servers[0].should_exit = True

        site = form(finish)
        config = uvicorn.Config(site.app, log_level="error", access_log=False, timeout_graceful_shutdown=2)
        servers.append(uvicorn.Server(config))
        told(f"http://127.0.0.1:{listening.getsockname()[1]}/{site.key}/")
        servers[0].run(sockets=[listening])


def _number(typed: str, most: float) -> float | None:
    """The points typed, with a decimal comma, too; none if they are no number from 0 to ``most``."""
    try:
        number = float(typed.replace(",", "."))
    except ValueError:
        return None
    return number if math.isfinite(number) and 0 <= number <= most else None
