"""One running server, whoever started it."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from courselib.controls.clients.endpoint import Endpoint
from courselib.engines.base import Command, Engine, EngineSettings, Memory, Metrics, served_model_name
from courselib.errors import EngineDied, Unauthorized, Unreachable
from courselib.i18n import _

if TYPE_CHECKING:
    import httpx
    from huggingface_hub import InferenceClient
    from openai import OpenAI

    from courselib.engines.process import EngineProcess

HTTP_TIMEOUT_S = 30.0
# A killed engine drops its connections a moment before its guard has reaped it.
DEATH_NOTICED_S = 1.0


class Server:
    """A server that answers on ``url``: one started here (``launch``) or one found (``attach``).

    Use it with ``with``, or call ``stop`` when done; it also stops when the kernel ends in whatever way.

    Args:
        engine: which engine it is.
        url: its address without a path, as ``http://127.0.0.1:8080``.
        key: what it wants as bearer token; ``None`` if it wants none.
        process: the process behind it, if it was started here.
        command: how that was started.
        settings: the settings it was started with, the model in them as a path.
        asked_model: the model as it was asked for.
    """

    def __init__(
        self,
        engine: Engine,
        url: str,
        key: str | None,
        *,
        process: EngineProcess | None = None,
        command: Command | None = None,
        settings: EngineSettings | None = None,
        asked_model: str | None = None,
    ) -> None:
        self.engine = engine
        self.url = url.rstrip("/")
        self.key = key
        self.settings = settings
        self.asked_model = asked_model
        self.start_s: float | None = None
        """Seconds from launch to the first token; ``None`` for a server that was not started here."""
        self.phases: dict[str, float] = {}
        """The phases of its start, and the seconds after which each was seen; none where a start takes a second."""
        self._process = process
        self._command = command

    @property
    def engine_name(self) -> str:
        """The engine's name."""
        return self.engine.name

    @property
    def base_url(self) -> str:
        """Where OpenAI's routes are: what ``openai.OpenAI(base_url=…)`` wants."""
        return f"{self.url}/v1"

    @property
    def port(self) -> int:
        """The port it listens on."""
        parts = urlsplit(self.url)
        return parts.port or {"https": 443}.get(parts.scheme, 80)

    @property
    def pid(self) -> int | None:
        """The engine's process id, if it was started here."""
        return self._process.pid if self._process else None

    @property
    def command(self) -> str:
        """What one would type in a terminal to start this server; the key goes in as an environment variable."""
        return self._command.line() if self._command else ""

    @cached_property
    def http(self) -> httpx.Client:
        """An HTTP client pointed at the server, key included, for the routes that no client library knows."""
        import httpx

        headers = {"Authorization": f"Bearer {self.key}"} if self.key else {}
        # Proxies are for the network outside; a server of ours is on this machine.
        return httpx.Client(base_url=self.url, headers=headers, timeout=HTTP_TIMEOUT_S, trust_env=False)

    @cached_property
    def model(self) -> str:
        """The name under which the server serves its model."""
        self.check()
        return served_model_name(self.http)

    @property
    def endpoint(self) -> Endpoint:
        """What a program must know to make a call to this server."""
        return Endpoint(
            url=self.url,
            key=self.key or "",
            model=self.model,
            engine=self.engine.name,
            file=self.settings.model if self.settings else "",
            library_options=self.engine.library_options(self.settings) if self.settings else {},
        )

    def openai(self, **options: Any) -> OpenAI:
        """An ``openai.OpenAI`` pointed at this server; ``options`` go to its constructor."""
        from openai import OpenAI

        return OpenAI(**{"base_url": self.base_url, "api_key": self.key or "none", **options})

    def hub(self, **options: Any) -> InferenceClient:
        """A ``huggingface_hub.InferenceClient`` pointed at this server; ``options`` go to its constructor."""
        from huggingface_hub import InferenceClient

        return InferenceClient(
            **{"base_url": self.url + self.engine.hub_path, "api_key": self.key or "none", **options}
        )

    @property
    def notes(self) -> tuple[str, ...]:
        """What was chosen for this machine when it was started, and why: a sentence each."""
        return self._command.notes if self._command else ()

    def is_running(self) -> bool:
        """Whether the server is there: its process lives, or (attached) its address answers."""
        if self._process:
            return self._process.returncode() is None
        try:
            self.check()
        except Unreachable:
            return False
        return True

    def check(self) -> None:
        """Make sure that the server answers and takes our key.

        Raises:
            EngineDied: it was started here and has ended.
            Unreachable: nobody answers.
            Unauthorized: it wants another key.
        """
        import httpx

        self._check_process()
        try:
            answer = self.http.get("/v1/models")
        except httpx.HTTPError as error:
            raise self._silence(error) from None
        if answer.status_code in (401, 403):
            raise Unauthorized(
                _("The server at {url} wants another key; pass the one it was started with.").format(url=self.url)
            )

    def _silence(self, error: Exception) -> Unreachable:
        """Why nobody answers; raises EngineDied if it is that."""
        self._check_process(DEATH_NOTICED_S)
        return Unreachable(
            _("Nobody answers at {url}; make sure that the server runs and that the address is right.").format(
                url=self.url
            ),
            details=str(error),
        )

    def _check_process(self, wait_s: float = 0) -> None:
        code = self._process.returncode(wait_s) if self._process else None
        if code is not None:
            raise EngineDied(
                _("The {engine} server has ended (exit code {code}); start it again.").format(
                    engine=self.engine.name, code=code
                ),
                details=self.logs()[-2000:],
            )

    def logs(self) -> str:
        """All that the server has logged; empty for one that was not started here."""
        return self._process.logs() if self._process else ""

    def memory(self) -> Memory:
        """Where the server's memory goes, in bytes; see ``Memory`` for what is measured and what is reported."""
        if self._process is None:
            return Memory(rss=0)
        return self.engine.memory(self.logs(), self._process.rss_bytes())

    def metrics(self) -> Metrics:
        """What the server counts about itself, on one scale for all engines.

        Raises:
            EngineDied, Unreachable, Unauthorized: as ``check``.
        """
        import httpx

        self.check()
        try:
            return self.engine.metrics(self.http)
        except httpx.TransportError as error:  # it has ended since
            raise self._silence(error) from None

    def wait(self) -> int:
        """Wait until the server ends by itself; returns its exit code (0 at once for an attached one)."""
        return self._process.wait() if self._process else 0

    def stop(self) -> None:
        """End the server and everything it started; an attached one is left alone. May be called again."""
        if "http" in self.__dict__:
            self.http.close()
            del self.__dict__["http"]
        if self._process:
            self._process.stop()

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.stop()

    def __repr__(self) -> str:
        # Fixed: notebooks compare outputs, and addresses and keys differ from run to run.
        return f"Server(engine={self.engine.name!r}, model={self.asked_model!r})"
