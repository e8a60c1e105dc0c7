"""Settings that a learner chose, measured outside: what a notebook measures for the learner, a grader measures itself.

In the learner's process, the measurement could be replaced by the answer that is wished for.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from courselib.engines.server import Server

ANSWER_S = 60.0


@dataclass(frozen=True)
class Measure:
    """How the settings of one exercise are measured.

    Args:
        function: the learner's, which returns settings.
        arguments: of its call, from the arguments of the judge's call.
        value: what the judge looks at, from the settings, the judge's call, and the engine where there is one.
        engine: settings of the engine that is asked; none where none is.
    """

    function: str
    arguments: Callable[..., list[Any]]
    value: Callable[..., Any]
    engine: dict[str, Any] | None = None


def _needed(settings: Any, _server: Server | None, _budget: int, _tokens: int) -> dict[str, Any]:
    from courselib import memory

    estimate = memory.llamacpp.estimate(_model(), **settings)
    return {"settings": settings, "mib": estimate.known / memory.MIB}


@functools.cache
def _model() -> Any:
    from courselib import memory, models

    return memory.from_gguf(models.gguf_header(models.resolve("smollm2-135m")))


def _answered(settings: Any, server: Server, question: str) -> dict[str, Any]:
    turn = f"<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n"
    body = {"n_predict": 40, "temperature": 0, **settings, "prompt": turn, "stream": False}
    answer = server.http.post("/completion", json=body, timeout=ANSWER_S).json()
    return {"settings": settings, "tokens": answer["tokens_predicted"]}


def _all(*call: Any) -> list[Any]:
    return list(call)


def _none(*_call: Any) -> list[Any]:
    return []


# By the judge's name.
MEASURES = {
    "two_users": Measure("settings", _all, _needed),
    "never_short": Measure("settings", _none, _answered, engine={"context": 512}),
}
