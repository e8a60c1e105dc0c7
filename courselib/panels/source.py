"""Who answers a panel: a server, or the desk (``Deploy``) that may start one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeAlias

from courselib.controls.code import programs
from courselib.controls.route import Plan
from courselib.engines.server import Server
from courselib.errors import Unreachable
from courselib.i18n import _
from courselib.panels.base import Panel
from courselib.panels.code_fold import CodeFold

if TYPE_CHECKING:
    from courselib.panels.deploy import Deploy

    Source: TypeAlias = Server | Deploy


def running(source: Source) -> Server | None:
    """The server; ``None`` where it is a desk's, and none runs there."""
    return source if isinstance(source, Server) else source.server


def server_of(source: Source, press: str) -> Server:
    """The server.

    Args:
        source: who answers.
        press: the button to press once there is a server, as a person reads it.

    Raises:
        Unreachable: it is a desk's, and none runs there.
    """
    if server := running(source):
        return server
    raise Unreachable(_("No server runs yet; press Start in the Deploy panel, then {button}.").format(button=press))


class Asking(Panel):
    """A panel that asks one server.

    Args:
        title, origin: as of ``Panel``.
        source: who answers.
        press: the button that asks, as a person reads it.
    """

    def __init__(self, title: str, source: Source, origin: str, press: str) -> None:
        super().__init__(title, source.engine_name, origin)
        self._source = source
        self._press = press

    @property
    def server(self) -> Server:
        """Who answers.

        Raises:
            Unreachable: it is a desk's, and none runs there.
        """
        return server_of(self._source, self._press)

    def show_call(
        self, code: CodeFold, plan: Plan, prompt: str | list[dict[str, str]], more: Sequence[str] = ()
    ) -> None:
        """Show the programs that make a call, what the engine does not honour of it, and ``more``."""
        server = running(self._source)
        if server is None:
            code.programs, code.notes = {}, [_("The code appears once a server runs."), *plan.notes]
            return
        code.programs = programs(plan, prompt, server.endpoint)
        code.notes = [*plan.notes, *more]
        self.set_model(server.model)
