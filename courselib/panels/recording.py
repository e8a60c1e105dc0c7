"""A panel's result in a small JSON file: a page without a server shows a picture, and a saved notebook does, too.

    {"courselib_recording": 1, "panel": "NextToken", "engine": "llama.cpp", "model": "SmolLM2…",
     "hardware": "AMD EPYC 9B14, 2 cores", "date": "2026-11-26",
     "defaults": {…}, "origin": "…", "remark": "…",      what the server has said of itself, for the Code fold
     "values": {"prompt": "…"}, "controls": {…},         what was asked
     "result": …}                                        as the panel's ``pack`` writes it and its ``unpack`` reads it

``panel.record("name.json")`` writes one, ``NextToken(recording="name.json")`` opens it, with a server or without. The
result is kept as one that was asked of server 0, which no server is: it is shown where there is no server, and marked
as recorded where there is one. From the same result come the pictures of a saved notebook (``still``), which stand
without scripts. A name is that of a file, or of one in ``courselib/recordings``, which come with the course's lessons.
``Compare`` keeps a recording for each of its columns in one file (``compare_recording.py``).
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import traitlets

from courselib import machine
from courselib.controls.catalogue import CONTROLS
from courselib.controls.controls import Controls
from courselib.engines.endpoint import Endpoint
from courselib.engines.server import Server
from courselib.errors import SettingsError
from courselib.i18n import _
from courselib.panels.asked import Asked
from courselib.panels.fields import Field
from courselib.panels.server_facts import ServerFacts

FORMAT, VERSION = "courselib_recording", 1
OURS = Path(__file__).parents[1] / "recordings"
MOST_BYTES = 100_000
# Where the programs of the Code fold look for a server: where llama.cpp's listens by itself.
USUAL_URL = "http://127.0.0.1:8080"
HERE = ("127.0.0.1", "localhost", "::1")


class NoServer(traitlets.HasTraits):
    """In a server's place, where a panel is opened from a recording alone."""

    server = traitlets.Any(None)

    def __init__(self, engine_name: str) -> None:
        super().__init__()
        self.engine_name = engine_name


@dataclass(frozen=True)
class Recording:
    """One result with what was asked for it; see the module's text.

    Args:
        panel: the name of the panel's class.
        engine: the engine's name.
        model: the name under which the server served its model.
        hardware: what it ran on.
        date: year, month and day.
        values: the panel's inputs that were sent.
        controls: what the panel's form held, of which only what is set.
        result: the result, as the panel packs it.
        defaults, origin, remark: as of ``ServerFacts``.
    """

    panel: str
    engine: str
    model: str
    hardware: str
    date: str
    values: Mapping[str, Any]
    controls: Mapping[str, Any]
    result: Any
    defaults: Mapping[str, Any] = field(default_factory=dict)
    origin: str = ""
    remark: str = ""

    @property
    def label(self) -> str:
        """Where the numbers come from, for a person."""
        return _("recorded on {hardware}, {date}").format(hardware=self.hardware, date=self.date)

    @property
    def facts(self) -> ServerFacts:
        """What the server had said of itself."""
        with readable(self.panel):
            defaults = {name: CONTROLS[name].check(value) for name, value in self.defaults.items()}
        endpoint = Endpoint(USUAL_URL, "", self.model, self.engine)
        return ServerFacts(self.model, endpoint, defaults, self.origin, self.remark)

    def inputs(self, fields: Mapping[str, Field]) -> dict[str, Any]:
        """The inputs that were sent, as the panel keeps them.

        Raises:
            SettingsError: one is missing, or is no value of its input.
        """
        with readable(self.panel):
            return {name: each.checked(self.values[name]) for name, each in fields.items() if each.sent}

    def asked(self, values: Mapping[str, Any], controls: Controls | None) -> Asked:
        """What was asked, of server 0."""
        return Asked(0, tuple(values.items()), controls, self.model)

    def given_controls(self) -> Controls:
        """What the panel's form held.

        Raises:
            SettingsError: it is not what a form can hold.
        """
        return self._controls(self.controls)

    def settings(self, name: str) -> Controls:
        """Controls that were sent as an input, by its name.

        Raises:
            SettingsError: they are missing, or are no controls.
        """
        with readable(self.panel):
            return self._controls(self.values[name])

    def _controls(self, packed: Any) -> Controls:
        with readable(self.panel):
            return Controls.from_json(json.dumps(packed))

    def unpacked(self, panel: Any) -> Any:
        """The result, as the panel unpacks it.

        Raises:
            SettingsError: it is no result of this panel.
        """
        with readable(self.panel):
            return panel.unpack(self.result)

    def write(self, path: Path) -> Path:
        """As a file.

        Raises:
            SettingsError: it would not be small.
        """
        return write_small(path, asdict(self))


