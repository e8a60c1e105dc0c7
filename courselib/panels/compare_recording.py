"""A recording of ``Compare``: one file with a recording for each column, and who answers a column that is opened.

    {"courselib_recording": 1, "panel": "Compare",
     "servers": [1, 2],                                         by column, a number for the server that answered
     "columns": [{"engine": "llama.cpp", …, "result": …}, …]}   each a recording of its own, without the panel's name

A server that is given to the panel gets the first recorded column of its engine that no other server has got. Recorded
columns that are left stay as they are: a machine without one of the engines shows what that engine has answered.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from courselib.controls.controls import Controls
from courselib.controls.differences import differences
from courselib.controls.routes import chat_route
from courselib.engines.registry import engine_words
from courselib.i18n import _
from courselib.panels import compare_view
from courselib.panels.packed_answers import unpack_reply
from courselib.panels.recording import NoServer, Recording, read_content, readable, recording_of, write_small

PANEL = "Compare"
FEWEST, MOST = 2, 4


@dataclass(frozen=True)
class CompareRecording:
    """The columns of one recording; all were asked the same.

    Args:
        columns: a recording of each.
        servers: by column, a number for the server that answered.
    """

    columns: tuple[Recording, ...]
    servers: tuple[int, ...]

    @property
    def asked(self) -> dict[str, Any]:
        """What all columns were asked: ``prompt`` and ``system``."""
        return dict(self.columns[0].values)

    def write(self, path: Path) -> Path:
        """As a file.

        Raises:
            SettingsError: it would not be small.
        """
        columns = [{name: value for name, value in asdict(each).items() if name != "panel"} for each in self.columns]
        return write_small(path, {"panel": PANEL, "servers": self.servers, "columns": columns})

    def stills(self) -> dict[str, str]:
        """Text and picture for saved notebooks.

        Raises:
            SettingsError: an answer cannot be read.
        """
        with readable(PANEL):
            replies = [unpack_reply(each.result) for each in self.columns]
        plans = [
            chat_route(each.engine).plan(each.given_controls(), defaults=each.facts.defaults, origin=each.origin)
            for each in self.columns
        ]
        engines, models, labels = (
            ", ".join(dict.fromkeys(words))
            for words in (
                (engine_words(each.engine) for each in self.columns),
                (each.model for each in self.columns),
                (each.label for each in self.columns),
            )
        )
        caption = f"{_('Compare')} · {engines} · {models} · {labels}"
        names = [compare_view.column_name(at, each.engine) for at, each in enumerate(self.columns, 1)]
        found, shared = differences(plans), len(set(self.servers)) < len(self.servers)
        prompt = self.asked["prompt"]
        lines = compare_view.text_lines(names, found, [each.label for each in self.columns], replies)
        picture = compare_view.still(names, found, replies, prompt=prompt, caption=caption, shared=shared)
        return {"text/plain": "\n".join([caption, prompt, "", *lines]), **picture}


@dataclass(frozen=True)
class Place:
    """What one column of the panel is opened with."""

    source: Any
    controls: Controls | None = None
    recording: Recording | None = None


def read(name: str | Path) -> CompareRecording:
    """Open a recording of ``Compare``.

    Args:
        name: of a file, or of one of the course's own recordings.

    Raises:
        SettingsError: there is none of this name, it is another panel's or another version's, or it is broken.
    """
    file, content = read_content(name, PANEL)
    with readable(file):
        columns = tuple(recording_of({**each, "panel": PANEL}) for each in content.pop("columns"))
        servers = tuple(map(int, content.pop("servers")))
        if not FEWEST <= len(columns) <= MOST or len(servers) != len(columns) or list(content) != ["panel"]:
            raise ValueError("columns that are no panel's")
        if any(each.values != columns[0].values for each in columns):
            raise ValueError("columns that were not asked the same")
    return CompareRecording(columns, servers)


def places(given: Sequence[tuple[Any, Controls | None]], kept: CompareRecording | None) -> list[Place]:
    """What each column is opened with: first the servers given, then what is recorded of engines that are not here.

    Args:
        given: servers or ``Deploy`` panels, each with the controls in its form.
        kept: the recording, if there is one.
    """
    left = list(zip(kept.columns, kept.servers, strict=True)) if kept else []
    found = []
    for source, controls in given:
        own = next((each for each in left if each[0].engine == source.engine_name), None)
        if own:
            left.remove(own)
        found.append(Place(source, controls, own and own[0]))
    left = left[: max(0, MOST - len(given))]
    nobody = {number: NoServer(recording.engine) for recording, number in left}
    return [*found, *(Place(nobody[number], None, recording) for recording, number in left)]
