"""The Memory panel: the answer before a start, what each engine has, recordings; then real starts beside another."""

import contextlib
import io
import itertools
import json
import threading
import xml.etree.ElementTree as ElementTree

import pytest

import courselib
from courselib import machine
from courselib.errors import OutOfMemory, SettingsError
from courselib.memory import GIB, MIB
from courselib.memory.fit import error
from courselib.panels import launching
from courselib.panels.base import VIEW
from courselib.panels.fields import fields_of
from courselib.panels.memory import Memory
from courselib.panels.recording import MOST_BYTES, OURS
from tests.panels.conftest import click

RECORDING = "30_memory.json"
SEVEN, SEVENTY = "mistralai/Mistral-7B-Instruct-v0.3", "meta-llama/Llama-3.1-70B-Instruct"


@pytest.fixture
def small(monkeypatch):
    """A container of 512 MiB, of which 400 are free, without a GPU."""
    monkeypatch.setattr(machine, "memory", lambda: machine.Memory(512 * MIB, 400 * MIB, limited=True))
    monkeypatch.setattr(machine, "gpus", list)


@pytest.fixture
def panel(small):
    made = Memory()
    made.wait(10)
    return made


def shown(panel):
    panel.wait(10)
    return {name for name, each in panel.inputs.items() if each.layout.display != "none"}


def answer(panel, **values):
    for name, value in values.items():
        setattr(panel, name, value)
    return panel.verdict


def test_only_what_the_engine_has_is_shown(panel):
    assert "prompt" not in panel.inputs and "prompt" not in fields_of(Memory)
    always = {"model", "engine", "budget"}
    slots = {"context", "parallel", "cache_type_k", "cache_type_v", "kv_unified", "ubatch", "flash_attn", "cache_ram"}
    assert shown(panel) == always | slots
    panel.budget = "16 GiB"
    assert shown(panel) == always | slots | {"gpu_layers"}
    panel.engine = "vllm"
    assert shown(panel) == always | {"max_model_len", "kv_cache_mib", "utilization", "max_num_seqs"}
    assert "vllm" in panel._header.value and repr(panel) == "Memory(engine='llama.cpp')"
    panel.engine = "tgi"
    assert shown(panel) == always | {"max_total_tokens", "memory_fraction", "tgi_cache"}


def test_the_answer_names_the_setting_and_what_it_gives_fits(panel):
    assert answer(panel, context=4096).answer == "yes"
    assert "Yes: it needs 259.01 MiB, and 400.00 MiB are free within this container" in panel.as_table()
    no = answer(panel, context=32_768)
    assert no.answer == "no" and no.setting == "context"
    assert f"The longest context that fits is {no.value:,}." in panel.as_table() and "✕" in panel.answer.value
    assert answer(panel, context=no.value).answer in ("yes", "slow")
    assert answer(panel, context=no.value).setting in ("", "context")
    slow = answer(panel, context=12_288)
    assert slow.answer == "slow" and "read them again for each token" in slow.sentence
    assert answer(panel, context=slow.value).answer == "yes"
    close = next(found for n in range(48, 72) if "close" in (found := answer(panel, context=256 * n)).sentence)
    assert close.answer in ("yes", "slow", "no")


def test_what_comes_on_top_while_it_serves_is_said_and_does_not_change_the_answer(panel):
    found = answer(panel, context=4096)
    assert found.answer == "yes"
    assert "may take up to 8.00 GiB more, which is not free: set cache_ram to" in found.sentence
    assert "On top, at most" in panel.parts.value and "8.00 GiB" in panel.parts.value
    most = int(found.sentence.split("cache_ram to ")[1].split()[0])
    assert answer(panel, cache_ram=most).sentence == found.sentence.split(" While")[0]
    assert "cache_ram" in panel.answer.value + answer(panel, cache_ram=most + 64).sentence
    assert "more, which is not free" in answer(panel, context=12_288).sentence and panel.verdict.answer == "slow"
    assert answer(panel, cache_ram=0).answer == "slow" and "On top" not in panel.parts.value + panel.as_table()
    on_card = answer(panel, cache_ram=8192, budget="16 GiB", context=4096)
    assert "cache_ram" not in on_card.sentence and "in RAM; prompts of earlier requests" in panel.parts.value
    assert "cache_ram" not in panel.code.programs["courselib.launch"]
    panel.cache_ram = 256
    assert answer(panel, budget="here") and "cache_ram=256," in panel.code.programs["courselib.launch"]
    assert "cache_ram=256," in panel.code.programs["courselib.memory"]


