"""What ``Compare`` shows of its columns: the differences as a table, all as text, and a picture for saved notebooks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from courselib.controls.route import LOST, Line, Verdict
from courselib.i18n import _
from courselib.panels.base import escape
from courselib.panels.reply import Reply
from courselib.panels.still import HTML, table
from courselib.panels.tables import Cell, Titled, table_html

# By control, what becomes of it in each column.
Found = Mapping[str, Sequence[Line]]


def column_name(number: str | int, engine: str) -> str:
    """What a column is called: by number, since a server may have several."""
    return f"{number} · {engine}"


def differences_html(names: Sequence[str], found: Found, *, shared: bool) -> str:
    """The differences as HTML; each cell shows its whole sentence under the pointer."""
    quiet = f"<p class='cl-quiet'>{escape(_note(shared=shared))}</p>"
    if not found:
        return f"<p>{escape(_same())}</p>{quiet}"
    rows: list[list[Cell]] = [
        [control, *(Titled(_cell(line), line.text) for line in lines)] for control, lines in found.items()
    ]
    shown = table_html(("", *names), rows, css="cl-differences", caption=_("Where the requests differ"))
    return f"<div class='cl-differences-box'>{shown}</div>{quiet}"


def text_lines(names: Sequence[str], found: Found, states: Sequence[str], replies: Sequence[Reply | None]) -> list[str]:
    """Differences, answers and what was measured of them, as lines of plain text."""
    lines = [f"{'':<22}" + "".join(f"{name:<26}" for name in names).rstrip()]
    for control, told in found.items():
        lines.append(f"{control:<22}" + "".join(f"{_cell(line):<26}" for line in told).rstrip())
    for name, state, reply in zip(names, states, replies, strict=True):
        lines += ["", f"{name}: {state}"]
        if reply:
            lines += [reply.text, *(f"  {fact}: {value} ({origin})" for fact, value, origin in reply.facts)]
    return lines


def still(
    names: Sequence[str], found: Found, replies: Sequence[Reply], *, prompt: str, caption: str, shared: bool
) -> dict[str, str]:
    """All columns for a saved notebook: the answers, what was measured of them side by side, and what differs.

    Args:
        names: of the columns.
        found: where the requests differ.
        replies: the answers.
        prompt: what was asked.
        caption: what it shows, and where its numbers come from.
        shared: whether columns were answered by the same server.
    """
    facts = [{name: (value, origin) for name, value, origin in reply.facts} for reply in replies]
    rows = []
    for name in dict.fromkeys(name for each in facts for name in each):
        told = [each.get(name, ("-", "")) for each in facts]
        origins = dict.fromkeys(origin for _value, origin in told if origin)
        rows.append([escape(name), *(escape(value) for value, _origin in told), escape(", ".join(origins))])
    if found:
        lines = [
            [f"<code>{escape(control)}</code>", *(escape(_cell(line)) for line in each)]
            for control, each in found.items()
        ]
        differ = f"<p>{escape(_('Where the requests differ'))}</p>{table(('', *names), lines)}"
    else:
        differ = f"<p>{escape(_same())}</p>"
    asked = f"<p>{escape(caption)}</p><blockquote>{escape(prompt)}</blockquote>"
    answers = "".join(
        f"<p><b>{escape(name)}</b></p><blockquote>{escape(reply.text)}</blockquote>"
        for name, reply in zip(names, replies, strict=True)
    )
    return {HTML: f"{asked}{answers}{table(('', *names, ''), rows)}{differ}<p>{escape(_note(shared=shared))}</p>"}


def _cell(line: Line) -> str:
    """What becomes of a control, in few words."""
    word = _(line.verdict.value)
    if line.verdict in LOST:
        return word
    value = _(line.applies) if isinstance(line.applies, str) else repr(line.applies)
    return value if line.verdict is Verdict.SENT else f"{value} ({word})"


def _same() -> str:
    return _("All columns make the same call, and its controls have the same effect.")


def _note(*, shared: bool) -> str:
    if shared:
        return _("Columns that share a server may wait for each other: this affects their times, too.")
    return _("All are asked at once: engines on one machine share its cores, and this affects their speeds, too.")
