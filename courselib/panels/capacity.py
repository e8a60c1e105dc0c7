"""From people and measured speeds to servers and money, with every assumption an input."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import ipywidgets as widgets
import traitlets

from courselib import planning
from courselib.errors import SettingsError
from courselib.i18n import N_, _
from courselib.panels.base import Panel, escape, facts_table
from courselib.panels.code_fold import CodeFold
from courselib.panels.fields import Field, Number, Whole, fields_of
from courselib.panels.still import HTML

LABEL_WIDTH = "150px"
# Which argument of which class of ``courselib.planning`` an input is; an input that is not here is none of a class.
GROUPS: dict[str, tuple[str, tuple[str, ...]]] = {
    "Demand": (N_("What people ask"), ("users", "per_hour", "busy_hours", "prompt", "answer")),
    "Speeds": (N_("What one server does: measure yours"), ("prefill", "decode", "at_once")),
    "Promise": (N_("What is promised"), ("first_token_s", "each_token_s", "utilisation")),
    "Machine": (N_("Prices, in any currency"), ("price_hour", "spare", "price_in", "price_out", "days")),
}
PROGRAM = """from courselib import planning

demand = planning.Demand(users={users}, per_hour={per_hour}, busy_hours={busy_hours}, prompt={prompt}, answer={answer})
speeds = planning.Speeds(prefill={prefill}, decode={decode}, at_once={at_once})
promise = planning.Promise(first_token_s={first_token_s}, each_token_s={each_token_s})
plan = planning.plan(demand, speeds, promise, utilisation={utilisation})

