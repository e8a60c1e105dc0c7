"""What a person is told of a launch beside its result: once, by launch itself or by who asks for it."""

import contextlib
import io
import sys
import types

import pytest

import courselib
from courselib.panels.deploy import Deploy
from tests.panels.conftest import click

NOTE = "TGI ignores max_batch_total_tokens: models with FlashAttention take all the memory there is for their batch."


@pytest.mark.filterwarnings("error::UserWarning")
@pytest.mark.parametrize("front_end", ["terminal", "notebook"])
def test_shown_once(fake_launcher, monkeypatch, front_end):
    monkeypatch.delitem(sys.modules, "ipykernel", raising=False)
    if front_end == "notebook":
        monkeypatch.setitem(sys.modules, "ipykernel", types.ModuleType("ipykernel"))
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        server = courselib.launch("tgi", max_batch_total_tokens=8192)
    with server:
        assert server.notes == (NOTE,)
    shown, other = (out, err) if front_end == "notebook" else (err, out)
    assert (shown.getvalue().count(NOTE), other.getvalue().count(NOTE)) == (1, 0)


def test_given_to_who_asks_for_them(fake_launcher, capsys):
    told = []
    with courselib.launch("tgi", max_batch_total_tokens=8192, on_note=told.append):
        assert told == [NOTE]
    assert "ignores" not in "".join(capsys.readouterr())


def test_shown_by_the_desk_beside_the_command(fake_launcher, capsys):
    desk = Deploy("tgi", max_batch_total_tokens=8192)
    click(desk.start_button)
    try:
        desk.wait(60)
        assert desk.code.notes.count(NOTE) == 1
    finally:
        click(desk.stop_button)
        desk.wait(30)
    assert "ignores" not in "".join(capsys.readouterr())
