"""Checks of settings: each refuses with a sentence that says what would do."""

from __future__ import annotations

import math
import re

from courselib.errors import SettingsError
from courselib.i18n import _


def check_whole(name: str, value: object, low: int) -> None:
    """Make sure that ``value`` is a whole number from ``low`` to 2**31 - 1.

    Raises:
        SettingsError: it is not.
    """
    if not isinstance(value, int) or isinstance(value, bool):
        raise SettingsError(_("{name} is {value!r}; give a whole number.").format(name=name, value=value))
    if not low <= value < 2**31:
        raise SettingsError(
            _("{name} is {value}; choose a number from {low} to {high}.").format(
                name=name, value=value, low=low, high=2**31 - 1
            )
        )


def check_choice(name: str, value: object, choices: tuple[str, ...]) -> None:
    """Make sure that ``value`` is one of ``choices``.

    Raises:
        SettingsError: it is not.
    """
    if value not in choices:
        raise SettingsError(
            _("{name} is {value!r}; choose one of {choices}.").format(
                name=name, value=value, choices=", ".join(choices)
            )
        )


def check_share(name: str, value: object, *, most: float) -> None:
    """Make sure that ``value`` is a number above 0 and at most ``most``.

    Raises:
        SettingsError: it is not.
    """
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value <= most:
        raise SettingsError(
            _("{name} is {value!r}; give a number above 0 and at most {most:g}.").format(
                name=name, value=value, most=most
            )
        )


def check_positive(name: str, value: object) -> None:
    """Make sure that ``value`` is a finite number above 0.

    Raises:
        SettingsError: it is not.
    """
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value < math.inf:
        raise SettingsError(_("{name} is {value!r}; give a number above 0.").format(name=name, value=value))


def check_key(name: str, key: object) -> None:
    """Make sure that ``key`` can be sent in a header; the message never holds it.

    Raises:
        SettingsError: it is no text, or not of visible ASCII characters.
    """
    if not isinstance(key, str) or not re.fullmatch(r"[!-~]*", key):
        raise SettingsError(
            _("{name} must be visible ASCII characters, without spaces or line breaks; strip() takes these off.")
            .format(name=name)
        )  # fmt: skip
