"""What the course asks of an engine, and what it gets back.

An engine is one object: it turns typed settings into a command (a pure function), says when it is ready, reads its
own log and metrics, and knows its usual ways to fail. Everything with a process or a socket is done by
``EngineProcess`` and ``Server``. Third parties add an engine through the entry point group ``courselib.engines``.
"""

from __future__ import annotations

import os
import re
import shlex
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from courselib.errors import CourseError, EngineDied
from courselib.i18n import _

if TYPE_CHECKING:
    import httpx

LOG_TAIL_LINES = 20
# Someone else who listens on its port may never answer; meanwhile it is not seen that the engine has died.
HEALTH_TIMEOUT_S = 2.0


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
    api_key: str | None = None


@dataclass(frozen=True)
class Command:
    """How to start an engine.

    Args:
        run: the program and its arguments, as started here.
        shown: the same, as a person would type it in a terminal; holds no key.
        environment: variables the program needs beside ours; holds the key.
        notes: what was chosen for this machine and why, a sentence each.
    """

    run: list[str]
    shown: list[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def line(self) -> str:
        """``shown`` as one line for a shell, the home folder written as ``~``."""
        home = os.path.expanduser("~")  # noqa: PTH111 - a string is what is compared
        return " ".join(
            "~" + shlex.quote(word[len(home) :]) if word.startswith(home + os.sep) else shlex.quote(word)
            for word in self.shown
        )


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
    """A usual way to fail: a pattern in the log, the error it means, a sentence that takes the pattern's groups."""

    pattern: str
    error: type[CourseError]
    message: str


class Engine(ABC):
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
    def prepare(self, settings: EngineSettings) -> EngineSettings:
        """Fetch what the engine needs (the model becomes a path) and refuse what cannot work.

        Raises:
            SettingsError, ModelError, EngineMissing, OutOfMemory: before anything is started.
        """

    @abstractmethod
    def command(self, settings: EngineSettings, *, port: int, key: str) -> Command:
        """The command for prepared settings. Pure: the same settings give the same command."""

    def passed(self, log: str) -> list[str]:
        """The phases of the start that the log has reached, in order, in words for a person."""
        return [_(words) for pattern, words in self.phases if re.search(pattern, log)]

    def library_options(self, settings: EngineSettings) -> dict[str, Any]:  # noqa: ARG002 - for engines that have one
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
        """Why the engine ended: the first cause in the catalogue that its log matches."""
        tail = "\n".join(log.splitlines()[-LOG_TAIL_LINES:])
        details = f"$ {command}\n{tail}\n" + _("(exit code {code})").format(code=returncode)
        for cause in self.causes:
            if found := re.search(cause.pattern, log):
                return cause.error(_(cause.message).format(**found.groupdict()), details=details)
        return EngineDied(
            _(
                "{engine} ended with exit code {code}; its last words: {words}. The log in the details says more."
            ).format(
                engine=self.name, code=returncode, words=repr(log.strip().splitlines()[-1][:200] if log.strip() else "")
            ),
            details=details,
        )


def parse_prometheus(text: str) -> dict[str, float]:
    """Series by name from a Prometheus text page, the values of different labels summed."""
    from prometheus_client.parser import text_string_to_metric_families

    values: dict[str, float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            values[sample.name] = values.get(sample.name, 0.0) + sample.value
    return values


def served_model_name(http: httpx.Client) -> str:
    """The name under which a server with OpenAI's routes serves its model."""
    models: list[dict[str, Any]] = http.get("/v1/models").raise_for_status().json()["data"]
    return str(models[0]["id"])
