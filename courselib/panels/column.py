"""One of several servers that are asked the same: a playground without a prompt and a button of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ipywidgets as widgets

from courselib.controls.controls import Controls
from courselib.engines.server import Server
from courselib.panels.playground import Playground
from courselib.panels.recording import NoServer, Recording

if TYPE_CHECKING:
    from courselib.panels.deploy import Deploy


class Column(Playground):
    """A column of ``Compare``, which gives it the prompt, starts and cancels it.

    Args:
        number: its place, from 1.
        source: who answers; nobody, where it is a recording alone.
        controls: what the form holds at first; by default what was recorded, or what a playground begins with.
        recording: the answer that is shown as long as no server runs.
    """

    def __init__(
        self,
        number: int,
        source: Server | Deploy | NoServer,
        controls: Controls | None,
        recording: Recording | None = None,
    ) -> None:
        self.heading = str(number)  # type: ignore[misc]
        super().__init__(source, controls=controls, recording=recording)  # type: ignore[arg-type]
        self.remove_class("cl-panel")
        self.add_class("cl-column")

    @property
    def source(self) -> Server | Deploy | NoServer:
        """Who answers."""
        given: Server | Deploy | NoServer = self._source
        return given

    @property
    def fault(self) -> BaseException | None:
        """Why it did not answer, if it did not."""
        return self._fault

    def set_remark(self, words: str) -> None:
        """Keep what is to be known of the model; ``Compare`` shows it, once for all columns."""
        self._said = words

    def _arranged(self) -> list[widgets.Widget]:
        return [*self.make_beside(), self.stale, self.view, self.code]