def test_slots_are_counted_in_whole_rows_of_cells(panel):
    answer(panel, context=513, parallel=2)
    assert "a KV cache for 1,024 tokens when it starts. A conversation uses 23,040 bytes" in panel.as_table()
    assert "a slot holds 512 tokens at most" in panel.as_table()


def test_twenty_settings_around_the_limit(panel):
    """The answer, and the launcher's own check of the KV cache, agree with the sizes."""
    kinds = ({}, {"cache_type_k": "q8_0"}, {"parallel": 4}, {"ubatch": 2048})
    for kind, context in itertools.product(kinds, (2048, 8192, 12_288, 16_384, 65_536)):
        found = answer(panel, **{"cache_type_k": "f16", "parallel": 1, "ubatch": 512, "context": context, **kind})
        sizes = panel.estimate
        held = sizes.known - sizes.weights
        assert found.answer == ("no" if held > 400 * MIB else "slow" if sizes.known > 400 * MIB else "yes")
        assert ("close" in found.sentence) == (abs(held - 400 * MIB) <= error(held) and found.answer != "slow")


def test_models_that_cannot_run_here_on_cards_that_are_not_here(panel):
    fits = answer(panel, model=SEVEN, budget="16 GiB", context=8192)
    assert fits.answer == "yes" and "15.0 GiB are free on the card" in fits.sentence
    assert answer(panel, context=65_536).setting == "context"
    layers = answer(panel, model=SEVENTY, context=4096)
    assert layers.setting == "gpu_layers" and answer(panel, gpu_layers=layers.value).answer == "yes"
    assert answer(panel, budget="4 x 80 GiB", gpu_layers=999).answer == "yes"
    assert answer(panel, engine="vllm", kv_cache_mib=0, max_model_len=8192).answer == "yes"
    assert "on each of the 4 cards" in panel.as_table()
    assert answer(panel, budget="80 GiB").answer == "no"
    assert answer(panel, engine="tgi", budget="4 x 80 GiB").answer == "yes"
    assert answer(panel, model="openai/gpt-oss-120b", engine="llama.cpp").answer == "unknown"


def test_errors_are_one_sentence(panel):
    assert answer(panel, context=2, parallel=4).answer == "no"
    assert "parallel is 4, context only 2" in panel.answer.value
    assert "TGI needs a GPU" in answer(panel, parallel=1, engine="tgi").sentence
    panel.engine, panel.model, panel.context = "llama.cpp", "no such model.gguf", 4096
    panel.wait(10)
    assert "cl-error" in panel._error.value and panel.answer.value == "" and panel.verdict is None
    panel.model = SEVEN
    with pytest.raises(SettingsError, match="Only the shape of mistralai/Mistral-7B"):
        panel.run()
    panel.model, panel.context = "smollm2-135m", 65_536
    with pytest.raises(OutOfMemory, match="The longest context that fits is"):
        panel.run()
    with pytest.raises(SettingsError, match="engine is 'ollama'; choose one of"):
        Memory("ollama")
    with pytest.raises(TypeError, match="no input 'slots'"):
        Memory(slots=3)


@pytest.mark.parametrize(
    "values",
    [
        {"context": 2048, "parallel": 2, "cache_ram": 64},
        {"model": SEVEN, "budget": "24 GiB"},
        {"engine": "vllm", "kv_cache_mib": 64},
        {"engine": "vllm", "model": SEVENTY, "budget": "4 x 80 GiB", "kv_cache_mib": 0},
        {"engine": "tgi", "model": SEVEN, "budget": "16 GiB", "tgi_cache": "fp8_e5m2"},
    ],
    ids=str,
)
def test_the_code_computes_the_same(panel, values):
    assert answer(panel, **values) is not None
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(panel.code.programs["courselib.memory"], {})
    assert panel.estimate.as_table() in printed.getvalue()
    assert str(panel.verdict.answer == "yes") in printed.getvalue()
    assert f'"{panel.engine}"' in panel.code.programs["courselib.launch"]
    words = {"llama.cpp": "--ctx-size", "vllm": "vllm serve", "tgi": "text-generation-launcher"}
    assert words[panel.engine] in panel.code.programs["terminal"]


