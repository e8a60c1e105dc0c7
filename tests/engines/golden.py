"""Commands are pure functions of settings: one golden line for each setting, and none forgotten."""

import dataclasses


def check_golden(flags, name, value, expected):
    """Make sure that a setting adds these words, one after the other, and nothing else.

    Args:
        flags: makes a command's words from settings.
    """
    plain, changed = flags(), flags(**{name: value})
    assert set(changed) - set(plain) == set(expected) - set(plain)
    at = changed.index(expected[0])
    assert changed[at : at + len(expected)] == expected


def check_none_forgotten(settings_type, *tables):
    """Make sure that the tables' keys are the settings there are."""
    names = {field.name for field in dataclasses.fields(settings_type)}
    assert names == set().union(*tables)
