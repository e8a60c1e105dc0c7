"""How one route of one engine spells the controls, and what it does not honour.

A route is a table with a ``Spelling`` for every control. From it and from ``Controls`` comes a ``Plan``: the arguments
to send, and a report that says of each control what becomes of it. Nothing is dropped in silence: what a route ignores
or refuses is not sent, and the report says so.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from courselib.controls.catalogue import CONTROLS
from courselib.controls.controls import Controls
from courselib.i18n import N_, _


class Verdict(enum.Enum):
    """What becomes of a control on a route; the value is the word a person sees."""

    SENT = N_("sent")
    OFF = N_("off")
    DEFAULT = N_("default")
    CLAMPED = N_("clamped")
    DIFFERENT = N_("means something else")
    REFUSED = N_("refused")
    IGNORED = N_("ignored")
    MISSING = N_("not available")


LOST = (Verdict.REFUSED, Verdict.IGNORED, Verdict.MISSING)
WORTH_A_WORD = (*LOST, Verdict.CLAMPED, Verdict.DIFFERENT)


@dataclass(frozen=True)
class Spelling:
    """What a route makes of one control. Made by ``sent``, ``differs``, ``ignored`` and ``missing``.

    Args:
        verdict: what becomes of it where it is set.
        write: value to arguments; ``None`` where the route has nothing for it.
        default: what applies where it is not sent: a value, or words for a person.
        words: how its meaning differs, what else is worth knowing, or the nearest that there is.
        accepts: whether the route takes a value; it refuses others.
        interval: what it takes, in words.
        clamp: the value that the engine uses in place of one.
        off_is_absent: whether off is said by leaving it out.
    """

    verdict: Verdict
    write: Callable[[Any], Mapping[str, Any]] | None = None
    default: Any = None
    words: str = ""
    accepts: Callable[[Any], bool] = lambda _value: True
    interval: str = ""
    clamp: Callable[[Any], Any] = lambda value: value
    off_is_absent: bool = False


def sent(name: str | Callable[[Any], Mapping[str, Any]], default: Any = None, words: str = "", **more: Any) -> Spelling:
    """A control that the route honours, under this name (or as the arguments that a function makes of its value)."""
    return Spelling(Verdict.SENT, _writer(name), default, words, **more)


def differs(name: str | Callable[[Any], Mapping[str, Any]], words: str, default: Any = None, **more: Any) -> Spelling:
    """A control that the route takes and understands otherwise; ``words`` say how."""
    return Spelling(Verdict.DIFFERENT, _writer(name), default, words, **more)


def ignored(words: str, default: Any = None) -> Spelling:
    """A control whose name the route takes, and then does nothing."""
    return Spelling(Verdict.IGNORED, None, default, words)


def missing(nearest: str, default: Any = None) -> Spelling:
    """A control that the route does not have; ``nearest`` names what it has instead."""
    return Spelling(Verdict.MISSING, None, default, nearest)


def _writer(name: str | Callable[[Any], Mapping[str, Any]]) -> Callable[[Any], Mapping[str, Any]]:
    return (lambda value: {name: _plain(value)}) if isinstance(name, str) else name


def _plain(value: Any) -> Any:
    """A value as JSON has it."""
    return list(value) if isinstance(value, tuple) else dict(value) if isinstance(value, dict) else value


@dataclass(frozen=True)
class Line:
    """One control in a report: what was asked, what is sent for it, what becomes of it, and that in a sentence.

    ``applies`` is what the engine then goes by, as far as the table tells: a value, or words for a person.
    """

    control: str
    verdict: Verdict
    asked: Any
    arguments: Mapping[str, Any]
    text: str
    applies: Any

    @property
    def matters(self) -> bool:
        """Whether a person who set this control must be told."""
        return self.asked is not None and self.verdict in WORTH_A_WORD


@dataclass(frozen=True)
class Plan:
    """A call on a route: the arguments besides prompt and model, and the report, a line for each control."""

    route: Route
    controls: Controls
    arguments: Mapping[str, Any]
    report: tuple[Line, ...]

    def line(self, control: str) -> Line:
        """The report on one control."""
        return next(line for line in self.report if line.control == control)

    @property
    def notes(self) -> list[str]:
        """The sentences that whoever set the controls must read."""
        return [f"{line.control}: {line.text}" for line in self.report if line.matters]


@dataclass(frozen=True)
class Combination:
    """What a route makes of controls together.

    Args:
        unsent: controls that are not sent beside others: what becomes of each, and why.
        arguments: what else must be sent.
        applies: what the engine goes by for controls that are not sent, where that is not its default.
    """

    unsent: Mapping[str, tuple[Verdict, str]] = field(default_factory=dict)
    arguments: Mapping[str, Any] = field(default_factory=dict)
    applies: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Route:
    """One way into an engine.

    Args:
        name: for people and for ``courselib.controls.routes.ROUTES``.
        engine: whose defaults apply, for people.
        engines: names of the launchers whose servers have it.
        takes: whether it wants a chat's messages or a plain text.
        table: a spelling for every control.
        source: the version whose source and answers the table was read off.
        path: below the server's address; empty for a library in this process.
        nest: the field of the body that holds the arguments; empty where they stand beside the prompt.
        combine: rules for controls together.
    """

    name: str
    engine: str
    engines: tuple[str, ...]
    takes: Literal["messages", "prompt"]
    table: Mapping[str, Spelling]
    source: str
    path: str = ""
    nest: str = ""
    combine: Callable[[Controls], Combination] = lambda _controls: Combination()

    def plan(self, controls: Controls, *, defaults: Mapping[str, Any] | None = None, origin: str = "") -> Plan:
        """What to send for these controls, and what becomes of each.

        Args:
            controls: what is asked for.
            defaults: what this very server applies where nothing is sent, by control.
            origin: where it has these from, such as the model's ``generation_config.json``.
        """
        together = self.combine(controls)
        told = defaults or {}
        lines = tuple(self._line(name, getattr(controls, name), together, told, origin) for name in CONTROLS)
        arguments = dict(together.arguments)
        for line in lines:
            arguments.update(line.arguments)
        return Plan(self, controls, arguments, lines)

    def body(self, plan: Plan, prompt: Any, model: str = "") -> dict[str, Any]:
        """The JSON body of the call: prompt (or messages), model where the route wants one, and arguments."""
        if self.nest:
            return {"inputs": prompt, self.nest: dict(plan.arguments)}
        return {**({"model": model} if model else {}), self.takes: prompt, **plan.arguments}

    def _line(self, name: str, value: Any, together: Combination, told: Mapping[str, Any], origin: str) -> Line:
        spelling, off = self.table[name], CONTROLS[name].off
        default = off if spelling.write is None else told.get(name, spelling.default)

        def line(verdict: Verdict, text: str, arguments: Mapping[str, Any] | None = None, applies: Any = None) -> Line:
            return Line(name, verdict, value, arguments or {}, text, default if applies is None else applies)

        if value is None:
            return line(*self._unset(spelling, default, origin))
        if spelling.write is None or (value == off and spelling.off_is_absent):
            if value == off:
                return line(Verdict.OFF, _("left out, which is off here"), applies=off)
            return line(spelling.verdict, _lost(spelling))
        if name in together.unsent:
            verdict, reason = together.unsent[name]
            return line(verdict, _("not sent: {reason}").format(reason=_(reason)), applies=together.applies.get(name))
        if not spelling.accepts(value):
            return line(Verdict.REFUSED, _("not sent: this route takes {what}").format(what=_(spelling.interval)))
        arguments = spelling.write(value)
        words = _("sent as {arguments}").format(arguments=shown(arguments))
        applied = spelling.clamp(value)
        if applied != value:
            text = _("{sent}; the engine takes {applied} for it").format(sent=words, applied=applied)
            return line(Verdict.CLAMPED, text, arguments, applied)
        text = _("{sent}; {words}").format(sent=words, words=_(spelling.words)) if spelling.words else words
        return line(spelling.verdict, text, arguments, value)

    def _unset(self, spelling: Spelling, default: Any, origin: str) -> tuple[Verdict, str]:
        if spelling.write is None:
            return spelling.verdict, _lost(spelling)
        shown_default = _(default) if isinstance(default, str) else repr(default)
        if default != spelling.default:
            return Verdict.DEFAULT, _("not sent: {default} applies, from {origin}").format(
                default=shown_default, origin=origin
            )
        return Verdict.DEFAULT, _("not sent: {engine}'s default applies, {default}").format(
            engine=self.engine, default=shown_default
        )


def _lost(spelling: Spelling) -> str:
    words = _("this route ignores it") if spelling.verdict is Verdict.IGNORED else _("this route has no such control")
    return _("{what}; {words}").format(what=words, words=_(spelling.words)) if spelling.words else words


def shown(arguments: Mapping[str, Any]) -> str:
    """Arguments as a person reads them."""
    return ", ".join(f"{name}={value!r}" for name, value in arguments.items())
