"""Optimized LLM inference with TGI, vLLM and llama.cpp, taught on real engines in Jupyter.

The names below are the whole public surface; each is loaded when first used, so that ``import courselib`` costs
next to nothing and imports no engine, no torch and no plotly.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from courselib.version import VERSION

__version__ = VERSION

_WHERE = {
    "launch": "courselib.engines.launcher",
    "attach": "courselib.engines.launcher",
    "manifest": "courselib.manifests.manifest",
    "native": "courselib.engines.llamacpp.native",
    "Server": "courselib.engines.server",
    "check": "courselib.exercises.check",
    "hint": "courselib.questions.hints",
    "setup": "courselib.notebook",
    "Capacity": "courselib.panels.capacity",
    "Chooser": "courselib.panels.chooser",
    "Compare": "courselib.panels.compare",
    "Controls": "courselib.controls.controls",
    "Deploy": "courselib.panels.deploy",
    "DoesItReally": "courselib.panels.does_it_really",
    "Memory": "courselib.panels.memory",
    "NextToken": "courselib.panels.next_token",
    "Penalties": "courselib.panels.penalties",
    "PenaltySweep": "courselib.panels.penalty_sweep",
    "Playground": "courselib.panels.playground",
    "Quiz": "courselib.panels.quiz",
    "Stops": "courselib.panels.stops",
    "Walk": "courselib.panels.walk",
    "CourseError": "courselib.errors",
}

__all__ = [
    "Capacity",
    "Chooser",
    "Compare",
    "Controls",
    "CourseError",
    "Deploy",
    "DoesItReally",
    "Memory",
    "NextToken",
    "Penalties",
    "PenaltySweep",
    "Playground",
    "Quiz",
    "Server",
    "Stops",
    "Walk",
    "__version__",
    "attach",
    "check",
    "hint",
    "launch",
    "manifest",
    "native",
    "setup",
]

if TYPE_CHECKING:
    from courselib.controls.controls import Controls
    from courselib.engines.launcher import attach, launch
    from courselib.engines.llamacpp.native import native
    from courselib.engines.server import Server
    from courselib.errors import CourseError
    from courselib.exercises.check import check
    from courselib.manifests.manifest import manifest
    from courselib.notebook import setup
    from courselib.panels.capacity import Capacity
    from courselib.panels.chooser import Chooser
    from courselib.panels.compare import Compare
    from courselib.panels.deploy import Deploy
    from courselib.panels.does_it_really import DoesItReally
    from courselib.panels.memory import Memory
    from courselib.panels.next_token import NextToken
    from courselib.panels.penalties import Penalties
    from courselib.panels.penalty_sweep import PenaltySweep
    from courselib.panels.playground import Playground
    from courselib.panels.quiz import Quiz
    from courselib.panels.stops import Stops
    from courselib.panels.walk import Walk
    from courselib.questions.hints import hint


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'courselib' has no attribute {name!r}")
    value = getattr(importlib.import_module(_WHERE[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
