"""Recordings: the course's own open without a server, broken ones are refused, and what was kept comes back."""

import dataclasses
import itertools
import json
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from courselib.controls.controls import Controls
from courselib.errors import SettingsError, Unreachable
from courselib.observe.logits import NextToken as Told
from courselib.panels.base import VIEW
from courselib.panels.compare import Compare
from courselib.panels.does_it_really import DoesItReally
from courselib.panels.memory import Memory
from courselib.panels.next_token import NextToken
from courselib.panels.packed import STEP, pack_row, unpack_row
from courselib.panels.penalties import Penalties
from courselib.panels.penalty_sweep import PenaltySweep, Point
from courselib.panels.playground import Playground
from courselib.panels.recording import MOST_BYTES, OURS, hardware_of
from courselib.panels.still import bar, bars, percent, token
from courselib.panels.stops import Stops
from courselib.panels.walk import Walk
from courselib.sampling import entropy
from tests.panels.fake_llama_server import Desk, FakeLlamaServer
from tests.panels.test_experiment import Echo

PANELS = {
    Playground: "00_playground.json",
    NextToken: "21_next_token.json",
    DoesItReally: "21_does_it_really.json",
    Walk: "22_walk.json",
    Penalties: "23_penalties.json",
    PenaltySweep: "23_penalty_sweep.json",
    Stops: "25_stops.json",
}
# Panels that start servers themselves have tests of their own.
LAUNCHING = {Memory: ("30_memory.json", "35_memory_settings.json")}
# So has the panel of several servers.
SEVERAL = {Compare: "20_compare.json"}
POINTS = tuple(Point(value, 1, value / 4, 0.5, 0.0, -1.5, loops=False) for value in (0.0, 0.25, 2.0))


@pytest.fixture(params=PANELS, ids=lambda panel: panel.__name__)
def kind(request):
    return request.param


@pytest.fixture
def measured(monkeypatch, tmp_path):
    """A sweep of a fake server, whose points are made up, and a file for its recording."""
    monkeypatch.setattr(PenaltySweep, "measure", lambda _panel, _run: iter([POINTS]))
    with FakeLlamaServer("one") as fake:
        panel = PenaltySweep(fake.server(), prompt="Rain.", control="presence_penalty")
        panel.run()
        yield panel, tmp_path / "sweep.json"


def opened(kind, **more):
    panel = kind(recording=PANELS[kind], **more)
    panel.wait(10)
    return panel


def test_all_recordings_of_the_course_are_opened_here():
    named = [*PANELS.values(), *SEVERAL.values(), *itertools.chain(*LAUNCHING.values())]
    assert sorted(named) == sorted(path.name for path in OURS.iterdir())


def test_without_a_server_the_result_its_code_and_its_text_are_there(kind):
    panel = opened(kind)
    label = panel._recording.label
    assert panel.state == "recorded" and panel.result is not None and not panel.stale.value
    assert label.startswith("recorded on ") and label in panel._badge.value and label in panel.as_table()
    assert panel._recording.model in panel._header.value and len(panel.as_table().splitlines()) > 5
    assert panel.code.programs and all("8080" in program for program in panel.code.programs.values())


def test_the_button_asks_for_a_server_in_a_sentence(kind):
    panel = opened(kind)
    before = panel.as_table()
    panel._press()
    panel.wait(10)
    assert "This is a recording; to measure, give the panel a server" in panel._error.value
    assert panel.as_table() == before
    with pytest.raises(Unreachable, match="recording"):
        panel.run()


def test_a_recording_is_small_and_comes_back_as_it_was(kind):
    panel = opened(kind)
    assert (OURS / PANELS[kind]).stat().st_size < MOST_BYTES
    packed = json.loads(json.dumps(panel.pack(panel.result)))
    again = panel.unpack(packed)
    before = panel.as_table()
    panel._kept.put(panel.asked, again)
    panel._drawing.touch()
    assert panel.as_table() == before


def test_a_saved_notebook_has_text_and_a_picture_that_stand_by_themselves(kind):
    bundle = opened(kind)._repr_mimebundle_()
    label = opened(kind)._recording.label
    assert (
        VIEW in bundle
        and label in bundle["text/plain"]
        and repr(opened(kind)) == f"{kind.__name__}(engine='llama.cpp')"
    )
    picture = bundle.get("text/html") or bundle["image/svg+xml"]
    assert label in picture and not any(
        word in picture for word in ("<script", "<style", "href", "var(", "class='cl-really")
    )
    ElementTree.fromstring(f"<all>{picture}</all>")


def test_the_picture_is_the_same_whoever_answers_and_whatever_is_measured(measured):
    panel, path = measured
    panel.record(path)
    alone = PenaltySweep(recording=path)
    with_server = PenaltySweep(panel.server, recording=path, prompt="Rain.")
    with_server.run()
    assert with_server.stills == alone.stills and alone.stills["text/plain"].count("answers") == len(POINTS)
    assert panel.stills == {} and panel._repr_mimebundle_()["text/plain"] == repr(panel)


