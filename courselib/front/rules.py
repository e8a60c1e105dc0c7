"""What HAProxy does for an engine, and the configuration that says so.

Names and defaults of the directives: HAProxy 2.6, Configuration Manual; the configuration runs on Debian's 2.6.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from courselib.checks import check_choice, check_whole
from courselib.errors import SettingsError
from courselib.i18n import _

OPENAI_PATHS = ("/v1/models", "/v1/chat/completions", "/v1/completions")
# Seconds that a client is asked to wait before it tries a server again that is down or has too long a queue.
RETRY_S = 2
# Connections at a time. Each may hold two buffers, each of which has to take the longest body.
CONNECTIONS = 256
BUFFER_BYTES = 16_384


@dataclass(frozen=True)
class Rules:
    """The rules of a front. One that is ``None`` is left out, so that its absence can be seen.

    Args:
        paths: the only paths that are passed on; all others are answered with 404.
        requests: how many requests a client may send in ``period_s``; one more is answered with 429.
        period_s: seconds, a whole number; also what ``Retry-After`` of such an answer says.
        body_bytes: the longest body that is passed on; a longer one is answered with 413.
        arrive_s: seconds in which a request has to arrive as a whole; a slower one is answered with 408.
        silence_s: seconds for which client or engine may be silent; an answer that has not begun then is a 504.
        at_once: how many requests the engine gets at a time; the others wait here, for ``silence_s`` at most.
        waiting: how many may wait here; one more is answered with 503.
        check: how the engine is watched, twice a second: ``tcp`` (its port is open), ``health`` (``/health`` answers).
        whole_answers: hold an answer back until it is complete, as a proxy with a buffer does.
    """

    paths: tuple[str, ...] | None = OPENAI_PATHS
    requests: int | None = 60
    period_s: int = 60
    body_bytes: int | None = 100_000
    arrive_s: float | None = 10.0
    silence_s: float = 300.0
    at_once: int | None = 4
    waiting: int | None = 8
    check: str = "health"
    whole_answers: bool = False

    def __post_init__(self) -> None:
        for name in ("requests", "period_s", "body_bytes", "at_once", "waiting"):
            if getattr(self, name) is not None:
                check_whole(name, getattr(self, name), 1)
        check_choice("check", self.check, ("tcp", "health"))
        for name, value in (("arrive_s", self.arrive_s), ("silence_s", self.silence_s)):
            if value is not None and not 0.05 <= value <= 86400:
                raise SettingsError(
                    _("{name} is {n:g}; give a number of seconds from 0.05 to 86400.").format(name=name, n=value)
                )
        if self.waiting is not None and self.at_once is None:
            raise SettingsError(_("Without at_once, no request ever waits here; set at_once, or waiting to None."))
        for path in self.paths or ():
            if not path.startswith("/") or not path.isascii() or not path.isprintable() or set(path) & set(" \"'\\#"):
                raise SettingsError(_("{path!r} is not a path; write one like /v1/models.").format(path=path))


def configuration(rules: Rules, *, address: str, key: bool, folder: str, port: int) -> str:
    """HAProxy's configuration. It holds no key: the engine's is in the environment, the clients' are in a file.

    Args:
        rules: what to do.
        address: the engine's, as host:port.
        key: whether the engine wants one, which is then in the environment variable ENGINE_KEY.
        folder: where HAProxy's files are.
        port: where to listen, on this machine alone.
    """
    return "\n".join([*_common(rules, folder), *_frontend(rules, folder, port), *_backend(rules, address, key)]) + "\n"


def _common(rules: Rules, folder: str) -> list[str]:
    return [
        "global",
        "    nbthread 1",
        f"    maxconn {CONNECTIONS}",
        f"    tune.bufsize {BUFFER_BYTES + (rules.body_bytes or 0)}",
        f"    stats socket {folder}/admin.sock mode 600 level admin",
        "    log stdout format raw local0",
        "",
        "defaults",
        "    mode http",
        "    log global",
        "    option dontlognull",
        "    option abortonclose",
        "    timeout connect 3s",
        f"    timeout client {_time(rules.silence_s)}",
        f"    timeout server {_time(rules.silence_s)}",
        *([] if rules.arrive_s is None else [f"    timeout http-request {_time(rules.arrive_s)}"]),
        _error(401, "The key is missing or wrong."),
        _error(404, "There is no such path here."),
        _error(408, "The request took too long to arrive."),
        _error(413, "The body is too long, or does not give its length."),
        _error(429, "Too many requests.", rules.period_s),
        _error(503, "The server is down, or too many requests wait.", RETRY_S),
        _error(504, "The server was silent for too long."),
        "",
    ]


def _frontend(rules: Rules, folder: str, port: int) -> list[str]:
    lines = [
        "frontend clients",
        f"    bind 127.0.0.1:{port} ssl crt {folder}/front.pem ssl-min-ver TLSv1.2",
        '    log-format "%[var(txn.client)] %HM %HPO %ST %Ta ms"',
    ]
    if rules.arrive_s is not None:
        lines += ["    option http-buffer-request"]
    if rules.paths is not None:
        lines += [_deny(404, f"!{{ path {' '.join(rules.paths)} }}")]
    lines += [
        f"    http-request set-var(txn.client) http_auth_bearer,sha2(256),hex,map_str({folder}/clients.map)",
        _deny(401, "!{ var(txn.client) -m found }"),
    ]
    if rules.body_bytes is not None:
        lines += [
            _deny(413, "METH_POST !{ req.hdr(content-length) -m found }"),
            _deny(413, f"{{ req.hdr_val(content-length) gt {rules.body_bytes} }}"),
        ]
    if rules.requests is not None:
        period = f"{rules.period_s}s"
        lines += [
            f"    stick-table type string len 64 size 10k expire {2 * rules.period_s}s store gpc0_rate({period})",
            "    http-request track-sc0 var(txn.client)",
            _deny(429, f"{{ sc0_gpc0_rate ge {rules.requests} }}"),
        ]
    lines += [_deny(503, "{ nbsrv(engine) eq 0 }")]
    if rules.waiting is not None:
        lines += [_deny(503, f"{{ queue(engine) ge {rules.waiting} }}")]
    if rules.requests is not None:  # only what is passed on counts
        lines += ["    http-request sc-inc-gpc0(0)"]
    return [*lines, "    default_backend engine", ""]


def _backend(rules: Rules, address: str, key: bool) -> list[str]:
    lines = ["backend engine", "    option http-no-delay"]
    lines += ["    http-request del-header Authorization"]
    if key:
        lines += ['    http-request set-header Authorization "Bearer %[env(ENGINE_KEY)]"']
    if rules.whole_answers:
        lines += [f"    http-response wait-for-body time {_time(rules.silence_s)}"]
    if rules.check == "health":
        lines += ["    option httpchk GET /health", "    http-check expect status 200"]
    lines += [f"    timeout queue {_time(rules.silence_s)}", "    timeout check 2s"]
    most = "" if rules.at_once is None else f" maxconn {rules.at_once}"
    return [*lines, f"    server engine {address} check inter 500ms fall 2 rise 1{most}"]


def _error(status: int, words: str, retry_s: int | None = None) -> str:
    """What an error looks like: as OpenAI's API has it, so that the client library shows the words."""
    body = json.dumps({"error": {"message": words, "code": status}})
    retry = "" if retry_s is None else f" hdr Retry-After {retry_s}"
    return f"    http-error status {status} content-type application/json{retry} string '{body}'"


def _deny(status: int, condition: str) -> str:
    return f"    http-request deny deny_status {status} if {condition}"


def _time(seconds: float) -> str:
    return f"{round(1000 * seconds)}ms" if seconds % 1 else f"{seconds:.0f}s"
