"""What a load test sends: lengths of prompts and answers, and times of arrival; drawn with a seed, or from a trace."""

from __future__ import annotations

import csv
import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from courselib.checks import check_whole
from courselib.errors import SettingsError
from courselib.i18n import _
from courselib.observe.load import Request
from courselib.observe.logits import tokens_of

if TYPE_CHECKING:
    from courselib.engines.server import Server

T = TypeVar("T")
COLUMNS = ("arrival_s", "prompt_tokens", "answer_tokens")
# Engines that take a prompt as ids of tokens on OpenAI's /v1/completions; TGI takes text alone.
TAKES_IDS = ("llama.cpp", "vllm")
TEXT = (
    "The ferry leaves the island at seven in the morning, and the next one at noon. My sister has a ticket for both of"
    " us, but our car is still at the garage, and nobody there answers the telephone. How can we reach the mainland"
    " before the shops close, and what does it cost to leave the car behind until Monday?"
)


@dataclass(frozen=True)
class Lengths:
    """A distribution of lengths, in tokens: log-normal, since few texts are long and none is negative.

    Args:
        median: half of the lengths are shorter.
        spread: standard deviation of the logarithm; 0 makes all lengths equal.
        low: no length is below it.
        high: no length is above it.
    """

    median: int
    spread: float = 0.0
    low: int = 1
    high: int = 1 << 20

    def __post_init__(self) -> None:
        check_whole("median", self.median, 1)
        check_whole("low", self.low, 1)
        check_whole("high", self.high, self.low)
        if not 0 <= self.spread < math.inf:
            raise SettingsError(_("spread is {spread!r}; give 0 or a positive number.").format(spread=self.spread))

    def draw(self, source: random.Random) -> int:
        """One length."""
        return min(max(round(self.median * math.exp(self.spread * source.gauss(0, 1))), self.low), self.high)


@dataclass(frozen=True)
class Planned:
    """A request before it has a text.

    Args:
        prompt_tokens: length of its prompt.
        answer_tokens: length of its answer.
        due_s: when it arrives, in seconds since the load began.
    """

    prompt_tokens: int
    answer_tokens: int
    due_s: float = 0.0


def draw(n: int, *, prompt: Lengths, answer: Lengths, seed: int = 0) -> tuple[Planned, ...]:
    """``n`` requests with lengths drawn from two distributions, all due at once.

    Raises:
        SettingsError: ``n`` is below 1.
    """
    check_whole("n", n, 1)
    source = random.Random(seed)  # noqa: S311 - repeatable, and no secret
    return tuple(Planned(prompt.draw(source), answer.draw(source)) for _at in range(n))


def arriving(planned: Sequence[Planned], *, per_s: float, seed: int = 0) -> tuple[Planned, ...]:
    """The same requests with times of arrival: a Poisson process, as of many users who do not know of each other.

    Args:
        planned: in the order in which they arrive.
        per_s: requests a second, on average.
        seed: of the times; another one than that of the lengths may be taken.

    Raises:
        SettingsError: the rate is not positive.
    """
    if not 0 < per_s < math.inf:
        raise SettingsError(_("per_s is {per_s!r}; give a positive number of requests.").format(per_s=per_s))
    source = random.Random(seed)  # noqa: S311 - repeatable, and no secret
    times = accumulate(source.expovariate(per_s) for _each in planned)
    return tuple(replace(each, due_s=at) for each, at in zip(planned, times, strict=True))


def read_trace(path: str | Path) -> tuple[Planned, ...]:
    """Requests of a recorded trace: a CSV file with the columns ``arrival_s``, ``prompt_tokens``, ``answer_tokens``.

    Raises:
        SettingsError: the file cannot be read, or a line of it is not such a request.
    """
    try:
        with Path(path).open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, ValueError, csv.Error) as error:
        raise SettingsError(
            _("The trace {path} cannot be read; name a CSV file.").format(path=path), details=str(error)
        ) from None
    if not rows:
        raise SettingsError(
            _("The trace {path} has no requests; its first line names {columns}.").format(
                path=path, columns=", ".join(COLUMNS)
            )
        )
    return tuple(_row(path, at, row) for at, row in enumerate(rows, start=2))


def _row(path: str | Path, line: int, row: dict[str, str]) -> Planned:
    try:
        due, prompt, answer = float(row["arrival_s"]), int(row["prompt_tokens"]), int(row["answer_tokens"])
        if not (0 <= due < math.inf and prompt >= 1 and answer >= 1):
            raise ValueError
    except (KeyError, TypeError, ValueError):
        text = _("Line {line} of {path} is no request; it needs {columns}: seconds from 0, and whole numbers from 1.")
        raise SettingsError(text.format(line=line, path=path, columns=", ".join(COLUMNS))) from None
    return Planned(prompt, answer, due)


def requests(server: Server, planned: Sequence[Planned]) -> list[Request]:
    """The requests with prompts for this server's model; no two of some thousand begin alike.

    TGI takes no ids of tokens: it gets as many words as the prompt is to have tokens, which are a few more tokens.

    Raises:
        RequestError: the server's answer.
    """
    if server.engine_name in TAKES_IDS:
        tokens = tokens_of(server, TEXT, special=False)
        return [
            Request(tuple(_from(tokens, at, each.prompt_tokens)), each.answer_tokens, each.due_s)
            for at, each in enumerate(planned)
        ]
    words = TEXT.split()
    return [
        Request(" ".join(_from(words, at, each.prompt_tokens)), each.answer_tokens, each.due_s)
        for at, each in enumerate(planned)
    ]


def _from(text: Sequence[T], at: int, length: int) -> Iterator[T]:
    """``length`` pieces of a text that begin at the ``at``-th; with another step after each time round."""
    round_, place = divmod(at, len(text))
    return (text[(place + step * (round_ + 1)) % len(text)] for step in range(length))