def test_a_recording_never_passes_for_what_a_server_gave(measured):
    panel, path = measured
    panel.record(path)
    desk = Desk()
    shown = PenaltySweep(desk, recording=path)
    assert shown.state == "recorded" and shown.result == POINTS and shown.control == "presence_penalty"
    desk.server = panel.server
    shown.wait(10)
    assert shown.result is None and shown.state == "ready" and "cl-lines" in shown.view.value
    assert "This was recorded on" in shown.stale.value and "Press Measure to measure it here." in shown.stale.value
    shown.run()
    assert shown.state == "done" and not shown.stale.value and "recorded" not in shown._badge.value
    shown.prompt = "Snow."
    shown.wait(10)
    assert "Changed since this result: prompt" in shown.stale.value


def test_what_is_changed_marks_a_recording_too():
    panel = opened(PenaltySweep)
    panel.prompt = "Snow."
    panel.wait(10)
    assert panel.result is None and panel.state == "waiting"
    assert "Changed since this result: prompt" in panel.stale.value and "recorded" in panel._badge.value


def test_sliders_move_a_recorded_distribution():
    panel = opened(NextToken)
    before = panel.outcome
    panel.form.controls = Controls(temperature=0.2)
    assert entropy(panel.outcome.probabilities) < entropy(before.probabilities)
    panel.duel = "vllm"
    panel.wait(10)
    assert panel.rival is not None and panel.view.drawn["duel"]["engine"] == "vLLM"


def test_a_file_says_what_was_asked_and_on_what_and_holds_no_key(measured):
    panel, path = measured
    found = json.loads(panel.record(path).read_text(encoding="utf-8"))
    assert (
        found["courselib_recording"] == 1
        and found["model"] == "one"
        and found["hardware"]
        and found["date"][:2] == "20"
    )
    assert found["values"] == {"prompt": "Rain.", "control": "presence_penalty", "max_tokens": 96}
    assert panel.server.url not in path.read_text(encoding="utf-8")
    assert json.loads(panel.record(path, hardware="H200").read_text(encoding="utf-8"))["hardware"] == "H200"


def test_a_server_elsewhere_is_not_taken_for_this_machine(measured):
    class Elsewhere:
        url = "https://llm.example.org/v1"

    with pytest.raises(SettingsError, match="on another machine; name that machine"):
        hardware_of(Elsewhere)


def test_nothing_is_recorded_where_there_is_nothing(measured):
    panel, path = measured
    panel.prompt = "Other."
    with pytest.raises(SettingsError, match="nothing to record yet; press Measure first"):
        panel.record(path)
    with pytest.raises(Unreachable, match="This is a recording"):
        opened(PenaltySweep).record(path)
    echo = Echo(panel.server)
    echo.run()
    with pytest.raises(SettingsError, match="Echo cannot be recorded"):
        echo.record(path)
    assert not path.exists()


def test_what_is_not_small_is_refused(measured, monkeypatch):
    panel, path = measured
    monkeypatch.setattr(PenaltySweep, "pack", lambda _panel, _result: ["x" * MOST_BYTES])
    with pytest.raises(SettingsError, match="would take 100 kB, more than 100"):
        panel.record(path)
    assert not path.exists()


def broken(change, kind=PenaltySweep):
    found = json.loads((OURS / PANELS[kind]).read_text(encoding="utf-8"))
    change(found)
    return json.dumps(found)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "cannot be read; record it anew"),
        ("[1]", "cannot be read"),
        ("{}", "cannot be read"),
        (broken(lambda found: found.update(courselib_recording=2)), "of version 2, and this courselib reads version 1"),
        (broken(lambda found: found.update(panel="Walk")), "is a recording of Walk"),
        (broken(lambda found: found.update(more=1)), "cannot be read"),
        (broken(lambda found: found.pop("hardware")), "cannot be read"),
        (broken(lambda found: found.update(date=5)), "cannot be read"),
        (broken(lambda found: found.update(values=[])), "cannot be read"),
        (broken(lambda found: found["values"].pop("prompt")), "cannot be read"),
        (broken(lambda found: found["values"].update(control="x")), "cannot be read"),
        (broken(lambda found: found.update(controls={"x": 1})), "cannot be read"),
        (broken(lambda found: found.update(defaults={"x": 1})), "cannot be read"),
        (broken(lambda found: found.update(result=None)), "cannot be read"),
        (broken(lambda found: found["result"][0].update(value="much")), "cannot be read"),
        (broken(lambda found: found["result"][0].update(drift=float("nan"))), "cannot be read"),
    ],
)
def test_a_broken_file_is_one_sentence(tmp_path, text, words):
    path = tmp_path / "kept.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError, match=words):
        PenaltySweep(recording=path)


