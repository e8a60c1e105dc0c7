"""A sentence on each setting of an engine, for the terminal's help and the fields of panels."""

from __future__ import annotations


def settings_help(settings: type) -> dict[str, str]:
    """The sentence on each field, from the dataclass's own docstring and those of its bases."""
    from docstring_parser import DocstringStyle, parse

    return {
        name: " ".join((entry.description or "").replace("``", "").split())
        for cls in reversed(settings.__mro__)
        for entry in parse(cls.__doc__ or "", style=DocstringStyle.GOOGLE).params
        for name in entry.arg_name.split(", ")
    }
