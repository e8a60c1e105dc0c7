"""A Deploy panel in a saved notebook: what is known of its settings before a start."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from courselib.i18n import _
from courselib.panels.base import escape
from courselib.panels.desk_facts import predicted_rows, wrapped
from courselib.panels.desks import Preview
from courselib.panels.still import HTML, table


def desk_stills(
    head: str, settings: Mapping[str, Any], first: Collection[str], preview: Preview, program: str
) -> dict[str, str]:
    """Settings, predicted sizes and the command, as text and as a picture.

    Args:
        head: the panel's title and engine.
        settings: what the inputs hold, by name.
        first: the settings that are in view; the others are folded.
        preview: what is known before a start.
        program: the same start in Python.
    """
    caption = f"{head} · {preview.model} · {_('before the start')}"
    sizes = predicted_rows(preview.predicted, preview.lost)
    command = wrapped(preview.command)
    width = max(map(len, settings)) + 2
    text = [
        caption,
        *(f"{name:<{width}}{_shown(value)}" for name, value in settings.items()),
        *(f"{name}: {size} ({origin})" for name, size, origin in sizes),
        "",
        command,
    ]
    more = {name: value for name, value in settings.items() if name not in first}
    parts = [
        f"<p>{escape(caption)}</p>",
        _settings_table({name: settings[name] for name in first}),
        f"<details><summary>{escape(_('More settings'))}</summary>{_settings_table(more)}</details>",
        table((_("memory"), "", ""), [tuple(map(escape, row)) for row in sizes]) if sizes else "",
        f"<p>{escape(_('The command'))}</p><pre>{escape(command)}</pre>",
        f"<p>{escape(_('The same in Python'))}</p><pre>{escape(program)}</pre>",
    ]
    return {"text/plain": "\n".join(text), HTML: "".join(parts)}


def refused_stills(head: str, refused: BaseException | None) -> dict[str, str]:
    """Why the settings cannot be started here, as text and as a picture."""
    words = str(refused or "")
    return {"text/plain": f"{head}\n{words}", HTML: f"<p>{escape(head)}</p><p>{escape(words)}</p>"}


def _settings_table(settings: Mapping[str, Any]) -> str:
    rows = [(f"<code>{escape(name)}</code>", escape(_shown(value))) for name, value in settings.items()]
    return table((_("setting"), _("value")), rows)


def _shown(value: Any) -> str:
    return "-" if value is None else str(value)
