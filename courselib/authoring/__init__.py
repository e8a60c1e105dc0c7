"""Lessons to notebooks: from MyST text in ``lessons/`` to executed notebooks, the same bytes each time."""

from __future__ import annotations

from courselib.errors import LessonError
from courselib.i18n import _

try:
    from courselib.authoring.build import Report, build
except ModuleNotFoundError as error:
    message = _("Building lessons needs {package}; install it with: pip install 'courselib[build]'.")
    raise LessonError(message.format(package=error.name)) from error

__all__ = ["Report", "build"]
