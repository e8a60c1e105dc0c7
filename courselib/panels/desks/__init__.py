"""What the Deploy panel must know of each engine: an input for each setting, and what is known before a start."""

from courselib.errors import SettingsError
from courselib.i18n import _
from courselib.panels.desks import llamacpp, tgi, tgi_gateway, vllm
from courselib.panels.desks.base import EngineDesk, Preview

__all__ = ["EngineDesk", "Preview", "desk_of"]

DESKS = {desk.engine.name: desk for desk in (llamacpp.DESK, vllm.DESK, tgi.DESK, tgi_gateway.DESK)}


def desk_of(engine: str) -> EngineDesk:
    """What the Deploy panel must know of an engine.

    Raises:
        SettingsError: there is no Deploy panel for it.
    """
    if engine not in DESKS:
        raise SettingsError(
            _("There is no Deploy panel for {engine!r}; choose one of {names}, or start it with launch.").format(
                engine=engine, names=", ".join(DESKS)
            )
        )
    return DESKS[engine]
