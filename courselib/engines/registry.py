"""The engines there are: ours and those other packages add through the entry point group ``courselib.engines``."""

from __future__ import annotations

import difflib
import warnings
from collections.abc import Iterator
from importlib.metadata import entry_points

from courselib.engines.base import AnyEngine
from courselib.errors import SettingsError
from courselib.i18n import _

GROUP = "courselib.engines"


def engine_names() -> list[str]:
    """Names that ``launch`` takes."""
    return sorted({point.name for point in entry_points(group=GROUP)})


def get_engine(name: str) -> AnyEngine:
    """The engine of that name.

    Raises:
        SettingsError: there is none.
    """
    for point in entry_points(group=GROUP, name=name):
        engine: AnyEngine = point.load()
        return engine
    names = engine_names()
    near = difflib.get_close_matches(name.lower(), names, n=1, cutoff=0.5)
    hint = _(" Did you mean {near!r}?").format(near=near[0]) if near else ""
    raise SettingsError(
        _("There is no engine {name!r}; choose one of {names}.").format(name=name, names=", ".join(names)) + hint
    )


def all_engines() -> Iterator[AnyEngine]:
    """Every engine that can be loaded; of others' packages that cannot, a warning says which."""
    for point in sorted(entry_points(group=GROUP), key=lambda point: point.name):
        try:
            engine: AnyEngine = point.load()
        except Exception as error:  # noqa: BLE001 - somebody else's module may fail in any way
            warnings.warn(
                _("The engine {name} cannot be loaded and is left out: {reason}").format(name=point.name, reason=error),
                stacklevel=2,
            )
        else:
            yield engine


def engine_words(name: str) -> str:
    """An engine's name for people, and what it is where the name does not say so; other names as they are."""
    about = next((point.load().about for point in entry_points(group=GROUP, name=name)), "")
    return f"{name} ({_(about)})" if about else name
