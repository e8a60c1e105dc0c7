"""Say what you need, and see which engine fits, why, and how to start it."""

from __future__ import annotations

import dataclasses
from typing import Any

import ipywidgets as widgets
import traitlets

from courselib import choosing
from courselib.choosing import QUESTIONS, Needs, Verdict
from courselib.choosing_facts import SOURCES, Fact, Other
from courselib.i18n import _, ngettext
from courselib.panels.base import Panel, escape
from courselib.panels.code_fold import CodeFold

WIDE = {"description_width": "110px"}
STYLE = """<style>
.cl-chooser ol { margin: 4px 0 8px; padding-left: 1.6em; }
.cl-chooser ol > li { margin: 8px 0; }
.cl-chooser ol > li::marker { font-weight: 600; }
.cl-chooser ul { list-style: none; margin: 2px 0; padding: 0; }
.cl-chooser ul li { display: grid; grid-template-columns: 2.2em 1fr; }
.cl-chooser .cl-mark { font-weight: 700; white-space: nowrap; }
.cl-chooser a { color: inherit; text-decoration: underline; text-underline-offset: 2px; }
.cl-chooser .cl-out { opacity: .75; }
</style>"""


class Chooser(Panel):
    """Seven questions, and the three engines in the order that the answers give.

    The trait ``needs`` holds the answers, ``ranking`` the engines, best first.

    Args:
        answers: answers to begin with, as those of ``courselib.choosing.Needs``; the hardware is that of this machine.

    Raises:
        SettingsError: an answer that there is not.
    """

    needs: Needs = traitlets.Any()  # type: ignore[assignment]
    ranking: tuple[Verdict, ...] = traitlets.Any(())  # type: ignore[assignment]

    def __init__(self, **answers: Any) -> None:
        super().__init__(_("Chooser"), "TGI, vLLM, llama.cpp", _("facts quoted or recorded; their weight is our own"))
        needs = dataclasses.replace(choosing.needs_of_this_machine(), **answers)
        self.fields = _fields(needs)
        self.code = CodeFold(title=_("Start it"))
        self.code.opened = True
        self.result = widgets.HTML()
        self.result.add_class("cl-chooser")
        for field in self._all_fields():
            field.observe(self._changed, "value")
        grid = widgets.GridBox(
            [field for name, field in self.fields.items() if name != "operations"],
            layout=widgets.Layout(grid_template_columns="repeat(auto-fill, minmax(380px, 1fr))"),
        )
        checks = list(self.fields["operations"].values())
        label = widgets.Label(
            _("Operations"), layout={"width": WIDE["description_width"], "justify_content": "flex-end"}
        )
        self.lay_out(grid, widgets.HBox([label, *checks]), self.result, self.code)
        self._changed()

    def _all_fields(self) -> list[widgets.Widget]:
        return [
            field
            for entry in self.fields.values()
            for field in (entry.values() if isinstance(entry, dict) else [entry])
        ]

    def answers(self) -> dict[str, Any]:
        """The answers as ``Needs`` takes them."""
        ticked = tuple(name for name, field in self.fields["operations"].items() if field.value)
        given = {name: field.value for name, field in self.fields.items() if name != "operations"}
        return {**given, "operations": ticked}

    def _changed(self, _change: object = None) -> None:
        """An answer was given: rank anew."""
        self.needs = Needs(**self.answers())
        self.ranking = choosing.rank(self.needs)
        self.result.value = STYLE + _page(self.ranking, choosing.others(self.needs))
        best = self.ranking[0]
        self.set_state_text(
            _("none of the three fits") if best.ruled_out else _("best: {engine}").format(engine=best.title)
        )
        fitting = [verdict for verdict in self.ranking if not verdict.ruled_out]
        self.code.programs = {verdict.title: choosing.launch_line(verdict.engine, self.needs) for verdict in fitting}
        self.code.selected = best.title if fitting else ""
        self.code.notes = self._notes()

    def _notes(self) -> list[str]:
        notes = []
        if self.needs.model != "small" or self.needs.hardware == "gpus":
            notes.append(_("The model is the largest of this course; put your own in its place."))
        if self.needs.hardware == "gpus":
            notes.append(_("Written for {n} GPUs.").format(n=choosing.EXAMPLE_GPUS))
        if self.needs.api == "tgi":
            notes.append(_('To try TGI\'s protocol without TGI: courselib.launch("tgi-gateway").'))
        return notes

    def as_table(self) -> str:
        """Answers, ranking and reasons as plain text."""
        lines = [super().as_table()]
        for question in QUESTIONS:
            given = ", ".join(_(QUESTIONS[question][answer]) for answer in self.needs.answers(question))
            lines.append(f"{_question(question):<16}{given or '-'}")
        for place, verdict in enumerate(self.ranking, 1):
            lines.append(f"{place}. {verdict.title}: {_judgement(verdict)}")
            lines += [f"   {_mark(fact)} {_sentence(fact)} [{_(SOURCES[fact.source].title)}]" for fact in verdict.facts]
        lines += [f"{_('Also')}: {other.name}, {_(other.text)}" for other in choosing.others(self.needs)]
        return "\n".join([*lines, "", self.code.programs.get(self.code.selected, "")]).rstrip()

    def __repr__(self) -> str:
        # Fixed, and not by what this machine has: notebooks keep it where there is no front end.
        return "Chooser(TGI, vLLM, llama.cpp)"