@pytest.mark.engine
@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (Stops, {"stop": ("Par",), "max_tokens": 8}),
        (Penalties, {"max_tokens": 12, "a": {"presence_penalty": 1.5}, "b": {}}),
        (Playground, {"prompt": "Count.", "controls": Controls(max_tokens=8, temperature=0)}),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_is_recorded_now_opens_the_same(server, tmp_path, kind, values):
    panel = kind(server, **values)
    panel.run()
    if kind is Penalties:
        panel.look("A", 3)
    again = kind(recording=panel.record(tmp_path / "kept.json"))
    again.wait(10)
    assert again.asked == dataclasses.replace(panel.asked, server=0)
    assert again.lines(again.result, again.asked) == panel.lines(panel.result, panel.asked)
    assert again.stills["text/plain"].endswith("\n".join(panel.lines(panel.result, panel.asked)))


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        (Stops, lambda found: found["result"].update(context=0)),
        (Stops, lambda found: found["result"]["tokens"].pop()),
        (Stops, lambda found: found["result"]["steps"][0].__setitem__(0, 10**9)),
        (Stops, lambda found: found["result"]["seen"]["ending"].update(max_tokens=10**9)),
        (Penalties, lambda found: found["values"].pop("a")),
        (Penalties, lambda found: found["values"].update(b={"x": 1})),
        (Penalties, lambda found: found["result"]["apart"].update(side=2)),
        (Playground, lambda found: found["result"]["spans"][0].__setitem__(1, 1.5)),
        (Playground, lambda found: found["result"]["answer"].update(ttft_s=float("nan"))),
    ],
)
def test_a_broken_answer_is_one_sentence(tmp_path, kind, change):
    path = tmp_path / "kept.json"
    path.write_text(broken(change, kind), encoding="utf-8")
    with pytest.raises(SettingsError, match="cannot be read"):
        kind(recording=path)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for panel, name in PANELS.items() if panel is not PenaltySweep])
def test_no_damage_to_a_result_is_more_than_a_sentence(tmp_path, name):
    """One value after another is lost, or is another one."""
    panel = next(panel for panel, known in PANELS.items() if known == name)
    text = (OURS / name).read_text(encoding="utf-8")

    def places(value, path=()):
        yield path
        inside = value.items() if isinstance(value, dict) else enumerate(value[:1]) if isinstance(value, list) else ()
        for key, each in inside:
            yield from places(each, (*path, key))

    damages = itertools.cycle((None, "x", 10**9))
    for path in [each for each in places(json.loads(text)["result"]) if each]:
        found = json.loads(text)
        at = found["result"]
        for key in path[:-1]:
            at = at[key]
        at[path[-1]] = next(damages)
        (tmp_path / "kept.json").write_text(json.dumps(found), encoding="utf-8")
        try:
            panel(recording=tmp_path / "kept.json").wait(10)
        except SettingsError as error:
            assert "cannot be read" in str(error)


def test_there_is_none_of_that_name_or_another_engines():
    with pytest.raises(SettingsError, match=r"There is no recording nowhere\.json"):
        Walk(recording="nowhere.json")
    with pytest.raises(SettingsError, match="give it a server, a Deploy panel, or a recording"):
        Walk()
    desk = Desk()
    desk.engine_name = "vllm"
    with pytest.raises(SettingsError, match=r"of llama\.cpp, and the server given is vllm's"):
        Walk(desk, recording=PANELS[Walk])


@pytest.mark.parametrize("told", ["all", "some"])
def test_a_row_comes_back_but_for_the_rounding_of_what_cannot_be_seen(told):
    random = np.random.default_rng(7)
    logits = random.normal(scale=3, size=20_000)
    logprobs = logits - np.log(np.exp(logits).sum())
    if told == "some":
        logprobs[np.argsort(-logprobs)[5:]] = -np.inf
    pieces = tuple(b"\xe4\xbd" if number % 3 else f"t{number}".encode() for number in range(20_000))
    row = Told((3, 19_999), logprobs, 1.5, pieces)
    again = unpack_row(json.loads(json.dumps(pack_row(row, named=[3, 4]))))
    kept = np.argsort(-logprobs)[:5]
    assert (
        again.prompt == row.prompt and again.offset == 1.5 and again.remainder == pytest.approx(row.remainder, abs=1e-4)
    )
    assert np.allclose(again.logprobs[kept], logprobs[kept], atol=1e-5)
    assert [again.pieces[token] for token in kept] == [pieces[token] for token in kept]
    assert np.allclose(np.sort(again.logprobs), np.sort(logprobs), atol=STEP)
    if told == "all":
        assert again.pieces[4] == pieces[4] and np.exp(again.logprobs).sum() == pytest.approx(1)
        assert entropy(np.exp(again.logprobs)) == pytest.approx(entropy(np.exp(logprobs)), abs=0.01)


def test_bars_of_signs():
    assert bar(1) == "█" * 24 and bar(0) == "" and bar(1 / 192) == "▏" and len(bar(0.5)) == 12
    assert token("  a\n") == "␣␣a⏎" and token(" ") == "␣" and token("你 ") == "你␣"
    shown = [percent(share) for share in (1, 0.9996, 0.973, 0.1, 0.05, 0.00123, 0.0001, 0.00001, 0)]
    assert shown == ["100 %", "> 99.9 %", "97.3 %", "10.0 %", "5.0 %", "0.12 %", "0.010 %", "< 0.01 %", "0 %"]
    html = bars("<a>", ["t"], [("<b>", 0.5, ["<c>"])])["text/html"]
    assert "<b>" not in html and "&lt;b&gt;" in html and "█" * 24 in html
