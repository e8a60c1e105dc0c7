"""``courselib build``: lessons to notebooks."""

from __future__ import annotations

import sys
from pathlib import Path

import click


@click.command()
@click.argument("lessons", nargs=-1)
@click.option("--check", is_flag=True, help="Change nothing; fail if a notebook differs from its lesson.")
@click.option("--execute/--no-execute", default=None, help="Run all, or none; by default those whose code changed.")
@click.option("--root", type=click.Path(exists=True, file_okay=False, path_type=Path), default=".", hidden=True)
def build(lessons: tuple[str, ...], check: bool, execute: bool | None, root: Path) -> None:
    """Build the notebooks from LESSONS (all by default)."""
    from courselib.authoring import build as build_notebooks

    report = build_notebooks(root, list(lessons) or None, check=check, execute=execute)
    click.echo(str(report))
    if not report.ok:
        sys.exit(1)
