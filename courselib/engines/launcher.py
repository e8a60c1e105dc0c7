"""Starting an engine, and finding out what a running server is.

A launch is: settings checked, model fetched, command built, port found, process started, then a poll that asks in
this order: has it died, is the time up, is it healthy; ready means that it has generated one token.
"""

from __future__ import annotations

import dataclasses
import difflib
import secrets
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from courselib.checks import check_key
from courselib.engines import cell
from courselib.engines.base import AnyEngine, EngineSettings
from courselib.engines.phases import PhaseLine
from courselib.engines.refusals import refused_words, shortened
from courselib.engines.registry import all_engines, get_engine
from courselib.engines.server import Server
from courselib.errors import PortTaken, RequestRefused, SettingsError, StartTimeout, Unreachable
from courselib.i18n import _
from courselib.machine import freed_soon
from courselib.network import is_everywhere, server_root, spare_this_machine, url_host
from courselib.notebook import say
from courselib.processes.ports import check_port, free_port
from courselib.processes.process import GuardedProcess

if TYPE_CHECKING:
    import httpx

FIRST_POLL_S, LONGEST_POLL_S = 0.02, 0.5


def launch(
    engine: str = "llama.cpp",
    *,
    timeout_s: float | None = None,
    on_wait: Callable[[float], None] | None = None,
    on_phase: Callable[[str, float], None] | None = None,
    on_note: Callable[[str], None] | None = None,
    **settings: Any,
) -> Server:
    """Start an engine and return when it has generated its first token.

    Args:
        engine: its name; ``courselib.engines.registry.engine_names()`` lists them.
        timeout_s: seconds it may take to start, downloads not counted; ``None`` takes the engine's own.
        on_wait: called at each poll with the seconds since the start; what it raises ends the launch.
        on_phase: called with each phase of the start, once it has begun, and again at each poll while it lasts, and
            with the seconds since the start; engines that start at once have no phases. By default a line in the
            terminal or below the cell shows them.
        on_note: called once with each of the server's ``notes``, before it is ready; by default they are printed.
        settings: the engine's settings, e.g. those of ``LlamaCppSettings``.

    Returns:
        The running server.

    Raises:
        SettingsError, ModelError, EngineError: see ``courselib.errors``; nothing is left running.
        RequestRefused: the engine runs, and refuses to generate.
    """
    chosen = get_engine(engine)
    asked = make_settings(chosen, settings)
    run = cell.current_run()
    if asked.port is not None and asked.port not in [server.port for server in cell.servers.earlier(run)]:
        check_port(asked.host, asked.port)  # before gigabytes are fetched
    spare_this_machine()  # before anything is fetched: with some proxies no client could be made
    # What an earlier run of this cell started is stopped only once nothing is wrong with the settings.
    with freed_soon(sum(server.own_bytes() for server in cell.servers.earlier(run))):
        ready = chosen.prepare(asked)
    cell.stop_earlier(run)
    if ready.port is not None:
        check_port(ready.host, ready.port)
    start = partial(_start_until_ready, chosen, ready, Path(asked.model).name, timeout_s, on_wait, on_phase)
    try:
        server = start(on_note or say)
    except PortTaken:
        if ready.port is not None:
            raise
        # Someone took the free port before the engine had it: once more, on another one. The notes have been shown.
        server = start(lambda _note: None)
    cell.servers.remember(run, server)
    return server


def make_settings(engine: AnyEngine, settings: dict[str, Any]) -> EngineSettings:
    """The engine's settings dataclass, filled in.

    Raises:
        SettingsError: a name it does not have, or a value out of range.
    """
    names = [field.name for field in dataclasses.fields(engine.settings_type)]
    for name in settings:
        if name not in names:
            near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
            hint = _(" Did you mean {near!r}?").format(near=near[0]) if near else ""
            raise SettingsError(
                _("{engine} has no setting {name!r}; it has {names}.").format(
                    engine=engine.name, name=name, names=", ".join(names)
                )
                + hint
            )
    return engine.settings_type(**settings)


def _start_until_ready(
    engine: AnyEngine,
    settings: EngineSettings,
    asked_model: str,
    timeout_s: float | None,
    on_wait: Callable[[float], None] | None,
    on_phase: Callable[[str, float], None] | None,
    on_note: Callable[[str], None],
) -> Server:
    server = _start(engine, settings, asked_model)
    line = PhaseLine(engine.name)

    def tell_phases(elapsed_s: float) -> None:
        """The one that lasts, and those that have begun since the last poll, however short they were."""
        for phase in engine.passed(server.logs())[max(len(server.phases) - 1, 0) :]:
            server.phases.setdefault(phase, elapsed_s)
            (on_phase or line)(phase, elapsed_s)

    def watch(elapsed_s: float) -> None:
        if on_wait:
            on_wait(elapsed_s)
        tell_phases(elapsed_s)

    try:
        for note in server.notes:
            on_note(note)
        limit_s = engine.start_timeout_s if timeout_s is None else timeout_s
        server.note_start(_wait_until_ready(server, limit_s, watch))
        tell_phases(server.start_s or 0.0)
    except BaseException:  # an interrupt of the cell, too, must leave nothing running
        server.stop()
        raise
    finally:
        line.close()
    return server


