"""What panels must know of a server before anything is asked of it: its model, its defaults, how to call it.

Asked once a server, beside the kernel's own thread, since a server that takes a connection may never answer; what it
could not say is remembered, too. All panels of a server share the answer.
"""

from __future__ import annotations

import itertools
import threading
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from courselib.engines.endpoint import Endpoint
from courselib.engines.server import Server
from courselib.errors import CourseError, Unreachable
from courselib.i18n import _
from courselib.observe.chat_template import template_remark
from courselib.observe.effective import server_defaults
from courselib.panels.worker import thread

TIMEOUT_S = 2.0
# Panels wait so long for what is being asked: the requests are several.
FACTS_WAIT_S = 5.0


@dataclass(frozen=True)
class ServerFacts:
    """What a server has said of itself.

    Args:
        model: the name under which it serves its model.
        endpoint: what a program must know to call it; ``None`` where it has not answered.
        defaults: what it applies where a control is not sent.
        origin: where it says so.
        remark: what is to be known of its model in a chat, such as that it has no chat template.
        error: why it has not answered.
    """

    model: str = ""
    endpoint: Endpoint | None = None
    defaults: Mapping[str, Any] = field(default_factory=dict)
    origin: str = ""
    remark: str = ""
    error: CourseError | None = None


class _Asked:
    """One server's facts: under way, or known."""

    def __init__(self) -> None:
        self.known: ServerFacts | None = None
        self.waiting: list[Callable[[], None]] = []
        self.done = threading.Event()


_lock = threading.Lock()
_asked: weakref.WeakKeyDictionary[Server, _Asked] = weakref.WeakKeyDictionary()
_numbers: weakref.WeakKeyDictionary[Server, int] = weakref.WeakKeyDictionary()
_next_number = itertools.count(1)


def number_of(server: Server) -> int:
    """A number that no other server of this kernel has, not even one at the same address later."""
    with _lock:
        return _numbers.setdefault(server, next(_next_number))


def facts_of(server: Server, on_known: Callable[[], None]) -> ServerFacts | None:
    """What a server has said of itself, ``None`` while it is being asked.

    Args:
        server: the server.
        on_known: called in another thread once it is known, if it is not yet.
    """
    with _lock:
        asked = _asked.get(server)
        if asked is not None and asked.known is not None:
            return asked.known
        if asked is not None:
            if on_known not in asked.waiting:
                asked.waiting.append(on_known)
            return None
        asked = _asked[server] = _Asked()
        asked.waiting.append(on_known)
    thread(_ask, server, asked).start()
    return None


def wait_for_facts(server: Server, timeout_s: float) -> ServerFacts:
    """Wait until the server has said what panels must know, if it is being asked; empty where it has not."""
    with _lock:
        asked = _asked.get(server)
    if asked is None:
        return ServerFacts()
    asked.done.wait(timeout_s)
    return asked.known or ServerFacts()


def forget(server: Server) -> None:
    """Ask a server again that has not answered; what is known stays."""
    with _lock:
        asked = _asked.get(server)
        if asked is not None and asked.known is not None and asked.known.error is not None:
            del _asked[server]


def _ask(server: Server, asked: _Asked) -> None:
    known = _look_up(server)
    with _lock:
        asked.known, waiting = known, asked.waiting
        asked.waiting = []
    for tell in waiting:
        tell()
    asked.done.set()


def _look_up(server: Server) -> ServerFacts:
    import httpx

    try:
        server.http.get("/v1/models", timeout=TIMEOUT_S)  # before what would wait longer
        endpoint = server.endpoint
    except CourseError as error:
        return ServerFacts(error=error)
    except (httpx.HTTPError, RuntimeError, ValueError, LookupError) as error:
        text = _("The server at {url} does not report what it serves; make sure that it runs.").format(url=server.url)
        return ServerFacts(error=Unreachable(text, details=str(error)))
    return ServerFacts(endpoint.model, endpoint, *_defaults(server), _remark(server))


def _defaults(server: Server) -> tuple[Mapping[str, Any], str]:
    import httpx

    try:
        return server_defaults(server)
    except httpx.HTTPError:
        return {}, ""


def _remark(server: Server) -> str:
    """The remark, where the server lets itself be asked for it; a server elsewhere may offer the chat alone."""
    import httpx

    try:
        return template_remark(server)
    except (CourseError, httpx.HTTPError, LookupError):
        return ""
