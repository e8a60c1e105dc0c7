"""A load test of one server: warm-up, a closed or an open loop, and a report that can be kept and compared.

    from courselib.observe import loadtest, workload
    from courselib.observe.workload import Lengths

    planned = workload.draw(40, prompt=Lengths(32), answer=Lengths(16, spread=0.5))
    closed = loadtest.closed(server, planned, users=2)
    opened = loadtest.opened(server, workload.arriving(planned, per_s=4))
    print(loadtest.side_by_side([closed, opened]))

guidellm and aiperf are the well-kept tools for this: they sweep rates by themselves, use several processes and send
more than text. This one needs no further package, watches the memory of the server, and is short enough to be read.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from courselib import files
from courselib.checks import check_whole
from courselib.errors import SettingsError
from courselib.i18n import N_, _
from courselib.observe import workload
from courselib.observe.load import Answer, Load, Request, run_load, run_open
from courselib.observe.percentiles import percentile
from courselib.observe.seen import TIME, UNSENT
from courselib.observe.workload import Planned

if TYPE_CHECKING:
    from courselib.engines.server import Server
    from courselib.observe.logits import BreaksOff

LIMIT_S = 600.0
WARM_UP = 2
FORMAT = "courselib load test 1"
# Figures of one answer, by the field's names for them; what is not known of it is left out.
FIGURES: dict[str, Callable[[Answer], float | None]] = {
    "ttft": lambda answer: answer.ttft_s,
    "tpot": lambda answer: answer.tpot_s,
    "e2e": lambda answer: answer.whole_s,
}
HEADINGS = {"ttft": N_("first token"), "tpot": N_("each token"), "e2e": N_("whole answer")}


@dataclass(frozen=True)
class Report:
    """What a load test has shown; all times in seconds, from the moment at which a request was due.

    Args:
        name: what a person calls it.
        engine: the server's engine.
        model: the name under which the server serves its model.
        loop: "closed, users=2", "open" or "open, connections=2".
        planned: how many requests were to be sent, without those of the warm-up.
        answers: one for each request that was sent.
        memory_bytes: the most memory that the server had; None where it was not started here.
    """

    name: str
    engine: str
    model: str
    loop: str
    planned: int
    answers: tuple[Answer, ...]
    memory_bytes: int | None = None

    @property
    def complete(self) -> tuple[Answer, ...]:
        """The answers that came whole."""
        return tuple(answer for answer in self.answers if not answer.error)

    @property
    def errors(self) -> Counter[str]:
        """How many requests failed, by kind; with the complete ones, they are all that were planned."""
        found = Counter(answer.kind for answer in self.answers if answer.error)
        return found + Counter({UNSENT: self.planned - len(self.answers)})

    @property
    def took_s(self) -> float:
        """Seconds from when the first request was due to the end of the last answer."""
        ends = [answer.ended_s for answer in self.answers if answer.ended_s is not None]
        return max(ends) - min(answer.begun_s for answer in self.answers) if ends else 0.0

    @property
    def requests_per_s(self) -> float:
        """Complete answers a second."""
        return self._each_second(len(self.complete))

    @property
    def tokens_per_s(self) -> float:
        """Tokens of complete answers a second, of all users together (throughput)."""
        return self._each_second(sum(answer.tokens or len(answer.came_s) for answer in self.complete))

    @property
    def late_s(self) -> float:
        """The longest time for which the client held a request back that was due."""
        return max((answer.late_s for answer in self.answers), default=0.0)

    def values(self, figure: str) -> list[float]:
        """One figure of each complete answer that has it: "ttft", "tpot" or "e2e".

        Raises:
            SettingsError: it is none of these.
        """
        if figure not in FIGURES:
            raise SettingsError(
                _("There is no figure {name!r}; choose one of {names}.").format(name=figure, names=", ".join(FIGURES))
            )
        return [value for answer in self.complete if (value := FIGURES[figure](answer)) is not None]

    def percentile(self, figure: str, percent: float) -> float | None:
        """A percentile of "ttft", "tpot" or "e2e" over the complete answers; None where there is none."""
        values = self.values(figure)
        return percentile(values, percent) if values else None

    def good(self, **limits_s: float) -> int:
        """How many answers are complete and within all limits, as ``good(ttft=1, tpot=0.1)``.

        An answer that has no such figure (one token has no time per further token) is within its limit.

        Raises:
            SettingsError: a limit of another figure.
        """
        for figure in limits_s:
            self.values(figure)
        return sum(
            all((value := FIGURES[figure](answer)) is None or value <= limit for figure, limit in limits_s.items())
            for answer in self.complete
        )

    def goodput(self, **limits_s: float) -> float:
        """Such answers a second: the throughput that keeps the promise."""
        return self._each_second(self.good(**limits_s))

    def save(self, path: str | Path) -> None:
        """Keep it as JSON."""
        files.write_whole(Path(path), json.dumps({"format": FORMAT, **asdict(self)}, indent=1) + "\n")

    def __str__(self) -> str:
        return side_by_side([self])

    def _each_second(self, count: int) -> float:
        return count / self.took_s if self.took_s > 0 else 0.0


def read(path: str | Path) -> Report:
    """A report that was kept.

    Raises:
        SettingsError: the file is none.
    """
    try:
        kept = json.loads(Path(path).read_text(encoding="utf-8"))
        if kept.pop("format") != FORMAT:
            raise ValueError
        answers = [Answer(**{**each, "came_s": tuple(each["came_s"])}) for each in kept.pop("answers")]
        return Report(answers=tuple(answers), **kept)
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        text = _("{path} is no load test that was kept here; name a file that save() has written.")
        raise SettingsError(text.format(path=path), details=repr(error)) from None


def closed(server: Server, planned: Sequence[Planned], *, users: int, **more: Any) -> Report:
    """A closed loop: ``users`` at once, each of whom sends the next request when an answer is complete.

    Args:
        server: of any engine, started here or attached.
        planned: the requests; times of arrival are not looked at.
        users: how many.
        more: as for ``opened``, without ``connections``.

    Raises:
        SettingsError: no user, or no request.
        RequestError: the server does not answer.
    """
    check_whole("users", users, 1)

    def run(asked: Sequence[Request], **how: Any) -> Load:
        return run_load(server, [asked[user::users] for user in range(users)], **how)

    return _test(server, planned, run, f"closed, users={users}", **more)


def opened(server: Server, planned: Sequence[Planned], *, connections: int | None = None, **more: Any) -> Report:
    """An open loop: each request is sent when it is due.

    Args:
        server: of any engine, started here or attached.
        planned: the requests with their times of arrival.
        connections: requests under way at most, as in older tools; others wait in the client, and that is counted.
        more: ``name``; ``warm_up``, requests before the clock starts, 2 by default; ``limit_s``, seconds for all of it;
            ``breaks_off``, is given what cancels it; ``progress``, is called with how many have ended, and of how many.

    Raises:
        SettingsError: no connection, or no request.
        RequestError: the server does not answer.
    """

    def run(asked: Sequence[Request], **how: Any) -> Load:
        return run_open(server, asked, connections=connections, **how)

    return _test(server, planned, run, f"open, connections={connections}" if connections else "open", **more)


def _test(
    server: Server,
    planned: Sequence[Planned],
    run: Callable[..., Load],
    loop: str,
    *,
    name: str = "",
    warm_up: int = WARM_UP,
    limit_s: float = LIMIT_S,
    breaks_off: BreaksOff | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Report:
    check_whole("planned requests", len(planned), 1)
    check_whole("warm_up", warm_up, 0)
    n, model, ended = len(planned), server.model, 0
    # Prompts of their own: an engine that keeps prompts must not know one of the others.
    asked = workload.requests(server, [*planned, *(planned[at % n] for at in range(warm_up))])
    warm = run_load(server, [asked[n:]], limit_s=limit_s, breaks_off=breaks_off)
    if warm.unsent or any(answer.kind == TIME for answer in warm.answers):  # cancelled, or the time was over
        return Report(name or loop, server.engine_name, model, loop, n, ())

    def count(_answer: Answer) -> None:
        nonlocal ended
        ended += 1
        if progress:
            progress(ended, n)

    load = run(asked[:n], limit_s=limit_s, breaks_off=breaks_off, on_answer=count)
    return Report(name or loop, server.engine_name, model, loop, n, load.answers, load.memory_bytes)


def side_by_side(reports: Sequence[Report], *, percents: Sequence[float] = (50, 95)) -> str:
    """Reports as a table: a column for each, times in milliseconds."""
    rows = [["", *(report.name for report in reports)]]
    rows.append([_("requests"), *(str(report.planned) for report in reports)])
    rows.append([_("complete"), *(str(len(report.complete)) for report in reports)])
    kinds = sorted({kind for report in reports for kind in report.errors})
    rows += [
        [_("failed: {kind}").format(kind=kind), *(str(report.errors[kind]) for report in reports)] for kind in kinds
    ]
    rows.append([_("requests/s"), *(f"{report.requests_per_s:.2f}" for report in reports)])
    rows.append([_("tokens/s"), *(f"{report.tokens_per_s:.1f}" for report in reports)])
    for figure, heading in HEADINGS.items():
        for percent in percents:
            seen = [report.percentile(figure, percent) for report in reports]
            rows.append([f"{_(heading)} p{percent:g}, ms", *("-" if s is None else f"{1000 * s:.0f}" for s in seen)])
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(_line(row, widths) for row in rows)


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    first, *others = (text.rjust(width) for text, width in zip(row, widths, strict=True))
    return "  ".join([row[0].ljust(len(first)), *others]).rstrip()
