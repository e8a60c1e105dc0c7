"""Compare opens from a recording: without servers, and beside those of the engines that are there."""

import json
import xml.etree.ElementTree as ElementTree

import pytest

from courselib.controls.controls import Controls
from courselib.errors import SettingsError, Unreachable
from courselib.panels.base import VIEW
from courselib.panels.compare import Compare
from courselib.panels.playground import Playground
from courselib.panels.recording import MOST_BYTES, OURS
from tests.panels.fake_answers import CITY, COMMA, END, IS, PARIS, STOP, THE, FakeAnswers
from tests.panels.fake_llama_server import Desk, FakeLlamaServer

OWN = "20_compare.json"
SHORT = Controls(max_tokens=2)


@pytest.fixture(scope="module")
def servers():
    """Two servers of which one says more than the other."""
    with FakeLlamaServer("one") as first, FakeLlamaServer("two") as second:
        FakeAnswers(first, [PARIS, IS, THE, CITY, STOP, END])
        FakeAnswers(second, [THE, CITY, COMMA, END])
        yield first.server(), second.server()


@pytest.fixture(scope="module")
def kept(servers, tmp_path_factory):
    """What both have answered, as a file."""
    panel = Compare(servers[0], (servers[1], SHORT), system="Be brief.")
    assert panel.ask("Where?") == ["Paris is the city.", " the city"]
    return panel.record(tmp_path_factory.mktemp("kept") / "compare.json", hardware="Fake <H100>")


@pytest.fixture
def changed(kept, tmp_path):
    """A function that writes the file with something changed."""

    def write(change):
        found = json.loads(kept.read_text(encoding="utf-8"))
        change(found)
        path = tmp_path / "changed.json"
        path.write_text(json.dumps(found), encoding="utf-8")
        return path

    return write


def elsewhere(found):
    found["columns"][1]["engine"] = "vllm"


def test_without_servers_all_answers_their_code_and_what_differs_are_there(kept):
    panel = Compare(recording=kept)
    assert panel.state == "recorded" and repr(panel) == "Compare(llama.cpp, llama.cpp)"
    assert [column.result.text for column in panel.columns] == ["Paris is the city.", " the city"]
    assert (panel.prompt, panel.system) == ("Where?", "Be brief.") and panel.columns[0].form.controls.max_tokens == 128
    assert panel.origin.startswith("recorded on Fake <H100>, 20") and "Fake &lt;H100&gt;" in panel._badge.value
    assert set(panel.differences()) == {"max_tokens", "seed"} and "max_tokens" in panel.table.value
    assert all("8080" in column.code.programs["openai"] for column in panel.columns)
    assert "1 · llama.cpp: recorded on Fake <H100>" in panel.as_table() and "Paris is the city." in panel.as_table()


def test_send_asks_for_servers_in_a_sentence(kept):
    panel = Compare(recording=kept)
    panel._press()
    for column in panel.columns:
        column.wait(10)
        assert "This is a recording; to measure, give the panel a server" in column._error.value
    with pytest.raises(Unreachable, match="recording"):
        panel.ask("Where?")
    with pytest.raises(Unreachable, match="recording"):
        panel.record(kept)


def test_the_picture_is_the_recordings_whoever_answers(kept, servers):
    alone = Compare(recording=kept)
    bundle = alone._repr_mimebundle_()
    with_servers = Compare(*servers, recording=kept, prompt="When?")
    with_servers.ask("What?")
    assert with_servers.stills == alone.stills and VIEW in bundle
    picture = bundle["text/html"]
    assert not any(word in picture for word in ("<script", "<style", "href", "var(", "class="))
    assert "Paris is the city." in picture and "Fake &lt;H100&gt;" in picture
    assert picture.index("2 · llama.cpp") < picture.index("time to first token") < picture.index("max_tokens")
    assert ElementTree.fromstring(f"<all>{picture}</all>").find("blockquote").text == "Where?"
    assert "recorded on Fake <H100>" in bundle["text/plain"] and "finish reason: stop" in bundle["text/plain"]
    assert Compare(*servers).stills == {}


