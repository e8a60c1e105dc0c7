"""One answer in a chat as a record, and how its numbers are shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from courselib.answers.stream import Answer, ChatStream
from courselib.controls.code import openai_arguments
from courselib.controls.controls import Controls
from courselib.controls.effective import Used, compare, told_settings
from courselib.controls.route import Plan
from courselib.i18n import _
from courselib.panels.base import escape, facts_table
from courselib.panels.still import HTML, ROWS, bars, percent, token
from courselib.panels.tables import table_html

TOP_LOGPROBS = 5


@dataclass(frozen=True, eq=False)
class Reply:
    """What came of one request; never changed.

    Args:
        spans: the text as ``TokenText`` shows it; ``None`` while it still grows there.
        ttft_s: seconds to the first token.
        answer: what was measured; ``None`` where the answer still comes, or broke off.
        used: what the server reports of the controls, if anything.
    """

    spans: tuple[Any, ...] | None
    ttft_s: float | None
    answer: Answer | None = None
    used: tuple[Used, ...] = ()

    @property
    def text(self) -> str:
        """The answer, or as much of it as has come."""
        return self.answer.text if self.answer else "".join(span[0] for span in self.spans or ())

    @property
    def facts(self) -> list[tuple[str, str, str]]:
        """What is known of it: name, value, where that comes from."""
        return answer_facts(self.answer) if self.answer else _facts_to_come(self.ttft_s)


def reply_of(stream: ChatStream, spans: tuple[Any, ...], plan: Plan) -> Reply:
    """The record of a stream that has ended, in whatever way."""
    told = told_settings(stream.told) if stream.answer else {}
    return Reply(spans, stream.ttft_s, stream.answer, tuple(compare(plan, told)) if told else ())


def answer_facts(answer: Answer) -> list[tuple[str, str, str]]:
    """What is known of an answer: name, value, where that comes from."""
    speed = "-" if answer.tokens_per_s is None else f"{answer.tokens_per_s:.1f}"
    return [
        _first_token(answer.ttft_s),
        (_("tokens a second"), speed, _("measured")),
        (_("finish reason"), answer.finish_reason, _("reported by the engine")),
        (_("prompt tokens"), str(answer.prompt_tokens or "-"), _("counted by the engine")),
        (_("answer tokens"), str(answer.completion_tokens), _("counted by the engine")),
        *_thinking(answer),
    ]


def _facts_to_come(ttft_s: float | None) -> list[tuple[str, str, str]]:
    """The rows of ``answer_facts`` before the answer has ended, so that the table keeps its height."""
    later = (_("tokens a second"), _("finish reason"), _("prompt tokens"), _("answer tokens"))
    return [_first_token(ttft_s), *((name, "-", "") for name in later)]


def _thinking(answer: Answer) -> list[tuple[str, str, str]]:
    if not answer.thinking:
        return []
    words = _("{n} characters before the answer").format(n=len(answer.thinking))
    if not answer.text:
        words = _("no answer yet: raise max_tokens to see one")
    return [(_("thinking"), words, _("reported by the engine"))]


def _first_token(seconds: float | None) -> tuple[str, str, str]:
    shown = "-" if seconds is None else f"{1000 * seconds:.0f} ms"
    return _("time to first token"), shown, _("measured")


def facts_html(reply: Reply | None) -> str:
    """The numbers of an answer as HTML."""
    return facts_table(reply.facts) if reply else ""


def reply_still(reply: Reply, prompt: str, caption: str) -> dict[str, str]:
    """An answer for a saved notebook: its text, and how likely its first tokens were.

    Args:
        reply: the answer.
        prompt: what was asked.
        caption: what it shows, and where its numbers come from.
    """
    rows = []
    for text, chance, others, _count in (reply.spans or ())[:ROWS]:
        best = f"{token(others[0][0])} {percent(others[0][1])}" if others else ""
        rows.append((token(text), chance or 0.0, ["" if chance is None else percent(chance), best]))
    shown = bars(caption, (_("first tokens"), "", _("probability"), _("most likely here")), rows)
    words = "".join(f"<blockquote>{escape(each)}</blockquote>" for each in (prompt, reply.text))
    return {HTML: f"{words}{shown[HTML]}"}


def used_html(used: tuple[Used, ...]) -> str:
    """What the server reports of each control, folded; what is not as asked, or as expected, is marked."""
    if not used:
        return ""

    def shown(value: Any) -> str:
        return "-" if value is None else repr(value)

    heads = ("", _("asked"), _("used"), "", "")
    rows = [
        (row.control, shown(row.asked), shown(row.used), row.origin, _("≠ differs") if row.differs else "")
        for row in used
    ]
    title = escape(_("What the engine reports it used"))
    return f"<details class='cl-used'><summary>{title}</summary>{table_html(heads, rows, css='cl-told')}</details>"


def panel_arguments(plan: Plan) -> dict[str, Any]:
    """The call's arguments, with what only the panel wants: probabilities, and what llama.cpp reports that it used."""
    options = openai_arguments(plan)
    if plan.controls.logprobs is None:
        options |= {"logprobs": True, "top_logprobs": TOP_LOGPROBS}
    if plan.route.engine == "llama.cpp":
        options["extra_body"] = {**options.get("extra_body", {}), "verbose": True}
    return options


def panel_notes(controls: Controls) -> list[str]:
    """Where the panel's own call is not the program's."""
    notes = [_("The panel asks for log-probabilities and for what the engine used as well; the text stays as it is.")]
    if controls.n is not None and controls.n > 1:
        notes.append(_("The panel shows the first of the answers."))
    return notes
