"""The words a person sees, in their language.

Strings are English in the code and wrapped as ``_("Start")``; translations are gettext catalogues, found below
``courselib/locale``. A string without a translation is shown in English.
"""

from __future__ import annotations

import gettext as _gettext
import os
from pathlib import Path

_LOCALE = Path(__file__).parent / "locale"
_DOMAIN = "courselib"
_catalogue: _gettext.NullTranslations = _gettext.NullTranslations()
_language = "en"


def set_language(language: str) -> None:
    """Show messages in ``language`` (``"en"``, ``"zh_TW"``) from now on; an unknown one falls back to English."""
    global _catalogue, _language
    _language = language
    _catalogue = _gettext.translation(_DOMAIN, localedir=_LOCALE, languages=[language], fallback=True)


def language() -> str:
    """The language that was set, whether anything is translated into it or not."""
    return _language


def _(message: str) -> str:
    """The translation of ``message``, or ``message`` itself.

    Fill in values after translating, ``_("{n} tokens").format(n=3)``, so that translators see whole sentences.
    """
    return _catalogue.gettext(message)


def N_(message: str) -> str:
    """``message`` itself: marks one that is kept in English and translated with ``_`` when it is shown."""
    return message


def ngettext(one: str, many: str, n: int) -> str:
    """The translation of ``one`` or ``many``, whichever ``n`` asks for in the language in use."""
    return _catalogue.ngettext(one, many, n)


set_language(os.environ.get("COURSELIB_LANGUAGE", "en"))
