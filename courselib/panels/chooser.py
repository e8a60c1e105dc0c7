"""Say what you need, and see which engine fits, why, and how to start it."""

from __future__ import annotations

import dataclasses
from typing import Any

import ipywidgets as widgets
import traitlets

from courselib.choosing import choose
from courselib.choosing.choose import QUESTIONS, Needs, Verdict
from courselib.choosing.facts import SOURCES, Fact, Other
from courselib.i18n import N_, _, ngettext
from courselib.panels import still
from courselib.panels.base import Panel, escape
from courselib.panels.code_fold import CodeFold
from courselib.panels.fields import Choice, Flag, fields_of

LABEL_WIDTH = "110px"


def _question(question: str, label: str, help: str) -> Choice:
    return Choice(list(QUESTIONS[question]), names=QUESTIONS[question], label=label, help=help)


class Chooser(Panel):
    """Seven questions, and the three engines in the order that the answers give.

    Each answer is a trait; ``needs`` holds all of them, ``ranking`` the engines, best first.

    Args:
        answers: answers to begin with, as those of ``choosing.choose.Needs``; the hardware is that of this machine.

    Raises:
        SettingsError: an answer that there is not.
    """

    needs: Needs = traitlets.Any()  # type: ignore[assignment]
    ranking: tuple[Verdict, ...] = traitlets.Any(())  # type: ignore[assignment]

    hardware = _question("hardware", N_("Hardware"), N_("what the engine will run on; preset to what this machine has"))
    users = _question("users", N_("Users at once"), N_("how many requests come at the same time"))
    api = _question("api", N_("API wanted"), N_("how your program will talk to the engine"))
    model = _question("model", N_("Model"), N_("size of the model, which decides how much memory it needs"))
    licence = _question("licence", N_("Licence"), N_("licence that the engine must have"))
    offline = _question("offline", N_("Network"), N_("whether the machine can download"))
    kubernetes = Flag(False, label="Kubernetes", help=N_("you run your servers on Kubernetes"))
    prometheus = Flag(False, label="Prometheus", help=N_("you collect metrics with Prometheus"))
    ray = Flag(False, label="Ray", help=N_("you share work among machines with Ray"))

    def __init__(self, **answers: Any) -> None:
        super().__init__(_("Chooser"), "TGI, vLLM, llama.cpp", _("facts quoted or recorded, weights by the course"))
        needs = dataclasses.replace(choose.needs_of_this_machine(), **answers)
        for question in QUESTIONS:
            if question != "operations":
                setattr(self, question, getattr(needs, question))
        for operation in QUESTIONS["operations"]:
            setattr(self, operation, operation in needs.operations)
        fields = fields_of(Chooser)
        self.inputs = {name: field.widget(self, label_width=LABEL_WIDTH) for name, field in fields.items()}
        self.code = CodeFold(title=_("Start it"))
        self.code.opened = True
        self.result = widgets.HTML()
        self.result.add_class("cl-chooser")
        self._arrange()
        self.observe(self._changed, list(fields))
        self._changed()

    def _arrange(self) -> None:
        checks = [self.inputs[name] for name in QUESTIONS["operations"]]
        lists = [each for each in self.inputs.values() if each not in checks]
        for each in lists:
            each.layout.width = "auto"
        label = widgets.Label(_("Operations"), layout={"width": LABEL_WIDTH, "justify_content": "flex-end"})
        operations = widgets.HBox([label, widgets.VBox(checks)])
        body = widgets.Box([widgets.VBox([*lists, operations]), widgets.VBox([self.result, self.code])])
        body.add_class("cl-body")
        self.lay_out(body)

    def answers(self) -> dict[str, Any]:
        """The answers as ``Needs`` takes them."""
        ticked = tuple(name for name in QUESTIONS["operations"] if getattr(self, name))
        given = {question: getattr(self, question) for question in QUESTIONS if question != "operations"}
        return {**given, "operations": ticked}

    def _changed(self, _change: object = None) -> None:
        """An answer was given: rank anew."""
        self.needs = Needs(**self.answers())
        self.ranking = choose.rank(self.needs)
        self.result.value = _page(self.ranking, choose.others(self.needs))
        best = self.ranking[0]
        self.set_state_text(
            _("none of the three fits") if best.ruled_out else _("best: {engine}").format(engine=best.title)
        )
        fitting = [verdict for verdict in self.ranking if not verdict.ruled_out]
        self.code.programs = {verdict.title: choose.launch_line(verdict.engine, self.needs) for verdict in fitting}
        self.code.selected = best.title if fitting else ""
        self.code.notes = self._notes()

    def _notes(self) -> list[str]:
        notes = []
        if self.needs.model != "small" or self.needs.hardware == "gpus":
            notes.append(_("The model is the largest of this course; put your own in its place."))
        if self.needs.hardware == "gpus":
            notes.append(_("Written for {n} GPUs.").format(n=choose.EXAMPLE_GPUS))
        if self.needs.api == "tgi":
            notes.append(_('To try TGI\'s protocol without TGI: courselib.launch("tgi-gateway").'))
        return notes

    def as_table(self) -> str:
        """Answers, ranking and reasons as plain text."""
        lines = [super().as_table()]
        lines += [f"{self._label(question):<16}{_given(question, self.needs) or '-'}" for question in QUESTIONS]
        for place, verdict in enumerate(self.ranking, 1):
            lines.append(f"{place}. {verdict.title}: {_judgement(verdict)}")
            lines += [f"   {_mark(fact)} {_sentence(fact)} [{_(SOURCES[fact.source].title)}]" for fact in verdict.facts]
        lines += [f"{_('Also')}: {other.name}, {_(other.text)}" for other in choose.others(self.needs)]
        return "\n".join([*lines, "", self.code.programs.get(self.code.selected, "")]).rstrip()

    def _repr_mimebundle_(self, **wanted: Any) -> dict[str, Any]:
        """The answers and the ranking as they stand, for saved notebooks."""
        self.stills = {"text/plain": self.as_table(), still.HTML: self._still()}
        return super()._repr_mimebundle_(**wanted)

    def _still(self) -> str:
        caption = " · ".join([self.title, self._engines, self.state, self.origin])
        rows = [(escape(self._label(question)), escape(_given(question, self.needs) or "-")) for question in QUESTIONS]
        chosen = still.table((_("What is needed"), ""), rows)
        program = self.code.programs.get(self.code.selected)
        start = f"<p>{escape(self.code.labels['title'])}</p><pre>{escape(program)}</pre>" if program else ""
        return f"<p>{escape(caption)}</p>{chosen}{self.result.value}{start}"

    def _label(self, question: str) -> str:
        return str(self.inputs[question].description) if question in self.inputs else _("Operations")

    def __repr__(self) -> str:
        # Fixed, and not by what this machine has: notebooks keep it where there is no front end.
        return "Chooser(TGI, vLLM, llama.cpp)"


def _given(question: str, needs: Needs) -> str:
    """The answers to a question, for people."""
    return ", ".join(_(QUESTIONS[question][answer]) for answer in needs.answers(question))


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
    last = f"<p class='cl-quiet'>{escape(_('Also worth a look:'))} {also}.</p>" if also else ""
    return f"<div role='region' aria-label='{escape(_('Ranking'))}'><ol>{places}</ol>{last}</div>"


def _place(verdict: Verdict) -> str:
    facts = "".join(
        f"<li><span class='cl-mark' role='img' aria-label='{escape(_meaning(fact))}'>{_mark(fact)}</span> "
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
