"""What a Deploy panel writes: the command, sizes before and after the start, the newest of the log."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from courselib.engines.base import AnyEngine
from courselib.engines.server import Server
from courselib.i18n import N_, _

# Name, value, and where that comes from.
Row: TypeAlias = tuple[str, str, str]

MIB = 1 << 20
LOG_LINES = 60
LOG_CHARACTERS = 100_000
# What the log says only because it is asked each second how the server stands.
POLLING = re.compile(r'all slots are idle|"?GET /(v1/models|metrics|health|info)\b')
# What ``Memory`` holds, in the order shown.
SIZES = {
    "weights": N_("weights"),
    "kv_cache": N_("KV cache"),
    "kv_cache_tokens": N_("tokens in the KV cache"),
    "compute": N_("compute buffer"),
    "rss": N_("in RAM now (RSS)"),
}


@dataclass(frozen=True)
class Seen:
    """A running server as it was last seen.

    Args:
        rows: its memory and speed.
        log: the newest lines of its log.
    """

    rows: tuple[Row, ...] = ()
    log: str = ""


def look(server: Server, predicted: Mapping[str, int], *, has_metrics: bool) -> Seen:
    """See how a server stands.

    Args:
        server: the server.
        predicted: sizes known before the start, shown beside those that are measured.
        has_metrics: whether it was started with metrics.

    Raises:
        EngineDied, Unreachable, Unauthorized: as ``Server.check``.
    """
    rows = [*_memory_rows(server, predicted), *_speed_rows(server, has_metrics=has_metrics)]
    return Seen(tuple(rows), "\n".join(newest_lines(server.logs(), LOG_LINES)))


def _memory_rows(server: Server, predicted: Mapping[str, int]) -> Iterable[Row]:
    memory = server.memory()
    for name, words in SIZES.items():
        if (size := getattr(memory, name)) is None:
            continue
        origin = _("measured: the operating system") if name == "rss" else _("measured: the engine's log")
        if name in predicted:
            words_before = size_words(name, predicted[name])
            origin = _("{origin}; predicted were {size}").format(origin=origin, size=words_before)
        yield _(words), size_words(name, size), origin


def _speed_rows(server: Server, *, has_metrics: bool) -> list[Row]:
    if not has_metrics:
        server.check()
        return [(_("tokens a second"), "-", _("not known: the server was started without metrics"))]
    origin = _("measured: the engine's metrics")
    metrics = server.metrics()
    speed = f"{metrics.tokens_per_s:.1f}" if metrics.tokens_per_s else "-"
    at_work = _("{running}, {waiting} waiting").format(running=metrics.running, waiting=metrics.waiting)
    return [(_("tokens a second"), speed, origin), (_("requests running"), at_work, origin)]


def predicted_rows(predicted: Mapping[str, int], lost: Mapping[str, str]) -> list[Row]:
    """What is known of sizes before the start, and which settings will not be honoured."""
    formula, header = _("simulated: by the formula"), _("simulated: from the file's header")
    rows = [
        (_(SIZES[name]), size_words(name, size), header if name == "weights" else formula)
        for name, size in predicted.items()
    ]
    return rows + [(name, "-", _("not honoured here: {reason}").format(reason=why)) for name, why in lost.items()]


def newest_lines(log: str, count: int) -> list[str]:
    """The last lines of a log, without those that come of being asked how the server stands."""
    lines = log[-LOG_CHARACTERS:].splitlines()
    return [line for line in lines if line.strip() and not POLLING.search(line)][-count:]


def size_words(name: str, size: int) -> str:
    """A size of ``Memory`` for people."""
    return str(size) if name == "kv_cache_tokens" else f"{size / MIB:.2f} MiB"


def wrapped(command: str) -> str:
    """A command with a line for each flag and its value, and for what follows these, such as docker's image."""
    lines = []
    for part in re.split(r" (?=--)", command):
        flag, _space, rest = part.partition(" ")
        # A value may hold spaces only where it is quoted.
        value = re.match(r"(?:'[^']*'|\"[^\"]*\"|\\.|[^\s'\"\\])+", rest)
        follows = rest[value.end() :].strip() if value else ""
        if not flag.startswith("--") or not follows:
            lines.append(part)
        else:
            lines += [f"{flag} {rest[: value.end()]}" if value else flag, follows]
    return " \\\n  ".join(lines)


def python_program(engine: AnyEngine, settings: Mapping[str, Any]) -> str:
    """The launch that the chosen settings amount to, defaults left out."""
    defaults = {field.name: field.default for field in dataclasses.fields(engine.settings_type)}
    given = {name: value for name, value in settings.items() if value != defaults[name]}
    arguments = "".join(f"    {name}={value!r},\n" for name, value in given.items())
    return f'import courselib\n\nserver = courselib.launch(\n    "{engine.name}",\n{arguments})\n'
