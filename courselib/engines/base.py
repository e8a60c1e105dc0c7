"""What the course asks of an engine, and what it gets back.

An engine is one object: it turns typed settings into a command (a pure function), says when it is ready, reads its
own log and metrics, and knows its usual ways to fail. Everything with a process or a socket is done by
``GuardedProcess`` and ``Server``. Third parties add an engine through the entry point group ``courselib.engines``.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeAlias, TypeVar

from courselib.checks import check_key
from courselib.errors import CourseError, EngineDied, OutOfMemory, SettingsError
from courselib.i18n import _
from courselib.machine import memory
from courselib.processes.ports import check_port_number

if TYPE_CHECKING:
    import httpx

LOG_TAIL_LINES = 20
# Someone else who listens on its port may never answer; meanwhile it is not seen that the engine has died.
HEALTH_TIMEOUT_S = 2.0
# Ended by SIGKILL, as a guard or Docker reports it, and as Python does.
KILLED = (137, -9)


@dataclass(frozen=True, kw_only=True)
class EngineSettings:
    """Settings that every engine has; each engine's own dataclass adds to them.

    Args:
        model: a catalogue name (``"smollm2-135m"``), a path, or ``"owner/repository:file"``.
        host: address to listen on; the default is this machine only.
        port: 1 to 65535; ``None`` lets the operating system choose a free one.
        api_key: what clients must send; ``None`` makes a random one.
    """

    model: str = "smollm2-135m"
    host: str = "127.0.0.1"
    port: int | None = None
    api_key: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        """Check them; a subclass with checks of its own calls this first.

        Raises:
            SettingsError: a value of the wrong type, or out of range.
        """
        if isinstance(self.model, os.PathLike):
            object.__setattr__(self, "model", os.fspath(self.model))
        if not isinstance(self.model, str) or not self.model:
            raise SettingsError(
                _("model is {model!r}; give a name such as smollm2-135m, or a path.").format(model=self.model)
            )
        if not isinstance(self.host, str) or not self.host.strip():
            raise SettingsError(
                _("host is {host!r}; give an address to listen on, or leave it out for 127.0.0.1.").format(
                    host=self.host
                )
            )
        if self.port is not None:
            check_port_number(self.port)
        if self.api_key is not None:
            check_key("api_key", self.api_key)


# What a person asks for, and the same made ready for this machine: often one type, where the model became a path.
Settings = TypeVar("Settings", bound=EngineSettings)
Prepared = TypeVar("Prepared", bound=EngineSettings)


def prepared_as(kind: type[Prepared], settings: EngineSettings, **more: Any) -> Prepared:
    """The settings as the type of those made ready, which has all their fields; ``more`` are fields to set."""
    values = {each.name: getattr(settings, each.name) for each in fields(settings)}
    return kind(**{**values, **more})


@dataclass(frozen=True)
class Command:
    """How to start an engine.

    Args:
        run: the program and its arguments, as started here.
        shown: the same, as a person would type it in a terminal; holds no key.
        environment: variables the program needs beside ours; holds the key.
        notes: what was chosen for this machine and why, and what will not be as asked: a sentence each.
    """

    run: list[str]
    shown: list[str]
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    notes: tuple[str, ...] = ()

    def line(self) -> str:
        """``shown`` as one line that can be pasted into a shell; on POSIX systems ``~`` stands for the home folder."""
        if os.name == "nt":
            return subprocess.list2cmdline(self.shown)
        words = []
        # Variables set for the program come first; quoted whole, they would be taken for its name.
        assigning = True
        for word in self.shown:
            name, equals, value = word.partition("=")
            assigning = assigning and bool(equals) and name.isidentifier()
            words.append(f"{name}={_quoted(value)}" if assigning else _quoted(word))
        return " ".join(words)


def _quoted(word: str) -> str:
    """A word for a POSIX shell, which takes ``~/`` for the home folder only where it stands outside of quotes."""
    home = os.path.expanduser("~") + os.sep  # noqa: PTH111 - a string is what is compared
    return "~/" + shlex.quote(word.removeprefix(home)) if word.startswith(home) else shlex.quote(word)


@dataclass(frozen=True)
class Memory:
    """Where a server's memory goes, in bytes.

    ``rss`` is measured by the operating system, now. The rest is what the engine itself reported when it started;
    ``None`` where it reports nothing. ``kv_cache_tokens`` is not bytes: it is how many tokens the KV cache holds.
    """

    rss: int
    weights: int | None = None
    kv_cache: int | None = None
    compute: int | None = None
    output: int | None = None
    kv_cache_tokens: int | None = None


@dataclass(frozen=True)
class Metrics:
    """A server's counters and gauges on one scale; ``None`` where an engine has no such thing.

    Prompt tokens are those computed; those taken from a cache are counted apart. ``raw`` holds all the
    engine's own series by their own names (label sets summed).
    """

    running: int
    waiting: int
    prompt_tokens: int
    cached_tokens: int | None
    generated_tokens: int
    tokens_per_s: float | None
    raw: Mapping[str, float]


@dataclass(frozen=True)
class Cause:
    """A usual way to fail: a pattern in the log, the error it means, and a sentence.

    The sentence takes the pattern's groups, and ``{limit}``, which says how much memory the engine may use.
    """

    pattern: str
    error: type[CourseError]
    message: str


class Engine(ABC, Generic[Settings, Prepared]):
    """One engine; see the module's text. Instances hold no state."""

    name: ClassVar[str]
    # What it is, where its name does not say so.
    about: ClassVar[str] = ""
    settings_type: ClassVar[type[EngineSettings]]
    causes: ClassVar[tuple[Cause, ...]] = ()
    # What the log says when a phase of the start begins, and what to call it, in order; none for a start of a second.
    phases: ClassVar[tuple[tuple[str, str], ...]] = ()
    grace_s: ClassVar[float] = 2.0
    start_timeout_s: ClassVar[float] = 60.0
    # Below the server's address, what huggingface_hub's client wants; TGI's own routes are at the root.
    hub_path: ClassVar[str] = "/v1"

    @abstractmethod
    def prepare(self, settings: Settings) -> Prepared:
        """Fetch what the engine needs (the model becomes a path) and refuse what cannot work.

        Raises:
            SettingsError, ModelError, EngineMissing, OutOfMemory: before anything is started.
        """

    @abstractmethod
    def command(self, settings: Prepared, *, port: int, key: str) -> Command:
        """The command for prepared settings. Pure: the same settings give the same command."""

    def passed(self, log: str) -> list[str]:
        """The phases of the start that the log has reached, in order, in words for a person."""
        return [_(words) for pattern, words in self.phases if re.search(pattern, log)]

    def library_options(self, settings: Prepared) -> dict[str, Any]:  # noqa: ARG002 - for engines that have one
        """What the engine's library, opened on the same model, is told so that it works as this server does."""
        return {}

    def is_healthy(self, http: httpx.Client) -> bool:
        """Whether the engine's health route says that it can serve."""
        return http.get("/health", timeout=HEALTH_TIMEOUT_S).status_code == 200

    def first_token(self, http: httpx.Client, model: str) -> None:
        """Generate one token; raises an httpx error if the engine refuses. No model means the one it serves."""
        body = {"model": model or served_model_name(http), "prompt": "Hello", "max_tokens": 1, "temperature": 0}
        http.post("/v1/completions", json=body).raise_for_status()

    @abstractmethod
    def recognise(self, http: httpx.Client) -> bool:
        """Whether the server behind ``http`` is this engine."""

    def memory(self, log: str, rss: int) -> Memory:  # noqa: ARG002 - the log is for engines that report sizes
        """Sizes from the engine's own log, beside what the operating system counts."""
        return Memory(rss=rss)

    @abstractmethod
    def metrics(self, http: httpx.Client) -> Metrics:
        """The engine's metrics on the common scale."""

    def diagnose(self, log: str, returncode: int | None, command: str) -> CourseError:
        """Why the engine ended by itself: the first cause that its log matches, else memory if it was killed."""
        tail = "\n".join(log.splitlines()[-LOG_TAIL_LINES:])
        details = f"$ {command}\n{tail}\n" + _("(exit code {code})").format(code=returncode)
        for cause in self.causes:
            if found := re.search(cause.pattern, log):
                return cause.error(_(cause.message).format(limit=_limit(), **found.groupdict()), details=details)
        if returncode in KILLED:
            return OutOfMemory(_killed(self.name, returncode), details=details)
        return EngineDied(
            _("{engine} ended with exit code {code}; its log ends with: {words}. The details show the log.").format(
                engine=self.name, code=returncode, words=repr(log.strip().splitlines()[-1][:200] if log.strip() else "")
            ),
            details=details,
        )


