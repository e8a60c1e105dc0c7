"""Starting an engine, and finding out what a running server is.

A launch is: settings checked, model fetched, command built, port found, process started, then a poll that asks in
this order: has it died, is the time up, is it healthy; ready means that it has generated one token.
"""

from __future__ import annotations

import dataclasses
import difflib
import secrets
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from courselib.engines import cell
from courselib.engines.base import Engine, EngineSettings
from courselib.engines.phases import PhaseLine
from courselib.engines.ports import check_port, free_port
from courselib.engines.process import EngineProcess
from courselib.engines.registry import engine_names, get_engine
from courselib.engines.server import Server
from courselib.errors import PortTaken, SettingsError, StartTimeout, Unreachable
from courselib.i18n import _

FIRST_POLL_S, LONGEST_POLL_S = 0.02, 0.5


def launch(
    engine: str = "llama.cpp",
    *,
    timeout_s: float | None = None,
    on_wait: Callable[[float], None] | None = None,
    on_phase: Callable[[str, float], None] | None = None,
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
        settings: the engine's settings, e.g. those of ``LlamaCppSettings``.

    Returns:
        The running server.

    Raises:
        SettingsError, ModelError, EngineError: see ``courselib.errors``; nothing is left running.
    """
    chosen = get_engine(engine)
    asked = make_settings(chosen, settings)
    run = cell.current_run()
    if asked.port is not None and asked.port not in [server.port for server in cell.earlier(run)]:
        check_port(asked.host, asked.port)  # before gigabytes are fetched
    ready = chosen.prepare(asked)
    cell.stop_earlier(run)
    if ready.port is not None:
        check_port(ready.host, ready.port)
    start = partial(_start_until_ready, chosen, ready, Path(asked.model).name, timeout_s, on_wait, on_phase)
    try:
        server = start()
    except PortTaken:
        if ready.port is not None:
            raise
        # Someone took the free port before the engine had it: once more, on another one.
        server = start()
    cell.remember(run, server)
    return server


def make_settings(engine: Engine, settings: dict[str, Any]) -> EngineSettings:
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
    engine: Engine,
    settings: EngineSettings,
    asked_model: str,
    timeout_s: float | None,
    on_wait: Callable[[float], None] | None,
    on_phase: Callable[[str, float], None] | None,
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
        tell_phases(_wait_until_ready(server, timeout_s or engine.start_timeout_s, watch))
    except BaseException:  # an interrupt of the cell, too, must leave nothing running
        server.stop()
        raise
    finally:
        line.close()
    return server


def _start(engine: Engine, settings: EngineSettings, asked_model: str) -> Server:
    if settings.host in ("0.0.0.0", "::"):  # noqa: S104 - named in order to warn of it
        warnings.warn(
            _("host={host} lets everyone on the network reach this server; only the key protects it.").format(
                host=settings.host
            ),
            stacklevel=4,
        )
    port = settings.port or free_port(settings.host)
    key = settings.api_key or secrets.token_urlsafe(24)
    command = engine.command(settings, port=port, key=key)
    process = EngineProcess(command.run, environment=command.environment, name=engine.name, grace_s=engine.grace_s)
    here = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(settings.host, settings.host)  # noqa: S104
    return Server(
        engine,
        f"http://{here}:{port}",
        key,
        process=process,
        command=command,
        settings=settings,
        asked_model=asked_model,
    )


def _wait_until_ready(server: Server, timeout_s: float, on_wait: Callable[[float], None]) -> float:
    """Poll until the first token; the seconds it took."""
    import httpx

    start = time.monotonic()
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
                details=server.logs()[-2000:],
            )
        try:
            if server.engine.is_healthy(server.http):
                server.engine.first_token(server.http, "")
                server.start_s = time.monotonic() - start
                return server.start_s
        except httpx.HTTPError:
            pass  # not listening yet, or gone again: the next round looks at the process first
        # A fixed part of what was waited already: quick engines are noticed at once, slow ones are left in peace.
        time.sleep(min(max(FIRST_POLL_S, elapsed / 20), LONGEST_POLL_S))


def attach(url: str, key: str | None = None) -> Server:
    """A server that someone else started; finds out which engine it is.

    Args:
        url: its address; a path such as ``/v1`` is taken off.
        key: what it wants as bearer token, if anything.

    Returns:
        A server like that of ``launch``, which stopping leaves alone.

    Raises:
        SettingsError: ``url`` is no address.
        Unreachable, Unauthorized: it does not answer, or wants another key.
    """
    import httpx

    parts = urlsplit(url if "://" in url else f"http://{url}")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise SettingsError(
            _("{url!r} is no address of a server; give one like http://127.0.0.1:8080.").format(url=url)
        )
    root = f"{parts.scheme}://{parts.netloc}"
    for name in engine_names():
        server = Server(get_engine(name), root, key)
        try:
            known = server.engine.recognise(server.http)
        except httpx.HTTPError:
            known = False
        if known:
            server.check()
            return server
        server.check()
        server.stop()
    raise Unreachable(
        _("A server answers at {url}, but it is none of {names}; attach to one of these.").format(
            url=root, names=", ".join(engine_names())
        )
    )