machine = planning.Machine(price_hour={price_hour}, memory_gib=24)  # memory is not looked at here
own = planning.bill(plan, machine, spare={spare}, days={days})
rented = planning.Rented(price_in={price_in}, price_out={price_out})
even = planning.break_even(plan, own, rented, days={days}, utilisation={utilisation})
print(plan, own, even, sep="\\n")
"""


@dataclass(frozen=True)
class Found:
    """What the inputs lead to."""

    plan: planning.Plan
    own: planning.Bill
    rented_month: float
    even: planning.BreakEven


class Capacity(Panel):
    """Servers, machines and money for a demand; each assumption is an input, and a trait. Nothing is measured here.

    Args:
        inputs: values to begin with, by the names of the inputs; all others are invented examples.

    Raises:
        SettingsError: a value that an input does not take.
    """

    found: Found | None = traitlets.Any()  # type: ignore[assignment]

    users = Whole(200, low=1, high=100_000, label=N_("users"), help=N_("how many people"))
    per_hour = Number(
        9, low=0.5, high=60, step=0.5, label=N_("requests an hour"), help=N_("of each, when it is busiest")
    )
    busy_hours = Number(
        6, low=1, high=24, step=0.5, label=N_("busy hours"), help=N_("a day has as many requests as so many such hours")
    )
    prompt = Whole(800, low=1, high=32_000, label=N_("prompt, tokens"), help=N_("mean length of a prompt"))
    answer = Whole(340, low=1, high=8_000, label=N_("answer, tokens"), help=N_("mean length of an answer"))
    prefill = Whole(
        4000, low=1, high=1_000_000, label=N_("prefill, tokens/s"), help=N_("prompts read, all slots together")
    )
    decode = Whole(
        200, low=1, high=100_000, label=N_("decode, tokens/s"), help=N_("answers generated, all slots together")
    )
    at_once = Whole(
        8, low=1, high=256, label=N_("requests at once"), help=N_("a server's slots, while it was measured")
    )
    first_token_s = Number(
        5, low=0.5, high=60, step=0.5, label=N_("first token, s"), help=N_("for 95 of 100 requests, queue included")
    )
    each_token_s = Number(
        0.05, low=0.01, high=1, step=0.01, label=N_("each token, s"), help=N_("from one token to the next")
    )
    utilisation = Number(
        0.7, low=0.1, high=0.99, step=0.01, label=N_("utilisation"), help=N_("how busy servers may be at the busiest")
    )
    price_hour = Number(1.2, low=0.01, high=100, step=0.01, label=N_("machine, an hour"), help=N_("for one server"))
    spare = Whole(1, low=0, high=20, label=N_("spare machines"), help=N_("for a failure or an update"))
    price_in = Number(
        5, low=0.01, high=100, step=0.01, label=N_("API, prompts"), help=N_("rented: for a million tokens of prompts")
    )
    price_out = Number(
        15, low=0.01, high=200, step=0.01, label=N_("API, answers"), help=N_("rented: for a million tokens of answers")
    )
    days = Whole(22, low=1, high=31, label=N_("days a month"), help=N_("on which people work"))

    def __init__(self, **inputs: Any) -> None:
        super().__init__(_("Capacity"), "", _("computed from your inputs; those at first are invented"))
        for name, value in inputs.items():
            if not isinstance(type(self).class_traits().get(name), Field):
                raise SettingsError(
                    _("There is no input {name!r}; choose one of {names}.").format(
                        name=name, names=", ".join(fields_of(Capacity))
                    )
                )
            setattr(self, name, value)
        self.inputs = {name: field.widget(self, label_width=LABEL_WIDTH) for name, field in fields_of(Capacity).items()}
        self.code = CodeFold(title=_("Code"))
        self.result = widgets.HTML()
        self.result.add_class("cl-capacity")
        groups = []
        for words, names in GROUPS.values():
            groups.append(widgets.HTML(f"<b>{escape(_(words))}</b>"))
            groups += [self.inputs[name] for name in names]
        for each in self.inputs.values():
            each.layout.width = "auto"
        body = widgets.Box([widgets.VBox(groups), widgets.VBox([self.result, self.code])])
        body.add_class("cl-body")
        self.lay_out(body)
        self.observe(self._changed, list(self.inputs))
        self._changed()

    def values(self) -> dict[str, Any]:
        """The inputs by name."""
        return {name: getattr(self, name) for name in self.inputs}

    def _changed(self, _change: object = None) -> None:
        """An input was changed: plan anew."""
        try:
            self.found = _find(self.values())
        except SettingsError as error:
            self.found = None
            self.show_error(error)
            self.set_state_text(_("no plan"))
        else:
            self.show_error(None)
            self.set_state_text(_("servers: {n}").format(n=self.found.plan.servers))
        self.result.value = facts_table(self.rows())
        self.stills = {HTML: self.result.value} if self.found else {}
        self.code.programs = {"Python": PROGRAM.format(**self.values())}

    def rows(self) -> list[tuple[str, str, str]]:
        """What was found: name, value, and how it was computed; empty where there is no plan."""
        if self.found is None:
            return []
        plan, own, even = self.found.plan, self.found.own, self.found.even
        demand, speeds = plan.demand, plan.speeds
        return [
            (_("Requests"), _("{n:.3g} a second").format(n=demand.per_s), _("users × requests an hour / 3600")),
            (
                _("Work"),
                _("{n:.3g} s of a server each").format(n=speeds.busy_s(demand)),
                _("prompt / prefill + answer / decode"),
            ),
            (_("Running"), _("{n:.1f} at once").format(n=plan.at_once), _("Little's law: a second's × time in a slot")),
            (
                _("Servers"),
                _("{n}, {busy:.1f} % busy").format(n=plan.servers, busy=100 * plan.utilisation),
                _("fewest within utilisation and promise"),
            ),
            (
                _("First token"),
                _("{n:.1f} s").format(n=plan.first_token_s),
                _("p95: wait by Erlang's formula + prompt × slots / prefill"),
            ),
            (_("Each token"), _("{n:.3f} s").format(n=speeds.each_token_s), _("slots / decode")),
            (_("Machines"), str(own.machines), _("one a server, and the spare ones")),
            (_("A month"), f"{own.month:,.0f}", _("machines × price × 730 hours; nothing else")),
            (_("A million tokens"), f"{own.million_tokens:,.2f}", _("the month / its tokens")),
            (_("A month, rented"), f"{self.found.rented_month:,.0f}", _("tokens × the API's prices")),
            (
                _("Break-even"),
                _("{n:,.0f} requests a day").format(n=even.per_day),
                _("now {now:,.0f}, cheaper: {cheaper}; the servers carry {most:,.0f}").format(
                    now=even.now,
                    cheaper=_("own machines") if even.cheaper == "own" else _("the API"),
                    most=even.most_per_day,
                ),
            ),
        ]

    def as_table(self) -> str:
        """Inputs and results as plain text."""
        given = [f"{widget.description:<20}{getattr(self, name):g}" for name, widget in self.inputs.items()]
        found = [f"{name:<20}{value}  ({origin})" for name, value, origin in self.rows()]
        return "\n".join([super().as_table(), *given, "", *found])

    def __repr__(self) -> str:
        return "Capacity()"


def _find(given: dict[str, Any]) -> Found:
    """Plan, bill and comparison of the inputs."""

    def of(group: str, *names: str) -> dict[str, Any]:
        return {name: given[name] for name in GROUPS[group][1] if name not in names}

    demand, speeds = planning.Demand(**of("Demand")), planning.Speeds(**of("Speeds"))
    plan = planning.plan(
        demand, speeds, planning.Promise(**of("Promise", "utilisation")), utilisation=given["utilisation"]
    )
    own = planning.bill(
        plan,
        planning.Machine(price_hour=given["price_hour"], memory_gib=24),
        spare=given["spare"],
        days=given["days"],
    )
    rented = planning.Rented(price_in=given["price_in"], price_out=given["price_out"])
    even = planning.break_even(plan, own, rented, days=given["days"], utilisation=given["utilisation"])
    return Found(plan, own, rented.month(demand, days=given["days"]), even)
