"""``courselib manifest ENGINE``: Kubernetes' objects for an engine, its options made from the settings of both."""

from __future__ import annotations

import dataclasses
from typing import Any

import click

from courselib.cli.serve import EVERYWHERE, options
from courselib.i18n import _


class Engines(click.Group):
    """The engines for which there is a manifest."""

    def list_commands(self, _context: click.Context) -> list[str]:
        """The engines' names."""
        from courselib.manifests.manifest import ENGINES

        return list(ENGINES)

    def get_command(self, _context: click.Context, name: str) -> click.Command:
        """The command that prints that engine's manifest."""
        from courselib.engines.registry import get_engine
        from courselib.manifests.cluster import ClusterSettings
        from courselib.manifests.manifest import ENGINES, manifest

        if name not in ENGINES:
            manifest(name)  # refuses it, with the names
        engine_type = get_engine(name).settings_type
        text = _("Print Kubernetes' objects that serve a model with {engine}, each field with its reason, as YAML.")
        return click.Command(
            name,
            params=[*options(engine_type, without=ENGINES[name].elsewhere), *options(ClusterSettings)],
            callback=lambda **given: print_manifest(name, given),
            help=text.format(engine=name),
            context_settings=dict(EVERYWHERE),
        )


def print_manifest(engine: str, given: dict[str, Any]) -> None:
    """Print it."""
    from courselib.manifests.cluster import ClusterSettings
    from courselib.manifests.manifest import manifest

    of_cluster = {field.name for field in dataclasses.fields(ClusterSettings)}
    given = {name: value for name, value in given.items() if value is not None}
    cluster = ClusterSettings(**{name: value for name, value in given.items() if name in of_cluster})
    settings = {name: value for name, value in given.items() if name not in of_cluster}
    click.echo(manifest(engine, cluster, **settings).yaml(), nl=False)


@click.command(cls=Engines, context_settings=dict(EVERYWHERE), subcommand_metavar="ENGINE [OPTIONS]")
def manifest() -> None:
    """Print Kubernetes' objects that serve a model with ENGINE; `courselib manifest ENGINE --help` lists the settings.

    Nothing is started, fetched or sent; no key is printed.
    """