def test_a_server_has_the_recorded_column_of_its_engine_and_the_others_stay(changed, servers):
    panel = Compare(servers[0], recording=changed(elsewhere))
    assert repr(panel) == "Compare(llama.cpp, vllm)" and panel.state == "ready"
    first, second = panel.columns
    first.wait(10)
    assert "This was recorded on" in first.stale.value and second.state == "recorded"
    assert panel.ask("Where?") == ["Paris is the city.", " the city"]
    assert (first.state, second.state, panel.state) == ("done", "recorded", "done") and not second._error.value
    assert panel.origin.startswith("1: measured; 2: recorded on Fake")


def test_a_server_that_comes_later_does_not_take_the_recording_for_its_own(kept, servers):
    desks = Desk(), Desk()
    panel = Compare(*desks, recording=kept)
    assert panel.state == "recorded"
    for desk, server in zip(desks, servers, strict=True):
        desk.server = server
    for column in panel.columns:
        column.wait(10)
        assert column.result is None and "Press Send to measure it here." in column.stale.value
    assert panel.ask("Where?")[0] == "Paris is the city." and panel.state == "done" and panel.origin == "measured"


def test_four_columns_are_the_most_with_those_that_are_recorded(changed, servers):
    path = changed(elsewhere)
    assert len(Compare(*[servers[0]] * 3, recording=path).columns) == 4
    assert len(Compare(*[servers[0]] * 4, recording=path).columns) == 4
    with pytest.raises(SettingsError, match="given 5 columns"):
        Compare(*[servers[0]] * 5, recording=path)


def test_which_columns_shared_a_server_is_kept(servers, tmp_path):
    panel = Compare(servers[0], (servers[0], SHORT))
    panel.ask("Where?")
    again = Compare(recording=panel.record(tmp_path / "shared.json"))
    assert "may wait for each other" in again.table.value and "may wait for each other" in again.stills["text/html"]


def test_nothing_is_recorded_where_a_column_has_no_answer(servers, tmp_path):
    with pytest.raises(SettingsError, match="nothing to record yet; press Send first"):
        Compare(*servers).record(tmp_path / "none.json")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "change",
    [
        lambda found: found.pop("columns"),
        lambda found: found.pop("servers"),
        lambda found: found.update(more=1),
        lambda found: found.update(servers=[1]),
        lambda found: found.update(servers=[1, "x"]),
        lambda found: found["columns"].pop(),
        lambda found: found.update(columns=[*found["columns"]] * 3, servers=[1] * 6),
        lambda found: found["columns"][1]["values"].update(prompt="Other."),
        lambda found: [each["values"].pop("prompt") for each in found["columns"]],
        lambda found: [each["values"].update(prompt=5) for each in found["columns"]],
        lambda found: found["columns"][0].pop("hardware"),
        lambda found: found["columns"][0].update(controls={"x": 1}),
        lambda found: found["columns"][0].update(defaults={"x": 1}),
        lambda found: found["columns"][0].update(result=None),
        lambda found: found["columns"][1]["result"]["spans"][0].__setitem__(1, 1.5),
        lambda found: found["columns"].__setitem__(0, "x"),
    ],
)
def test_a_broken_file_is_one_sentence(changed, change):
    with pytest.raises(SettingsError, match="cannot be read; record it anew"):
        Compare(recording=changed(change))


def test_another_panels_file_is_refused(kept):
    with pytest.raises(SettingsError, match="is a recording of Compare; open it there, or name one of Playground"):
        Playground(recording=kept)
    with pytest.raises(SettingsError, match="is a recording of Playground; open it there, or name one of Compare"):
        Compare(recording="00_playground.json")


def test_the_courses_own_has_three_engines_and_is_small():
    panel = Compare(recording=OWN)
    assert repr(panel) == "Compare(llama.cpp, tgi-gateway, vllm)" and panel.state == "recorded"
    assert all(column.result.answer for column in panel.columns) and len(panel.differences()) > 2
    assert (OURS / OWN).stat().st_size < MOST_BYTES
