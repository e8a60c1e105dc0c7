"""Errors in callbacks must fail tests."""

import ipywidgets.widgets.widget as widget
import pytest

import courselib


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


@pytest.fixture(scope="session")
def server():
    """One small llama.cpp server for all panels that only ask it something."""
    with courselib.launch("llama.cpp", context=1024) as running:
        yield running


def click(button):
    """Press a button as the browser does; ``button.click()`` would swallow errors."""
    button._handle_custom_msg({"event": "click"}, [])
