"""A line that tells how far an engine's start is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from courselib.i18n import _

if TYPE_CHECKING:
    from tqdm import tqdm


class PhaseLine:
    """Call it with phase and seconds; the line is shown in a terminal or below a cell, and gone once closed.

    Args:
        engine: who starts.
    """

    def __init__(self, engine: str) -> None:
        self._engine = engine
        self._line: tqdm[None] | None = None

    def __call__(self, phase: str, elapsed_s: float) -> None:
        """Show it."""
        from tqdm.auto import tqdm

        if self._line is None:
            self._line = tqdm(bar_format="{desc}", disable=None, leave=False)
        self._line.set_description_str(
            _("{engine}: {phase} ({seconds} s)").format(engine=self._engine, phase=phase, seconds=int(elapsed_s))
        )

    def close(self) -> None:
        """Take the line away."""
        if self._line is not None:
            self._line.close()
