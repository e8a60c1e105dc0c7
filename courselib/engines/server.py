"""One running server, whoever started it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from courselib import network
from courselib.engines.base import AnyEngine, Command, EngineSettings, Memory, Metrics, name_among
from courselib.engines.endpoint import Endpoint
from courselib.engines.refusals import refused_words, shortened
from courselib.errors import EngineDied, RequestRefused, SettingsError, Unauthorized, Unreachable
from courselib.i18n import _

if TYPE_CHECKING:
    import httpx
    from huggingface_hub import InferenceClient
    from openai import OpenAI

    from courselib.processes.process import GuardedProcess

HTTP_TIMEOUT_S = 30.0
# A host that drops packets never answers; one that lives accepts at once.
CONNECT_TIMEOUT_S = 3.0
# A killed engine drops its connections a moment before its guard has reaped it.
DEATH_NOTICED_S = 1.0


class Server:
    """A server that answers on ``url``: one started here (``launch``) or one found (``attach``).

    Use it with ``with``, or call ``stop`` when done; it also stops when the kernel ends in whatever way.

    Args:
        engine: which engine it is.
        url: the address below which it has its routes, as ``http://127.0.0.1:8080``.
        key: what it wants as bearer token; ``None`` if it wants none.
        process: the process behind it, if it was started here.
        command: how that was started.
        settings: the settings it was started with, the model in them as a path.
        asked_model: the model as it was asked for.
    """

    def __init__(
        self,
        engine: AnyEngine,
        url: str,
        key: str | None,
        *,
        process: GuardedProcess | None = None,
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
        self._start_log: str | None = None
        self._stopped = False
        # A server started here is on this machine, whatever its address.
        self._direct = process is not None or network.is_loopback(url)
        network.spare_this_machine(*([urlsplit(url).hostname or ""] if self._direct else []))

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
        if self._stopped:  # a client made now would never be closed
            raise self._silence("stopped")
        return self.new_client(HTTP_TIMEOUT_S)

    def new_client(self, timeout_s: float) -> httpx.Client:
        """Another such client, to be closed by the caller, which waits up to ``timeout_s`` for each piece of an answer.

        Raises:
            SettingsError: the environment names certificates that cannot be read.
        """
        import httpx

        headers = {"Authorization": f"Bearer {self.key}"} if self.key else {}
        timeout = httpx.Timeout(timeout_s, connect=CONNECT_TIMEOUT_S)
        try:
            return httpx.Client(base_url=self.url, headers=headers, timeout=timeout, **self.client_options())
        except OSError as error:
            raise SettingsError(
                _("The certificates that SSL_CERT_FILE or SSL_CERT_DIR names cannot be read; correct or unset it."),
                details=str(error),
            ) from None

    def client_options(self) -> dict[str, Any]:
        """Options of an HTTP client that reaches the server: straight on this machine, else as the environment says."""
        return network.direct_options(self.url) if self._direct else {}

    @cached_property
    def model(self) -> str:
        """The name under which the server serves its model.

        Raises:
            EngineDied, Unreachable, Unauthorized: as ``check``.
            SettingsError: it has no model, or a router has loaded none.
        """
        answer = self._ask_models()
        try:
            return name_among(answer.json()["data"])
        except SettingsError:  # which is a ValueError, too
            raise
        except (ValueError, LookupError, TypeError, AttributeError):
            raise Unreachable(
                _("The server at {url} names no model; make sure that the address is right.").format(url=self.url),
                details=answer.text[:2000],
            ) from None

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
            environment=network.program_environment(self.url) if self._direct else {},
        )

    def openai(self, **options: Any) -> OpenAI:
        """An ``openai.OpenAI`` pointed at this server; ``options`` go to its constructor."""
        from openai import DefaultHttpxClient, OpenAI

        if self._direct and "http_client" not in options:
            options["http_client"] = DefaultHttpxClient(**self.client_options())
        return OpenAI(**{"base_url": self.base_url, "api_key": self.key or "none", **options})

    def hub(self, **options: Any) -> InferenceClient:
        """A ``huggingface_hub.InferenceClient`` pointed at this server; ``options`` go to its constructor."""
        from huggingface_hub import InferenceClient

        return InferenceClient(
            **{"base_url": self.url + self.engine.hub_path, "api_key": self.key or "none", **options}
        )

    @property
    def notes(self) -> tuple[str, ...]:
        """What was chosen for this machine when it was started, and what is not as asked: a sentence each."""
        return self._command.notes if self._command else ()

    def is_running(self) -> bool:
        """Whether the server is there: its process lives, or (attached) its address answers."""
        if self._process:
            return self._process.returncode() is None
        try:
            self.check()
        except Unreachable:
            return False
        except Unauthorized:  # it is there, and wants another key
            return True
        return True

    def check(self) -> None:
        """Make sure that the server answers and takes our key.

        Raises:
            EngineDied: it was started here and has ended.
            Unreachable: nobody answers.
            Unauthorized: it wants another key.
        """
        self._ask_models()

    def _ask_models(self) -> httpx.Response:
        self._check_process()
        with self._asking() as http:
            answer = http.get("/v1/models")
        if answer.status_code in (401, 403):
            raise Unauthorized(
                _("The server at {url} expects another key; pass the key it was started with.").format(url=self.url)
            )
        return answer

    @contextlib.contextmanager
    def _asking(self) -> Iterator[httpx.Client]:
        """The client, for requests whose failure to reach the server is explained."""
        import httpx

        try:
            yield self.http
        except httpx.TransportError as error:
            raise self._silence(str(error)) from None
        except RuntimeError as error:
            if not self._stopped:
                raise
            raise self._silence(str(error)) from None  # ``stop`` has closed the client under another thread

    def _silence(self, words: str) -> Unreachable:
        """Why nobody answers; raises EngineDied if it is that."""
        self._check_process(DEATH_NOTICED_S)
        if self._stopped:
            text = _("This connection to {url} was ended with stop(); attach to the server again.")
        elif "CERTIFICATE_VERIFY_FAILED" in words:
            text = _(
                "The certificate of {url} is not trusted here; name the file of the authority that signed it in the"
                " environment variable SSL_CERT_FILE."
            )
        else:
            text = _("No server answers at {url}; make sure that the server runs and that the address is right.")
        return Unreachable(text.format(url=self.url), details=words)

    def _check_process(self, wait_s: float = 0) -> None:
        code = self._process.returncode(wait_s) if self._process else None
        if code is None:
            return
        if self._stopped:
            text = _("The {engine} server was stopped. Start a new one, and use that.")
            raise EngineDied(text.format(engine=self.engine.name))
        text = _("The {engine} server has ended (exit code {code}); start it again.")
        raise EngineDied(text.format(engine=self.engine.name, code=code), details=self.logs()[-2000:])

    def logs(self) -> str:
        """All that the server has logged; empty for one that was not started here."""
        return self._process.logs() if self._process else ""

    def memory(self) -> Memory:
        """Where the server's memory goes, in bytes; see ``Memory`` for what is measured and what is reported."""
        if self._process is None:
            return Memory(rss=0)
        # Sizes are logged while it starts and never change; what is logged later need not be searched for them.
        log = self.logs() if self._start_log is None else self._start_log
        return self.engine.memory(log, self._process.rss_bytes())

    def own_bytes(self) -> int:
        """Bytes of memory that are free again once it is stopped; 0 for one that was not started here."""
        return self._process.own_bytes() if self._process else 0

    def memory_shares(self) -> tuple[int | None, int | None]:
        """Bytes that are the server's alone (USS), and with its share of what others have, too (PSS)."""
        return self._process.shares() if self._process else (None, None)

    def metrics(self) -> Metrics:
        """What the server counts about itself, on one scale for all engines.

        Raises:
            EngineDied, Unreachable, Unauthorized: as ``check``.
            SettingsError: it was started without metrics.
            RequestRefused: it gives none, or none that its engine is known to give.
        """
        import httpx

        self.check()
        try:
            with self._asking() as http:
                return self.engine.metrics(http)
        except SettingsError:  # which is a ValueError, too
            raise
        except httpx.HTTPStatusError as error:
            status, words = error.response.status_code, refused_words(error.response)
            raise self._without_metrics(f"HTTP {status}: {shortened(words)}") from None
        except (ValueError, LookupError) as error:
            raise self._without_metrics(_("its /metrics does not return metrics"), details=repr(error)) from None

    def _without_metrics(self, reason: str, details: str = "") -> RequestRefused:
        text = _("The server at {url} gives no metrics ({reason}); start it with metrics, or ask its operator.")
        return RequestRefused(text.format(url=self.url, reason=reason), details=details)

    def note_start(self, start_s: float) -> None:
        """Note that it is ready, ``start_s`` seconds after its start."""
        self.start_s = start_s
        self._start_log = self.logs()

    def wait(self) -> int:
        """Wait until the server ends by itself; returns its exit code (0 at once for an attached one)."""
        return self._process.wait() if self._process else 0

    def stop(self) -> None:
        """End the server and everything it started; an attached one is left alone. May be called again."""
        self._stopped = True
        if http := self.__dict__.pop("http", None):
            http.close()
        if self._process:
            self._process.stop()

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.stop()

    def __repr__(self) -> str:
        # Fixed: notebooks compare outputs, and addresses and keys differ from run to run.
        return f"Server(engine={self.engine.name!r}, model={self.asked_model!r})"
