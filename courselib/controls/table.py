"""The page of the docs that crosses every control with every route, rendered from their tables.

A table for each engine; each cell links to its fact below. The page is in English, like all of the docs.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from typing import Any

from courselib.controls.catalogue import CONTROLS
from courselib.controls.control import Control
from courselib.controls.effective import PROBES
from courselib.controls.route import LOST, Route, Spelling, Verdict
from courselib.controls.routes import ROUTES

PAGE = "docs/controls.md"
INTRODUCTION = """\
<!-- Written by `courselib build` from courselib/controls; do not edit. -->
# The controls, engine by engine

One name for each control, which is vLLM's, and what becomes of it on each route into an engine. Each cell links to its
fact below. The tests try every cell on live engines.

| word | means |
|---|---|
| sent | the route has it, and it does what its name says |
| means something else | the route has it under this name, and does something else with it |
| ignored | the route's API has the name, and the engine does nothing with it; it is not sent |
| not available | the route has no such control, and it is not sent: a server would ignore it, a library refuse it |

A control that is not set is not sent either, and the engine's default applies.
"""


def page() -> str:
    """The page's text."""
    by_engine = itertools.groupby(ROUTES.values(), key=lambda route: route.engine)
    sections = [INTRODUCTION, *(_engine(engine, list(routes)) for engine, routes in by_engine)]
    return "\n".join([*sections, *(_facts(control) for control in CONTROLS.values())])


def wire_names(name: str, spelling: Spelling) -> list[str]:
    """The arguments that a route makes of a control."""
    return list(spelling.write(PROBES[CONTROLS[name].kind])) if spelling.write else []


def _engine(engine: str, routes: list[Route]) -> str:
    head = ["control", *(f"`{route.path or route.name}`" for route in routes)]
    rows = [[f"[{name}](#{name})", *(_cell(route, name) for route in routes)] for name in CONTROLS]
    lines = [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows)]
    return "\n".join([f"## {engine}", "", f"As of {routes[0].source}.", "", *lines, ""])


def _cell(route: Route, name: str) -> str:
    spelling = route.table[name]
    names = " ".join(f"`{wire}`" for wire in wire_names(name, spelling))
    return f"[{spelling.verdict.value}](#{_anchor(route, name)}) {names}".rstrip()


def _anchor(route: Route, name: str) -> str:
    return f"{name}-{'-'.join(re.findall('[a-z0-9]+', route.name.lower()))}"


def _facts(control: Control) -> str:
    """One control: what it does, and a line for all routes of which the same is true."""
    same: dict[str, list[Route]] = {}
    for route in ROUTES.values():
        same.setdefault(_fact(control, route.table[control.name], route), []).append(route)
    lines = [f"- {_places(control.name, routes)}: {fact}" for fact, routes in same.items()]
    told = f"{control.sentence} Takes {control.interval}{_off(control)}."
    return "\n".join([f"## {control.name}", "", told, "", *lines, ""])


def _places(name: str, routes: list[Route]) -> str:
    anchors = "".join(f'<a id="{_anchor(route, name)}"></a>' for route in routes)
    return anchors + ", ".join(f"**{route.name}**" for route in routes)


def _off(control: Control) -> str:
    return "" if control.off is None else f"; `{_json(control.off)}` is off"


def _fact(control: Control, spelling: Spelling, route: Route) -> str:
    return f"{'; '.join(_parts(control, spelling))} ({route.source})"


def _parts(control: Control, spelling: Spelling) -> Iterator[str]:
    if spelling.verdict in LOST:
        yield spelling.verdict.value
    else:
        names = ", ".join(f"`{name}`" for name in wire_names(control.name, spelling))
        yield f"sent as {names}" + (", which means something else" if spelling.verdict is Verdict.DIFFERENT else "")
    if spelling.words:
        yield spelling.words
    if spelling.write:
        default = spelling.default
        yield f"default: {default if isinstance(default, str) else f'`{_json(default)}`'}"
    if spelling.interval:
        yield f"takes {spelling.interval}"
    if spelling.off_is_absent:
        yield "off is said by leaving it out"
    # A value next to the lower limit shows whether the engine has a limit of its own.
    near = control.low + control.step / 50
    if control.kind is float and spelling.clamp(near) != near:
        yield f"`{near:g}` is taken for `{spelling.clamp(near):g}`"


def _json(value: Any) -> str:
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else str(value).replace("()", "[]")