def write_small(path: Path, content: Mapping[str, Any]) -> Path:
    """Write what a recording holds, with its version, as JSON.

    Raises:
        SettingsError: it would not be small.
    """
    text = json.dumps({FORMAT: VERSION, **content}, ensure_ascii=False, separators=(",", ":"))
    if (size := len(text.encode())) > MOST_BYTES:
        words = _("This recording would take {size} kB, more than {most}; measure less, then record it again.")
        raise SettingsError(words.format(size=size // 1000, most=MOST_BYTES // 1000))
    path.write_text(text + "\n", encoding="utf-8")
    return path


def read(name: str | Path | Recording, panel: str) -> Recording:
    """Open a recording of a panel.

    Args:
        name: of a file, or of one of the course's own recordings; one that was read already is given back.
        panel: the name of the panel's class.

    Raises:
        SettingsError: there is none of this name, it is another panel's or another version's, or it is broken.
    """
    if isinstance(name, Recording):
        return name
    file, content = read_content(name, panel)
    with readable(file):
        return recording_of(content)


def recording_of(content: Mapping[str, Any]) -> Recording:
    """A recording from its JSON; whatever is wrong with it may be raised as it comes."""
    opened = Recording(**content)
    _check_words(opened)
    return opened


def read_content(name: str | Path, panel: str) -> tuple[str, dict[str, Any]]:
    """Read a recording's file: its name, and what it holds besides the version.

    Args:
        name: of a file, or of one of the course's own recordings.
        panel: the name of the panel's class.

    Raises:
        SettingsError: there is none of this name, it is another panel's or another version's, or it is broken.
    """
    path = next((each for each in (Path(name), OURS / name) if each.is_file()), None)
    if path is None:
        raise SettingsError(_("There is no recording {name}; give the path of a file.").format(name=name))
    with readable(path.name):
        found = json.loads(path.read_text(encoding="utf-8"))
        version, of = found.pop(FORMAT), found["panel"]
    if version != VERSION:
        text = _("{name} is a recording of version {version}, and this courselib reads version {ours}; record it anew.")
        raise SettingsError(text.format(name=path.name, version=version, ours=VERSION))
    if of != panel:
        text = _("{name} is a recording of {other}; open it there, or name one of {panel}.")
        raise SettingsError(text.format(name=path.name, other=of, panel=panel))
    return path.name, found


def answering(source: Any, recording: Recording | None) -> Any:
    """Who answers a panel: the server or ``Deploy`` panel given; ``NoServer`` where there is a recording alone.

    Raises:
        SettingsError: there is neither, or the recording is of another engine.
    """
    if source is None:
        if recording is None:
            raise SettingsError(_("This panel has no server to ask; give it a server, a Deploy panel, or a recording."))
        return NoServer(recording.engine)
    if recording and recording.engine != source.engine_name:
        text = _("This recording is of {other}, and the server given is {engine}'s; take one of the same engine.")
        raise SettingsError(text.format(other=recording.engine, engine=source.engine_name))
    return source


def hardware_of(server: Server) -> str:
    """What a server on this machine runs on, for a person.

    Raises:
        SettingsError: it is not on this machine.
    """
    if urlsplit(server.url).hostname not in HERE:
        text = _("The server at {url} is on another machine; name that machine with hardware='…'.")
        raise SettingsError(text.format(url=server.url))
    return hardware_here()


def hardware_here() -> str:
    """This machine, for a person: its processor, cores and GPUs."""
    cores = machine.cores()
    name = _("{cpu}, {n} cores").format(cpu=machine.cpu_name(), n=cores) if cores > 1 else machine.cpu_name()
    return ", ".join([name, *sorted({gpu.name for gpu in machine.gpus()})])


def today() -> str:
    """Year, month and day."""
    return datetime.datetime.now().astimezone().date().isoformat()


def _check_words(recording: Recording) -> None:
    words = ("panel", "engine", "model", "hardware", "date", "origin", "remark")
    if not all(isinstance(getattr(recording, name), str) for name in words):
        raise TypeError("a word is not a text")
    if not all(isinstance(each, dict) for each in (recording.values, recording.controls, recording.defaults)):
        raise TypeError("what was asked is not given by name")


@contextmanager
def readable(name: str) -> Iterator[None]:
    """Whatever is wrong within a file as one sentence."""
    try:
        yield
    except (ValueError, TypeError, LookupError, AttributeError, OSError) as error:
        text = _("The recording {name} cannot be read; record it anew with panel.record(…).").format(name=name)
        raise SettingsError(text, details=f"{type(error).__name__}: {error}") from error