def test_cancel_ends_a_start_and_keeps_nothing(panel, monkeypatch):
    waits = threading.Event()

    def launch(_engine, *, on_wait, **_settings):
        while True:
            on_wait(1.0)
            waits.set()

    monkeypatch.setattr(launching, "launch", launch)
    click(panel.run_button)
    assert waits.wait(30) and panel.is_busy
    click(panel.cancel_button)
    panel.wait(30)
    assert panel.state == "cancelled" and panel.result is None and not panel._error.value


def test_a_recording_shows_without_a_server_and_says_so(small):
    panel = Memory(recording=RECORDING)
    panel.wait(10)
    label = panel._recording.label
    assert panel.state == "recorded" and len(panel.result) >= 8 and label in panel._badge.value
    assert "recorded" in panel.found.value and panel.plot.value.count("<circle") >= len(panel.result)
    assert (OURS / RECORDING).stat().st_size < MOST_BYTES
    assert [run.asked for run in panel.unpack(json.loads(json.dumps(panel.pack(panel.result))))] == [
        run.asked for run in panel.result
    ]
    bundle = panel._repr_mimebundle_()
    assert VIEW in bundle and label in bundle["text/plain"] and "error" in bundle["text/plain"]
    picture = bundle["image/svg+xml"]
    ElementTree.fromstring(picture)
    assert label in picture and not any(word in picture for word in ("<script", "<style", "href", "var("))
    panel.context = 256
    panel.wait(10)
    assert panel.result is None and panel.state == "ready" and not panel.found.value
    assert panel.stills["image/svg+xml"] == picture == Memory(recording=RECORDING, context=256).stills["image/svg+xml"]


@pytest.mark.parametrize(
    "damage",
    [
        lambda found: found.clear(),
        lambda found: found[0].pop("seen"),
        lambda found: found[0]["seen"].update(rss=-1),
        lambda found: found[0]["seen"].update(more=1),
        lambda found: found[0]["predicted"].update(weights="x"),
        lambda found: found[0]["asked"].update(context=0),
        lambda found: found[0].update(available=None),
    ],
)
def test_a_broken_recording_is_one_sentence(tmp_path, damage):
    kept = json.loads((OURS / RECORDING).read_text(encoding="utf-8"))
    damage(kept["result"])
    (tmp_path / "kept.json").write_text(json.dumps(kept), encoding="utf-8")
    with pytest.raises(SettingsError, match="cannot be read"):
        Memory(recording=tmp_path / "kept.json")


@pytest.mark.engine
def test_measured_beside_another_server(server, tmp_path):
    panel = Memory(context=1024)
    (first,) = panel.run()
    assert panel.state == "done" and "measured here" in panel.found.value and server.is_running()
    assert first.reported["kv_cache"] == first.predicted["kv_cache"]
    assert first.reported["weights"] == pytest.approx(first.predicted["weights"], rel=0.01)
    assert abs(first.predicted["resident"] - first.resident) <= error(first.resident)
    assert first.seen.get("uss", 0) <= first.seen.get("pss", first.resident) <= first.seen["rss"] * 1.01
    click(panel.run_button)
    panel.wait(60)
    panel.context = 2048
    assert panel.verdict is not None and panel.result is None and panel.state == "ready"
    runs = panel.run()
    assert [dict(run.asked)["context"] for run in runs] == [1024, 1024, 2048]
    assert panel.plot.value.count("<circle") == 4  # one of the legend
    panel.context = 1024
    assert "measured here" in panel.as_table() and panel.state == "done"
    panel.record(tmp_path / "kept.json")
    again = Memory(recording=tmp_path / "kept.json")
    assert again.state == "recorded" and len(again.result) >= 2 and not again.result[0].here
    assert server.is_running() and first.resident < GIB
    assert courselib.Memory is Memory