def _question(name: str) -> str:
    return {
        "hardware": _("Hardware"),
        "users": _("Users at once"),
        "api": _("API wanted"),
        "model": _("Model"),
        "operations": _("Operations"),
        "licence": _("Licence"),
        "offline": _("Network"),
    }[name]


def _fields(needs: Needs) -> dict[str, Any]:
    """One field a question; a dictionary of tick boxes where several answers are possible."""
    fields: dict[str, Any] = {}
    for question, answers in QUESTIONS.items():
        given = needs.answers(question)
        if question == "operations":
            fields[question] = {
                name: widgets.Checkbox(value=name in given, description=_(text), indent=False, layout={"width": "auto"})
                for name, text in answers.items()
            }
            continue
        field = widgets.Dropdown(
            options=[(_(text), name) for name, text in answers.items()],
            value=given[0],
            description=_question(question),
            style=WIDE,
            layout=widgets.Layout(width="370px"),
        )
        field.add_class(f"cl-{question}")
        fields[question] = field
    return fields


def _judgement(verdict: Verdict) -> str:
    if verdict.ruled_out:
        return _("ruled out")
    points = str(verdict.points).replace("-", "−")
    return ngettext("{n} point", "{n} points", abs(verdict.points)).format(n=points)


def _mark(fact: Fact) -> str:
    """A sign, not a colour: for everybody, and for plain text."""
    if fact.points is None:
        return "✕"
    return "·" if fact.points == 0 else "+" * fact.points or "−" * -fact.points


def _sentence(fact: Fact) -> str:
    return f"{_('Changed:')} {_(fact.text)}" if fact.changed else _(fact.text)


def _page(ranking: tuple[Verdict, ...], others: tuple[Other, ...]) -> str:
    places = "".join(_place(verdict) for verdict in ranking)
    also = "; ".join(
        f"<b>{escape(other.name)}</b>, {escape(_(other.text))} ({_link(other.source)})" for other in others
    )
    last = f"<p class='cl-quiet'>{escape(_('One would look at as well:'))} {also}.</p>" if also else ""
    return f"<div role='region' aria-live='polite' aria-label='{escape(_('Ranking'))}'><ol>{places}</ol>{last}</div>"


def _place(verdict: Verdict) -> str:
    facts = "".join(
        f"<li><span class='cl-mark' role='img' aria-label='{escape(_meaning(fact))}'>{_mark(fact)}</span>"
        f"<span>{escape(_sentence(fact))} <span class='cl-quiet'>{_link(fact.source)}</span></span></li>"
        for fact in verdict.facts
    )
    out = " class='cl-out'" if verdict.ruled_out else ""
    head = f"<b>{escape(verdict.title)}</b> <span class='cl-quiet'>{escape(_judgement(verdict))}</span>"
    return f"<li{out}>{head}<ul>{facts}</ul></li>"


def _meaning(fact: Fact) -> str:
    """What the mark means, for those who hear the page."""
    if fact.points is None:
        return _("rules it out")
    return _("for it") if fact.points > 0 else _("against it") if fact.points < 0 else _("to know")


def _link(source: str) -> str:
    found = SOURCES[source]
    title = escape(_(found.title))
    return f"<a href='{found.url}' target='_blank' rel='noopener noreferrer'>{title}</a>" if found.url else title
