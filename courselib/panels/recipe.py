"""What a panel on the base of experiments writes of its own; ``Experiment`` does the rest."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from typing import Any, ClassVar

import ipywidgets as widgets

from courselib.controls.code import programs
from courselib.controls.controls import Controls
from courselib.controls.route import Plan
from courselib.engines.endpoint import Endpoint
from courselib.errors import SettingsError
from courselib.i18n import _
from courselib.panels.asked import Asked
from courselib.panels.base import Panel
from courselib.panels.run import Run
from courselib.panels.server_facts import ServerFacts
from courselib.panels.state import WORDS, State


class Recipe(Panel):
    """The words of a panel, the call it is about, what it measures, and how a result is shown."""

    heading: ClassVar[str]
    origin_words: ClassVar[str]
    press: ClassVar[str]
    at_work: ClassVar[str] = WORDS[State.BUSY]
    icon: ClassVar[str] = "play"
    code_title: ClassVar[str] = ""
    # Groups of controls that the form has; none, no form. And what it holds at first.
    groups: ClassVar[tuple[str, ...]] = ()
    first_controls: ClassVar[Controls] = Controls()
    # Whether it asks as in a chat, by the model's template.
    chats: ClassVar[bool] = False
    # Whether the controls change what is asked of the server, and not only how its answer is shown.
    sends_controls: ClassVar[bool] = True

    @abstractmethod
    def make_view(self) -> widgets.Widget:
        """The widget that shows a result."""

    def call(self, asked: Asked, facts: ServerFacts) -> tuple[Plan, str | list[dict[str, str]]] | None:  # noqa: ARG002
        """The call whose programs are shown, with its prompt; ``None`` for a panel that has none."""
        return None

    def notes(self, plan: Plan, asked: Asked) -> list[str]:  # noqa: ARG002 - for panels that have more
        """What is to be known of the call: what the engine does not honour, and where the panel's own is another."""
        return plan.notes

    def make_forms(self) -> list[widgets.Widget]:
        """Forms above the result, for a panel with more than one."""
        return []

    def programs(self, plan: Plan, prompt: Any, asked: Asked, endpoint: Endpoint) -> dict[str, str]:  # noqa: ARG002
        """The programs that are shown: those of the call, unless a panel has others."""
        return programs(plan, prompt, endpoint)

    def make_buttons(self) -> list[widgets.Button]:
        """Buttons beside the first one, where a panel has some."""
        return []

    @abstractmethod
    def measure(self, run: Run) -> Iterator[Any]:
        """Ask the server, and yield a result each time there is more of it; results are never changed afterwards."""

    def known(self, asked: Asked) -> Any:  # noqa: ARG002 - for panels that have something
        """What can be shown of inputs that nothing was asked for yet, from what was asked before; ``None``: nothing."""
        return None

    @abstractmethod
    def draw(self, result: Any, asked: Asked) -> None:
        """Show a result (``None``: there is none yet), and what was asked for it; called in one thread at a time."""

    @abstractmethod
    def lines(self, result: Any, asked: Asked) -> list[str]:
        """A result as lines of text, for screen readers, static pages and tests."""

    # For recordings.

    def pack(self, result: Any) -> Any:  # noqa: ARG002 - for panels that can be recorded
        """A result as JSON, as small as it can be.

        Raises:
            SettingsError: it cannot be recorded.
        """
        raise SettingsError(_("{panel} cannot be recorded.").format(panel=self.title))

    def unpack(self, packed: Any) -> Any:  # noqa: ARG002 - for panels that can be recorded
        """A result from what ``pack`` gave; whatever is wrong with it may be raised as it comes."""
        raise SettingsError(_("{panel} opens no recordings.").format(panel=self.title))

    def still(self, result: Any, asked: Asked, caption: str) -> dict[str, str]:  # noqa: ARG002
        """A result that was just drawn as pictures for saved notebooks, by their kind (``panels.still``)."""
        return {}
