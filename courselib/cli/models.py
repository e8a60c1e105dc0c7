"""``courselib models``: which models there are, and where they lie on disk."""

from __future__ import annotations

import click


@click.group()
def models() -> None:
    """Find, fetch and locate models."""


@models.command("list")
def models_list() -> None:
    """List the models the course knows, and which are on disk."""
    from courselib.models import list_models

    for row in list_models():
        click.echo(row.line())


@models.command("get")
@click.argument("model")
def models_get(model: str) -> None:
    """Fetch MODEL (a name from the list, owner/repository:file or owner/repository:Q4_K_M) and print its path."""
    from courselib.models import resolve

    click.echo(resolve(model))


@models.command("path")
@click.argument("model")
def models_path(model: str) -> None:
    """Print the path of MODEL if it is on disk; exit with 1 if not. Downloads nothing."""
    from courselib.models import locate

    click.echo(locate(model))
