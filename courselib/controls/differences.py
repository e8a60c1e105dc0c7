"""Where two calls with controls are not the same call: by values, by defaults, or by what one route does not have."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from courselib.controls.catalogue import CONTROLS
from courselib.controls.route import LOST, Line, Plan
from courselib.controls.routes.llamacpp import NONE


def differences(plans: Sequence[Plan]) -> dict[str, list[Line]]:
    """The controls whose effect differs between calls, or of which one call has more to say than that it is sent.

    Args:
        plans: the calls, on the same route or on others.

    Returns:
        By control, in the order in which they are shown: the line of each plan's report.
    """
    lines = {name: [plan.line(name) for plan in plans] for name in CONTROLS}
    return {name: found for name, found in lines.items() if any(line.matters for line in found) or not _all_same(found)}


def _all_same(lines: Sequence[Line]) -> bool:
    effects: list[Any] = []
    for line in lines:
        control = CONTROLS[line.control]
        if line.asked is None and line.verdict in LOST and control.off is None:
            continue  # what cannot be switched off and is not there has no effect to compare
        # Some routes name the value that does nothing, and some have none.
        effects.append(control.off if line.applies == NONE else line.applies)
    return all(effect == effects[0] for effect in effects)
