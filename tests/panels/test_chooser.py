"""The chooser: answers move the ranking, each reason has its source, and it ends with a line that starts the engine."""

import re
import xml.etree.ElementTree as ElementTree

import pytest

import courselib
from courselib import i18n
from courselib.errors import SettingsError
from courselib.machine import Gpu
from courselib.panels.base import VIEW
from courselib.panels.chooser import Chooser


@pytest.fixture
def panel():
    return Chooser(hardware="laptop")


def places(panel):
    return re.findall(r"<li[^>]*><b>([^<]+)</b>", panel.result.value)


def test_answers_move_the_ranking(panel):
    assert places(panel) == ["llama.cpp", "vLLM", "TGI"]
    assert panel.state == "best: llama.cpp"
    panel.hardware = "gpus"
    panel.users = "many"
    assert places(panel)[0] == "vLLM"
    assert panel.state == "best: vLLM"
    assert panel.ranking[0].engine == "vllm"
    assert panel.needs.users == "many"


def test_operations_are_ticked(panel):
    panel.ray = True
    assert panel.needs.operations == ("ray",)
    assert "It does not support Ray." in panel.result.value
    panel.ray = False
    assert "Ray" not in panel.result.value


def test_what_rules_an_engine_out_is_said(panel):
    panel.hardware = "apple"
    assert places(panel)[-1] == "TGI"
    assert "role='img' aria-label='rules it out'>✕" in panel.result.value
    assert "TGI" not in panel.code.programs


def test_none_fits(panel):
    panel.hardware = "edge"
    panel.licence = "apache"
    assert panel.state == "none of the three fits"
    assert panel.code.programs == {}
    assert panel.result.value.count("ruled out") == 3


def test_it_ends_with_the_launch_line(panel):
    assert panel.code.selected == "llama.cpp"
    assert 'courselib.launch("llama.cpp", model="smollm2-135m")' in panel.code.programs["llama.cpp"]
    panel.users = "few"
    assert "parallel=4" in panel.code.programs["llama.cpp"]
    assert list(panel.code.programs) == places(panel)


@pytest.mark.parametrize(
    ("answers", "note"),
    [({"model": "large"}, "largest of this course"), ({"api": "tgi"}, "tgi-gateway"), ({"hardware": "gpus"}, "2 GPUs")],
)
def test_notes(answers, note):
    assert any(note in text for text in Chooser(**{"hardware": "laptop", **answers}).code.notes)


def test_each_reason_links_to_its_source_safely(panel):
    reasons = re.findall(r"<li><span class='cl-mark'.*?</li>", panel.result.value)
    assert len(reasons) > 8
    for reason in reasons:
        assert "rel='noopener noreferrer'" in reason or "recorded by this course" in reason or "formula" in reason


def test_tgis_state_and_its_successors_are_marked(panel):
    assert "Changed: In maintenance mode since December 2025" in panel.result.value
    assert "MLX" in panel.result.value


def test_others_are_named_and_not_taught(panel):
    assert "<b>Ollama</b>" in panel.result.value
    assert "Ollama" not in panel.code.programs


@pytest.mark.parametrize(("gpus", "expected"), [(0, "laptop"), (1, "gpu"), (4, "gpus")])
def test_it_begins_with_this_machine(gpus, expected, monkeypatch):
    monkeypatch.setattr("courselib.machine.gpus", lambda: [Gpu("L4", 1)] * gpus)
    monkeypatch.setattr("platform.system", lambda: "Linux")
    assert Chooser().needs.hardware == expected


def test_apple_silicon_is_known(monkeypatch):
    monkeypatch.setattr("platform.system", lambda: "Darwin")
    monkeypatch.setattr("platform.machine", lambda: "arm64")
    assert Chooser().needs.hardware == "apple"


def test_inputs_are_traits_with_a_sentence_each(panel):
    panel.inputs["ray"].value = True
    assert panel.ray and "ray" in panel.needs.operations
    assert all(each.tooltip and each.tooltip != each.description for each in panel.inputs.values())
    with pytest.raises(SettingsError, match="users is 'all'; choose one of one, few, many"):
        panel.users = "all"


def test_what_is_spoken_is_the_best_one_alone(panel):
    """The ranking is replaced at each answer; the state's words change only when the best engine does."""
    assert "aria-live" not in panel.result.value and panel._status.text == "best: llama.cpp"


def test_text_twin_and_fixed_repr(panel):
    table = panel.as_table()
    assert repr(panel) == "Chooser(TGI, vLLM, llama.cpp)"
    for text in ("Users at once   one", "1. llama.cpp: ", "[TGI's README]", "Also: Ollama", "courselib.launch("):
        assert text in table
    assert "<" not in table


def test_the_package_has_it():
    assert courselib.Chooser is Chooser


def test_a_wrong_answer_is_refused_at_once():
    with pytest.raises(SettingsError, match="choose one of laptop"):
        Chooser(hardware="abacus")
    with pytest.raises(TypeError):
        Chooser(hardwares="laptop")


def test_in_another_language(monkeypatch):
    class Shouting:
        def gettext(self, message):
            return message.upper() if "{" not in message else message

        def ngettext(self, one, many, n):
            return one if n == 1 else many

    monkeypatch.setattr(i18n, "_catalogue", Shouting())
    panel = Chooser(hardware="laptop")
    assert "CHANGED: IN MAINTENANCE MODE" in panel.result.value
    assert panel.inputs["users"].description == "USERS AT ONCE"
    assert panel.inputs["users"].options[0][0] == "ONE"


def test_a_saved_notebook_shows_answers_ranking_and_sources_as_they_stand(panel):
    before = panel._repr_mimebundle_()
    panel.users = "many"
    after = panel._repr_mimebundle_()
    for bundle, best in ((before, "llama.cpp"), (after, panel.ranking[0].title)):
        picture = bundle["text/html"]
        ElementTree.fromstring(f"<all>{picture}</all>")
        assert f"best: {best}" in picture and picture.count("<a href='https://") > 5
        assert f"1. {best}: " in bundle["text/plain"] and VIEW in bundle
    assert "<td align='left'>many" not in before["text/html"] and before != after
    assert "courselib.launch(" in after["text/html"] and repr(panel) == "Chooser(TGI, vLLM, llama.cpp)"
