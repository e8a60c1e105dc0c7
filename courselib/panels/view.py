"""The scripts and styles of panels that draw for themselves."""

from pathlib import Path

STATIC = Path(__file__).parent / "static"


def script(name: str, *before: str) -> str:
    """A script after what it builds on, by default what pictures of tokens share; an anywidget is given one module."""
    return "\n".join((STATIC / part).read_text(encoding="utf-8") for part in (*(before or ("tokens.js",)), name))
