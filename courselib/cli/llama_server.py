"""``courselib llama-server``: llama.cpp's own server from the wheel, as the engine's shown command starts it."""

from __future__ import annotations

import sys

import click

from courselib.cli.signals import end_on_signals


@click.command(
    "llama-server",
    context_settings={"ignore_unknown_options": True, "help_option_names": []},
    add_help_option=False,
)
@click.argument("flags", nargs=-1, type=click.UNPROCESSED)
def llama_server(flags: tuple[str, ...]) -> None:
    """Run llama.cpp's own server, from the wheel, with llama-server's flags (--help lists them)."""
    from courselib.engines.llamacpp.program import main as serve_until_stopped

    end_on_signals()
    sys.exit(serve_until_stopped(list(flags)))
