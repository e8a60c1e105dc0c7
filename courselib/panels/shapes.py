"""Shapes of models by name, for panels: those on this machine and in the table at once, others read beside the kernel.

A header that is only on the hub takes a request or two; it is read once, and what was wrong is remembered until another
name is chosen.
"""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable

from courselib import memory
from courselib.errors import CourseError, ModelError, ModelNotFound
from courselib.memory import Model, Weights
from courselib.models import CATALOGUE, locate, read_header, text_model_header
from courselib.panels.worker import thread

BFLOAT16_BYTES = 2
LLAMACPP = "llama.cpp"


class Shapes:
    """What is known of models.

    Args:
        on_known: called, in another thread, once a shape has been read.
    """

    def __init__(self, on_known: Callable[[], None]) -> None:
        self._on_known = on_known
        self._lock = threading.Lock()
        self._found: dict[str, Model | CourseError | None] = {}

    def get(self, name: str, engine: str) -> Model | None:
        """The shape of a model as an engine has it; ``None`` while it is being read.

        Raises:
            CourseError: there is none of that name, or it cannot be read.
        """
        found = self._look(name)
        if isinstance(found, CourseError):
            raise found
        return found if found is None or engine == LLAMACPP else _unquantised(found, name)

    def _look(self, name: str) -> Model | CourseError | None:
        with self._lock:
            if name in self._found:
                return self._found[name]
            self._found = {known: shape for known, shape in self._found.items() if isinstance(shape, Model)}
            found = self._found[name] = _at_hand(name)
        if found is None:
            thread(self._read, name).start()
        return found

    def _read(self, name: str) -> None:
        try:
            found: Model | CourseError = memory.from_gguf(read_header(name))
        except CourseError as error:
            found = error
        with self._lock:
            self._found[name] = found
        self._on_known()


def program(name: str, engine: str, *others: str) -> str:
    """The lines that give the same shape, with what else of ``courselib`` is imported."""
    if name in memory.known_models():
        rooms = ", ".join(sorted(["memory", *others]))
        return f"from courselib import {rooms}\n\nmodel = memory.known_model({name!r})\n"
    lines = f"from courselib import {', '.join(sorted(['memory', 'models', *others]))}\n\n"
    lines += f"model = memory.from_gguf(models.read_header({name!r}))\n"
    if engine == LLAMACPP:
        return lines
    known = _parameters(name)
    weights = f"memory.Weights(other={BFLOAT16_BYTES} * {known})" if known else "None"
    return f'import dataclasses\n\n{lines}model = dataclasses.replace(model, weights={weights}, dtype="bfloat16")\n'


def _parameters(name: str) -> int | None:
    return next((one.params for one in CATALOGUE if one.name == name.lower()), None)


def _at_hand(name: str) -> Model | CourseError | None:
    if name in memory.known_models():
        return memory.known_model(name)
    try:
        return memory.from_gguf(text_model_header(locate(name)))
    except ModelNotFound as error:
        # A name of the hub, or of the catalogue, may be asked for there; anything else is no model.
        known = any(model.name == name.lower() for model in CATALOGUE)
        return None if known or "/" in name.strip("./") else error
    except ModelError as error:
        return error


def _unquantised(model: Model, name: str) -> Model:
    """The model as vLLM and TGI load it: its numbers in 16 bits, wherever its parameters are known."""
    if model.dtype:
        return model
    known = _parameters(name)
    weights = Weights(other=known * BFLOAT16_BYTES) if known else None
    return dataclasses.replace(model, weights=weights, dtype="bfloat16")
