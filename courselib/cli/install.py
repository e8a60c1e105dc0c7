"""``courselib install ENGINE``: engines that need an environment of their own."""

from __future__ import annotations

import click

from courselib.i18n import _


@click.group()
def install() -> None:
    """Install engines that are not there from the start."""


@install.command("vllm")
@click.option("--python", help="Interpreter to make its environment with, 3.11 or newer; this one by default.")
@click.argument("pip_options", nargs=-1, type=click.UNPROCESSED)
def install_vllm(python: str | None, pip_options: tuple[str, ...]) -> None:
    """Install vLLM in an environment of its own (3.5 GB on a CPU), with a kernel for notebooks.

    Options after -- go to pip; on a machine without GPU pip needs PyTorch's index of CPU builds.
    """
    from courselib.engines.vllm.install import install as install_it

    found = install_it(python=python, pip_options=pip_options)
    click.echo(
        _("vLLM {version} {device}: {python}").format(version=found.version, device=found.device, python=found.python)
    )
