"""The scripts and styles of panels that draw for themselves."""

from pathlib import Path

STATIC = Path(__file__).parent / "static"


def script(name: str) -> str:
    """A picture of tokens: what all of them begin with, then its own script; an anywidget is given one module."""
    return "\n".join((STATIC / part).read_text(encoding="utf-8") for part in ("tokens.js", name))