def _limit() -> str:
    here = memory()
    owner = _("this container may use {total:.1f} GiB") if here.limited else _("this machine has {total:.1f} GiB")
    return owner.format(total=here.total / 2**30)


def _killed(engine: str, returncode: int) -> str:
    return _(
        "{engine} was killed (exit code {code}), most likely by the operating system because memory ran out: {limit}."
        " Use a smaller context or model, or stop other programs."
    ).format(engine=engine, code=returncode, limit=_limit())


AnyEngine: TypeAlias = Engine[Any, Any]


def parse_prometheus(text: str) -> dict[str, float]:
    """Series by name from a Prometheus text page, the values of different labels summed."""
    from prometheus_client.parser import text_string_to_metric_families

    values: dict[str, float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            values[sample.name] = values.get(sample.name, 0.0) + sample.value
    return values


def served_model_name(http: httpx.Client) -> str:
    """The name under which a server with OpenAI's routes serves its model; of a router's models, one that is loaded.

    Raises:
        SettingsError: it has no model, or is a router of llama.cpp that has loaded none.
    """
    return name_among(http.get("/v1/models").raise_for_status().json()["data"])


def name_among(models: list[dict[str, Any]]) -> str:
    """The name of the model that is served, of those that ``/v1/models`` lists.

    Raises:
        SettingsError: there is none, or a router of llama.cpp has loaded none.
    """
    for model in models:
        # Only a router says of its models whether they are loaded; one that sleeps is woken by a request.
        status = model.get("status")
        if not isinstance(status, dict) or status.get("value") in ("loaded", "sleeping"):
            return str(model["id"])
    if not models:
        raise SettingsError(_("This server has no model; start it with one."))
    raise SettingsError(
        _("This server has loaded none of its models ({names}); request one of them by name, then go on.").format(
            names=", ".join(str(model["id"]) for model in models[:5])
        )
    )