def _start(engine: AnyEngine, settings: EngineSettings, asked_model: str) -> Server:
    port = settings.port or free_port(settings.host)
    key = settings.api_key or secrets.token_urlsafe(24)
    command = engine.command(settings, port=port, key=key)
    if is_everywhere(settings.host):
        open_to_all = _("host={host} lets everyone on the network reach this server; only the key protects it.")
        command = dataclasses.replace(command, notes=(open_to_all.format(host=settings.host), *command.notes))
    process = GuardedProcess(
        command.run, environment=command.environment, name=engine.name, grace_s=engine.grace_s, own_tmpdir=True
    )
    return Server(
        engine,
        f"http://{url_host(settings.host)}:{port}",
        key,
        process=process,
        command=command,
        settings=settings,
        asked_model=asked_model,
    )


def _wait_until_ready(server: Server, timeout_s: float, on_wait: Callable[[float], None]) -> float:
    """Poll until the first token; the seconds it took.

    The first token is made in another thread, so that meanwhile, too, the start may be stopped, or be given up.
    """
    import httpx

    start = time.monotonic()
    first: Future[None] | None = None
    last_words = ""
    while True:
        elapsed = time.monotonic() - start
        on_wait(elapsed)
        if (code := server._process.returncode()) is not None:  # type: ignore[union-attr]
            raise server.engine.diagnose(server.logs(), code, server.command)
        if elapsed > timeout_s:
            raise StartTimeout(
                _("{engine} was not ready after {seconds} s; give it more with timeout_s, or a smaller model.").format(
                    engine=server.engine.name, seconds=round(timeout_s)
                ),
                details="\n".join(filter(None, [last_words, server.logs()[-2000:]])),
            )
        try:
            if first is None and server.engine.is_healthy(server.http):
                first = _in_a_thread(partial(_make_first_token, server, timeout_s - elapsed))
            elif first is not None and first.done():
                first.result()
                return time.monotonic() - start
        except httpx.HTTPStatusError as error:
            first, last_words = None, refused_words(error.response)
            if not _may_pass(error.response.status_code):
                raise _refusal(server, error.response) from None
        except httpx.HTTPError:
            first = None  # not listening yet, or gone again: the next round looks at the process first
        # A fixed part of what was waited already: quick engines are noticed at once, slow ones are left in peace.
        pause_s = min(max(FIRST_POLL_S, elapsed / 20), LONGEST_POLL_S)
        if first is None:
            time.sleep(pause_s)
        else:
            wait([first], pause_s)


def _make_first_token(server: Server, timeout_s: float) -> None:
    with server.new_client(timeout_s) as http:
        server.engine.first_token(http, "")


def _in_a_thread(call: Callable[[], None]) -> Future[None]:
    """Run it in a thread that keeps no program from ending."""
    future: Future[None] = Future()

    def run() -> None:
        try:
            call()
            future.set_result(None)
        except BaseException as error:  # noqa: BLE001 - it is raised where the result is asked for
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future


def _may_pass(status: int) -> bool:
    """Whether a request refused with this HTTP status may be taken later: busy, slow or still starting."""
    return status in (408, 425, 429) or (status >= 500 and status != 501)


def _refusal(server: Server, response: httpx.Response) -> RequestRefused:
    words = refused_words(response)
    return RequestRefused(
        _("{engine} refuses to generate a first token: {words}. Choose a model that generates text.").format(
            engine=server.engine.name, words=shortened(words.rstrip("."))
        ),
        details="\n".join([f"HTTP {response.status_code}: {words}", server.logs()[-2000:]]),
    )


def attach(url: str, key: str | None = None) -> Server:
    """A server that someone else started; finds out which engine it is.

    Args:
        url: its address; a final ``/v1`` is taken off, other paths (a server behind a proxy) are kept.
        key: what it wants as bearer token, if anything.

    Returns:
        A server like that of ``launch``, which stopping leaves alone.

    Raises:
        SettingsError: ``url`` is no address, or ``key`` cannot be one.
        Unreachable, Unauthorized: it does not answer, or wants another key.
    """
    root = server_root(url)
    if key is not None:
        check_key("key", key)
    found: Server | None = None
    names: list[str] = []
    for engine in all_engines():
        server = Server(engine, root, key)
        try:
            if not names:
                server.check()  # once: what does not answer one engine answers none
            names.append(engine.name)
            found = server if _recognises(engine, server.http) else None
        finally:
            if found is None:
                server.stop()
        if found is not None:
            return found
    raise Unreachable(
        _("A server answers at {url}, but it is none of {names}; attach to one of these.").format(
            url=root, names=", ".join(names)
        )
    )


def _recognises(engine: AnyEngine, http: httpx.Client) -> bool:
    """Whether the server is this engine; other people's servers answer in ways that no engine expects."""
    import httpx

    try:
        return engine.recognise(http)
    except (httpx.HTTPError, ValueError, LookupError, AttributeError, TypeError):
        return False
