"""Errors in callbacks must fail tests."""

import ipywidgets.widgets.widget as widget
import pytest


@pytest.fixture(autouse=True)
def raise_from_callbacks(monkeypatch):
    """ipywidgets logs what a callback raises and goes on; here it is raised."""

    def call(self, *arguments, **named):
        value = None
        for callback in self.callbacks:
            answer = callback(*arguments, **named)
            value = value if answer is None else answer
        return value

    monkeypatch.setattr(widget.CallbackDispatcher, "__call__", call)
