"""``courselib serve ENGINE``: one sub-command for each engine, its options made from the engine's settings.

The launcher and the terminal cannot drift apart: names, defaults, choices and help come from one dataclass.
"""

from __future__ import annotations

import dataclasses
import sys
import types
import typing
from typing import Any

import click

from courselib.cli.signals import end_on_signals
from courselib.engines.base import AnyEngine
from courselib.engines.settings_help import settings_help
from courselib.i18n import _

DEFAULT_ENGINE = "llama.cpp"
EVERYWHERE = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


class Engines(click.Group):
    """The engines there are, entry points of other packages included; the first one named by default."""

    def list_commands(self, _context: click.Context) -> list[str]:
        """The engines' names."""
        from courselib.engines.registry import engine_names

        return engine_names()

    def get_command(self, _context: click.Context, name: str) -> click.Command:
        """The command that serves with that engine."""
        from courselib.engines.registry import get_engine

        engine = get_engine(name)
        text = _("Start {engine}, print its URL, key and command, and serve until Ctrl-C.").format(engine=name)
        return click.Command(
            name,
            params=options(engine.settings_type),
            callback=lambda **settings: serve_until_stopped(engine, settings),
            help=text,
            context_settings=dict(EVERYWHERE),
        )

    def parse_args(self, context: click.Context, args: list[str]) -> list[str]:
        """Options without an engine are the default engine's."""
        if not args or (args[0].startswith("-") and args[0] not in ("-h", "--help")):
            args = [DEFAULT_ENGINE, *args]
        return super().parse_args(context, args)


def options(settings: type, without: tuple[str, ...] = ()) -> list[click.Parameter]:
    """An option for each setting of a dataclass, but for those named."""
    hints, texts = typing.get_type_hints(settings), settings_help(settings)
    kept = [field for field in dataclasses.fields(settings) if field.name not in without]
    return [_option(field, hints[field.name], texts.get(field.name, "")) for field in kept]


def _option(field: dataclasses.Field[Any], annotation: Any, text: str) -> click.Option:
    kind = _option_type(annotation)
    name = field.name.replace("_", "-")
    default = None if field.default is dataclasses.MISSING else field.default
    more: dict[str, Any] = {"default": default, "show_default": default not in (None, ()), "help": text}
    if not field.repr:  # a key or a token: a command line is readable by every user of the machine
        more |= {"envvar": f"COURSELIB_{field.name.upper()}", "show_envvar": True}
    if kind is bool:
        return click.Option([f"--{name}/--no-{name}", field.name], **more)
    return click.Option([f"--{name}", field.name], type=kind, **more)


def _option_type(annotation: Any) -> Any:
    """The click type of a settings field's annotation."""
    if typing.get_origin(annotation) is typing.Literal:
        return click.Choice(typing.get_args(annotation))
    arguments = [part for part in typing.get_args(annotation) if part is not types.NoneType]
    if isinstance(annotation, types.UnionType) or typing.get_origin(annotation) is typing.Union:
        return _option_type(arguments[0])
    return annotation if isinstance(annotation, type) and annotation in (int, float, str, bool) else str


def serve_until_stopped(engine: AnyEngine, settings: dict[str, Any]) -> None:
    """Launch, say where, and wait for Ctrl-C or the engine's end."""
    from courselib.engines.launcher import launch

    end_on_signals()
    given = {name: value for name, value in settings.items() if value is not None}
    seen: set[str] = set()

    def say_phase(phase: str, elapsed_s: float) -> None:
        if phase not in seen:
            seen.add(phase)
            click.echo(f"{elapsed_s:6.1f} s  {phase}", err=True)

    with launch(engine.name, on_phase=say_phase, **given) as server:
        click.echo(f"url      {server.base_url}")
        click.echo(f"key      {server.key}")
        click.echo(f"command  {server.command}")
        click.echo(_("Ready after {seconds:.1f} s. Stop with Ctrl-C.").format(seconds=server.start_s))
        sys.stdout.flush()
        try:
            code = server.wait()
        except KeyboardInterrupt:
            click.echo()
            return
        raise server.engine.diagnose(server.logs(), code, server.command)


@click.command(cls=Engines, context_settings=dict(EVERYWHERE), subcommand_metavar="[ENGINE] [OPTIONS]")
def serve() -> None:
    """Start an engine and serve until Ctrl-C; `courselib serve ENGINE --help` lists its settings.

    Without ENGINE it is llama.cpp: `courselib serve --context 2048`.
    """
