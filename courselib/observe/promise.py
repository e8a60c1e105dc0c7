"""A promise to the users of a server, and whether a live one keeps it on this machine.

    from courselib.observe.promise import Promise, measure

    alone = measure(server, users=1)
    promise = Promise(users=4, context=512, first_token=10, each_token=6, memory_mib=280)
    print(promise.verdict(measure(tuned, users=4, context=512), alone))

No clause has a second in it: machines differ, so times are promised as multiples of what one user alone gets here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from courselib import machine
from courselib.errors import SettingsError
from courselib.i18n import _
from courselib.observe import advice
from courselib.observe.load import Answer, Load, Request, run_load, spread
from courselib.observe.logits import tokens_of
from courselib.observe.percentiles import percentile

if TYPE_CHECKING:
    from courselib.engines.base import EngineSettings
    from courselib.engines.server import Server

PERCENT = 95
MIB = 1 << 20
# A question, and a conversation that has grown to the end of its context: tokens of their prompts and answers.
QUESTION, ANSWER, LAST = 32, 16, 4
QUESTIONS = 8
LIMIT_S = 600.0
TEXT = (
    "My printer shows a red light and prints nothing since this morning. I have switched it off and on again, changed"
    " the paper and looked for the driver on the page of its maker, but the test page never comes out. What can I try"
    " next, and do I have to call your technician before the end of the week?"
)


@dataclass(frozen=True)
class Figures:
    """What a load showed; times in seconds.

    Args:
        users: how many asked at once.
        questions: short questions, one after the other for each user.
        conversations: one request from each user at once, which fills its context; None where none was sent.
        settings: those of the server.
    """

    users: int
    questions: Load
    conversations: Load | None = None
    settings: EngineSettings | None = None

    @property
    def first_token_s(self) -> float | None:
        """95th percentile of the time to first token of a question; None where no question was answered."""
        return _high(self.questions.ttfts_s)

    @property
    def each_token_s(self) -> float | None:
        """95th percentile of the time between two tokens of an answer; None where no question was answered."""
        return _high(self.questions.gaps_s)

    @property
    def longest_pause_s(self) -> float | None:
        """The longest time between two tokens of one answer; None where there was none."""
        return max((gap for load in self._loads for gap in load.gaps_s), default=None)

    @property
    def memory_bytes(self) -> int | None:
        """The most memory that the server had; None where it was not started here."""
        return max((load.memory_bytes for load in self._loads if load.memory_bytes), default=None)

    @property
    def failed(self) -> tuple[Answer, ...]:
        """Answers that did not come whole."""
        return tuple(answer for load in self._loads for answer in load.failed)

    @property
    def _loads(self) -> list[Load]:
        return [load for load in (self.questions, self.conversations) if load]


def _high(values: Sequence[float]) -> float | None:
    return percentile(values, PERCENT) if values else None


def measure(server: Server, *, users: int, context: int | None = None, limit_s: float = LIMIT_S) -> Figures:
    """Have users ask a running server, and time it.

    First they share eight short questions (32 tokens, and 16 of answer); each sends the next one when its answer is
    complete. Then, with ``context``, each sends one request that fills that many tokens, all at once.

    Args:
        server: a server of llama.cpp or vLLM.
        users: how many ask at once.
        context: tokens of each user's conversation, prompt and answer; None for questions alone.
        limit_s: seconds that each of the two may take.

    Raises:
        SettingsError: fewer than one user, or a context shorter than a question.
        RequestError: the server does not answer.
    """
    if users < 1 or (context is not None and context < QUESTION + ANSWER):
        raise SettingsError(
            _("users={users}, context={context}: take one user or more, and {least} tokens of context or more.").format(
                users=users, context=context, least=QUESTION + ANSWER
            )
        )
    tokens = tokens_of(server, TEXT, special=False)
    each = max(1, QUESTIONS // users)
    first, *prompts = spread(tokens, QUESTION, places=1 + users * each)
    # What an engine does once, at its first request, is no part of the promise.
    run_load(server, [[Request(first, 1)]], limit_s=limit_s)
    asked = [Request(prompt, ANSWER) for prompt in prompts]
    questions = run_load(server, [asked[user::users] for user in range(users)], limit_s=limit_s)
    if context is None:
        return Figures(users, questions, settings=server.settings)
    whole = [[Request(prompt, LAST)] for prompt in spread(tokens, context - LAST, places=users)]
    return Figures(users, questions, run_load(server, whole, limit_s=limit_s), server.settings)


@dataclass(frozen=True)
class Clause:
    """One clause of a promise, judged.

    Args:
        name: what it is about.
        kept: whether it was kept.
        seen: what was seen and what was promised, a sentence.
        look_at: which setting to look at, a sentence; empty for a clause that was kept.
    """

    name: str
    kept: bool
    seen: str
    look_at: str = ""

    def __str__(self) -> str:
        word = _("kept") if self.kept else _("BROKEN")
        return " ".join(filter(None, (f"{self.name}: {word}.", self.seen, self.look_at)))


@dataclass(frozen=True)
class Verdict:
    """A promise, judged clause by clause."""

    clauses: tuple[Clause, ...]

    @property
    def kept(self) -> bool:
        """Whether all of it was kept."""
        return all(clause.kept for clause in self.clauses)

    @property
    def broken(self) -> list[str]:
        """The names of the clauses that were not kept."""
        return [clause.name for clause in self.clauses if not clause.kept]

    def __str__(self) -> str:
        whole = _("The promise is kept.") if self.kept else _("The promise is broken.")
        return "\n".join([*map(str, self.clauses), whole])


@dataclass(frozen=True, kw_only=True)
class Promise:
    """What the users of a server are promised.

    Args:
        users: how many may ask at once.
        context: tokens that each of them may fill, prompt and answer together.
        first_token: the 95th percentile of the time to first token, in multiples of that of one user alone.
        each_token: the 95th percentile of the time between two tokens, in multiples of that of one user alone.
        memory_mib: MiB that the server's process may take.
    """

    users: int
    context: int
    first_token: float
    each_token: float
    memory_mib: float

    def verdict(self, seen: Figures, alone: Figures, *, predicted: int | None = None) -> Verdict:
        """Judge what was seen.

        Args:
            seen: figures of this many users with this context.
            alone: those of one user, on a server for one.
            predicted: bytes of memory by prediction, to be within the promise as well.

        Raises:
            SettingsError: the figures are those of other users, or one user alone got no answer.
        """
        if seen.users != self.users or not seen.conversations or not alone.first_token_s or not alone.each_token_s:
            raise SettingsError(
                _("Measure {users} users with context={context}, and one user alone, who must get answers.").format(
                    users=self.users, context=self.context
                )
            )
        return Verdict((
            self._context(seen, seen.conversations),
            self._first_token(seen, alone.first_token_s),
            self._each_token(seen, alone.each_token_s),
            self._memory(seen, predicted),
        ))  # fmt: skip

    def _context(self, seen: Figures, conversations: Load) -> Clause:
        failed = conversations.failed
        if not failed:
            words = _("All {users} conversations of {context} tokens were answered.")
            return Clause(_("Context"), True, words.format(users=self.users, context=self.context))
        words = _("{failed} of {users} conversations of {context} tokens failed ({error}).").format(
            failed=len(failed), users=self.users, context=self.context, error=failed[0].error.rstrip(".")
        )
        return Clause(_("Context"), False, words, advice.context(seen.settings, self.users, self.context))

    def _first_token(self, seen: Figures, alone_s: float) -> Clause:
        where = advice.first_token(seen.settings, self.users, machine.cores())
        return _timed(_("First token"), seen, seen.first_token_s, alone_s, self.first_token, where)

    def _each_token(self, seen: Figures, alone_s: float) -> Clause:
        where = advice.each_token(seen.settings, self.users, machine.cores())
        return _timed(_("Each token"), seen, seen.each_token_s, alone_s, self.each_token, where)

    def _memory(self, seen: Figures, predicted: int | None) -> Clause:
        sizes = {_("seen at the peak"): seen.memory_bytes, _("predicted"): predicted}
        known = {name: size / MIB for name, size in sizes.items() if size}
        if not known:
            return Clause(_("Memory"), False, _("The memory of a server that was not started here is not known."))
        kept = all(size <= self.memory_mib for size in known.values())
        figures = ", ".join(f"{size:.0f} MiB {name}" for name, size in known.items())
        words = f"{figures}; " + _("promised: at most {most:.0f} MiB.").format(most=self.memory_mib)
        where = "" if kept else advice.memory(seen.settings, self.users, self.context)
        return Clause(_("Memory"), kept, words, where)


def _timed(name: str, seen: Figures, seen_s: float | None, alone_s: float, most: float, where: str) -> Clause:
    """A clause on times: of a question that was not answered, no time is good."""
    if failed := seen.questions.failed:
        words = _("{failed} of {all} questions were not answered ({error}).").format(
            failed=len(failed), all=len(seen.questions.answers), error=failed[0].error.rstrip(".")
        )
        return Clause(name, False, words, where)
    times = (seen_s or 0.0) / alone_s
    words = _("p95 is {times:.1f} times that of one user alone; promised: at most {most:g} times.").format(
        times=times, most=most
    )
    return Clause(name, times <= most, words, "" if times <= most else where)
