"""A Hugging Face directory from a GGUF: made once, never half, and the same model."""

import contextlib
import json
import math
import os
import shlex
import shutil
import subprocess
import sys
import threading
import time
import venv
from pathlib import Path

import psutil
import pytest

import courselib
from courselib.errors import EngineMissing, ModelError, ModelNotFound
from courselib.models import CATALOGUE, convert, directory, hf_directory, proof
from courselib.models.cache import sha256
from courselib.models.locks import locked
from tests.models.small_gguf import FACTS, small_gguf, split_gguf
from tests.waiting import wait_until

TEXTS = [
    "The capital of France is",
    "  two spaces\n\tand a tab",
    "法國的首都是巴黎。",
    "🦙👩\u200d🚀 emoji",
    "x = 1e-3 # code",
]


@pytest.fixture
def model(cache, bundled_model):
    """The bundled model in a cache of its own."""
    (cache / "models").mkdir(parents=True)
    shutil.copyfile(bundled_model, cache / "models" / CATALOGUE[0].file)
    return "smollm2-135m"


def made(cache):
    folder = cache / "directories"
    return sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.exists() else []


def test_an_interpreter_without_torch_says_what_to_install(model, cache, tmp_path):
    venv.create(tmp_path / "bare", with_pip=False)
    python = str(tmp_path / "bare" / ("Scripts" if sys.platform == "win32" else "bin") / "python")
    words = r"needs torch, transformers, gguf, accelerate: .*python -m pip install 'courselib\[convert\]'"
    with pytest.raises(EngineMissing, match=words):
        hf_directory(model, python=python)
    assert made(cache) == []


def test_an_interpreter_that_is_not_there(model, cache):
    with pytest.raises(EngineMissing, match=r"/no/python cannot be started: No such file"):
        hf_directory(model, python="/no/python")
    assert made(cache) == []


def test_a_model_that_is_not_there(cache):
    with pytest.raises(ModelNotFound):
        hf_directory("/no/such/model.gguf")


@pytest.mark.slow
def test_what_transformers_cannot_convert_leaves_nothing(cache, tmp_path, convert_python):
    path = tmp_path / "odd.gguf"
    path.write_bytes(small_gguf({"general.architecture": "nosuchmodel"}))
    with pytest.raises(ModelError, match=r"could not convert odd\.gguf") as caught:
        hf_directory(path, python=convert_python)
    assert "nosuchmodel" in caught.value.details
    assert made(cache) == []


def test_the_parts_of_a_model_become_one_file(tmp_path):
    gguf = pytest.importorskip("gguf")
    facts = {**FACTS, "llama.rope.freq_base": 1e4, "llama.list": [3, 1, 2], "general.alignment": 64}
    parts = split_gguf(tmp_path, facts=facts, count=3, tensors_a_part=2)
    convert.join(parts, tmp_path / "joined.gguf")
    whole = gguf.GGUFReader(tmp_path / "joined.gguf")
    expected = [tensor for part in parts for tensor in gguf.GGUFReader(part).tensors]
    assert [tensor.name for tensor in whole.tensors] == [tensor.name for tensor in expected]
    assert all(mine.data.tobytes() == its.data.tobytes() for mine, its in zip(whole.tensors, expected, strict=True))
    kept = {name: field.contents() for name, field in whole.fields.items() if not name.startswith("GGUF.")}
    del facts["general.alignment"]
    assert kept == facts


def test_each_part_decides_where_the_directory_is_kept(cache, tmp_path, monkeypatch):
    asked = []

    def note(source, target, _python):
        asked.append((source.name, target.name))

    monkeypatch.setattr(directory, "_make", note)
    first, second = split_gguf(tmp_path)
    hf_directory(second)
    hf_directory(first)
    content = second.read_bytes()
    second.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    hf_directory(first)
    (name, one), (_name, same), (_other, another) = asked
    assert (name, one == same, one == another) == (first.name, True, False)


def test_who_waits_for_another_is_told_what_it_makes(cache, tmp_path, capsys):
    path = tmp_path / "small.gguf"
    path.write_bytes(small_gguf())
    target = cache / "directories" / f"{sha256(path)}-{convert.VERSION}"
    target.parent.mkdir(parents=True)
    got = []
    with locked(Path(f"{target}.lock"), "small.gguf"):
        waiting = threading.Thread(target=lambda: got.append(hf_directory(path, python="/no/python")))
        waiting.start()
        wait_until(lambda: "is making a Hugging Face directory from small.gguf; wait" in capsys.readouterr().err)
        target.mkdir()
    waiting.join()
    assert got == [target]


@pytest.mark.slow
@pytest.mark.engine
@pytest.mark.timeout(400)
def test_a_model_in_several_files_is_converted_whole(cache, bundled_model, tmp_path, convert_python):
    """That it is the same model as the parts are to llama.cpp is what ``hf_directory`` itself demands."""
    code = """
import sys
from gguf import GGUFReader, GGUFValueType, GGUFWriter
reader = GGUFReader(sys.argv[1])
writer = GGUFWriter(sys.argv[2], "llama", split_max_tensors=150)
for name, field in reader.fields.items():
    if not name.startswith("GGUF.") and name != "general.architecture":
        kind = field.types[0]
        more = field.types[-1] if kind == GGUFValueType.ARRAY else None
        writer.add_key_value(name, field.contents(), kind, sub_type=more)
for tensor in reader.tensors:
    writer.add_tensor(tensor.name, tensor.data, raw_dtype=tensor.tensor_type)
writer.write_header_to_file()
writer.write_kv_data_to_file()
writer.write_tensors_to_file()
writer.close()
"""
    subprocess.run([convert_python, "-c", code, str(bundled_model), str(tmp_path / "m.gguf")], check=True)
    parts = sorted(tmp_path.glob("m-*.gguf"))
    assert len(parts) == 2
    folder = hf_directory(parts[1], python=convert_python)
    assert made(cache) == [folder.name]


def _converters(starter):
    """Its children that convert; before them, one asks llama.cpp for the reference."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return [child for child in starter.children() if convert.__file__ in child.cmdline()]
    return []


def _kill_starter(model, python, when):
    """Ask for the directory in another process, and kill that once ``when`` is true; the converter it had started."""
    code = f"from courselib.models import hf_directory; hf_directory({model!r}, python={python!r})"
    starter = psutil.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not ((converters := _converters(starter)) and when()):
        assert time.monotonic() < deadline
        assert starter.poll() is None, "ended too early"
        time.sleep(0.01)
    (converter,) = converters
    starter.kill()
    starter.wait()
    return converter


@pytest.mark.slow
def test_the_converter_ends_with_whoever_started_it(model, cache, convert_python):
    # As soon as it is there: it imports torch, well before it is done by itself.
    converter = _kill_starter(model, convert_python, lambda: True)
    psutil.wait_procs([converter], timeout=100)
    assert not converter.is_running()
    assert not list(cache.glob("directories/making-*/proof")), "it went on to its end"


@pytest.mark.slow
@pytest.mark.engine
@pytest.mark.timeout(400)
def test_killed_then_made_once_and_the_same_model(model, cache, convert_python):
    folder = cache / "directories"
    _kill_starter(model, convert_python, lambda: list(folder.glob("making-*/model/*")))
    name = f"{CATALOGUE[0].sha256}-{convert.VERSION}"
    assert name not in made(cache)
    assert len(made(cache)) == 1, "the half that is left is what the next call has to cope with"

    folder = hf_directory(model, python=convert_python)
    assert made(cache) == [name] == [folder.name]
    assert hf_directory(model, python="/no/python") == folder  # nothing is started
    assert "torch" not in sys.modules
    assert json.loads((folder / "config.json").read_text())["num_hidden_layers"] == 30
    _compare(folder, convert_python)


def _compare(folder, python):
    """The directory in transformers and the GGUF in llama.cpp: the same tokens, the same next word."""
    code = """
import json, sys
from transformers import AutoModelForCausalLM, AutoTokenizer
folder, texts = sys.argv[1], json.loads(sys.argv[2])
tokenizer = AutoTokenizer.from_pretrained(folder)
model = AutoModelForCausalLM.from_pretrained(folder)
asked = tokenizer(texts[0], return_tensors="pt")
answer = model.generate(**asked, max_new_tokens=5, do_sample=False)[0, asked.input_ids.shape[1]:]
chat = tokenizer.apply_chat_template([{"role": "user", "content": "hi"}], tokenize=False, add_generation_prompt=True)
print(json.dumps([[tokenizer(t).input_ids for t in texts], tokenizer.decode(answer), chat]))
"""
    done = subprocess.run(
        [python, "-c", code, str(folder), json.dumps(TEXTS)], capture_output=True, text=True, check=True
    )
    theirs, answer, chat = json.loads(done.stdout.splitlines()[-1])
    with courselib.launch("llama.cpp", model="smollm2-135m", context=512) as server:

        def ask(route, **body):
            return server.http.post(route, json=body).raise_for_status().json()

        ours = [ask("/tokenize", content=text)["tokens"] for text in TEXTS]
        said = ask("/completion", prompt=TEXTS[0], n_predict=5, temperature=0)["content"]
        template = ask("/apply-template", messages=[{"role": "user", "content": "hi"}])["prompt"]
    assert theirs == ours
    assert chat == template
    # Weights and activations are rounded otherwise, so only what is far from a tie is the same everywhere.
    assert answer.startswith(" Paris")
    assert said.startswith(" Paris")


# A directory that is another model.


def proofs(*distances, other=()):
    return [proof.Proof(f"text {n}", n not in other, distance) for n, distance in enumerate(distances)]


def test_what_the_formats_explain_is_the_same_model():
    proof.check(proofs(0.0, 0.058, proof.MOST_DISTANCE), "m.gguf")


@pytest.mark.parametrize("distance", [0.21, 0.7, float("nan")])
def test_next_tokens_too_far_apart_are_another_model(distance):
    words = r"another model of m\.gguf: after 'text 1' its next tokens differ by .* from llama\.cpp's.*Use llama\.cpp"
    with pytest.raises(ModelError, match=words):
        proof.check(proofs(0.01, distance), "m.gguf")


def test_other_tokens_are_another_model_however_close():
    with pytest.raises(ModelError, match=r"it cuts 'text 1' into other tokens .* differ by 0\.02"):
        proof.check(proofs(0.02, 0.01, other=[1]), "m.gguf")


def fake_converter(monkeypatch, distance):
    """Stands for transformers: writes a folder, and how far it is from llama.cpp."""
    runs = []

    def run(command, log):
        runs.append(command)
        log.write_text("")
        target, reference, found = (Path(word) for word in command[2:5])
        target.mkdir()
        (target / "config.json").write_text("{}")
        texts = [entry["text"] for entry in json.loads(reference.read_text())]
        found.write_text(json.dumps([{"text": text, "same_tokens": True, "distance": distance} for text in texts]))
        return 0

    monkeypatch.setattr(directory, "_run", run)
    return runs


@pytest.mark.engine
def test_another_model_is_refused_with_its_distance_and_not_made_again(model, cache, monkeypatch):
    runs = fake_converter(monkeypatch, 0.7)
    for _time in range(2):
        with pytest.raises(ModelError, match=r"differ by 0\.70 from llama\.cpp's"):
            hf_directory(model)
    assert len(runs) == 1 and made(cache) == []


@pytest.mark.engine
def test_another_version_of_transformers_may_do_better(model, cache, monkeypatch):
    for version, distance in (("5.19.0", 0.7), ("5.20.0", 0.01)):
        monkeypatch.setattr(directory, "_transformers", lambda _python, version=version: version)
        fake_converter(monkeypatch, distance)
        if distance > proof.MOST_DISTANCE:
            with pytest.raises(ModelError, match="another model"):
                hf_directory(model)
    folder = hf_directory(model)
    assert made(cache) == [folder.name]


def test_the_version_of_transformers_is_that_of_the_interpreter(tmp_path, monkeypatch):
    program = tmp_path / "python"
    program.write_text(f'#!/bin/sh\nPYTHONPATH="{tmp_path}" exec "{sys.executable}" "$2" "$3"\n')
    program.chmod(0o755)
    entry = tmp_path / "transformers-99.1.dist-info"
    entry.mkdir()
    (entry / "METADATA").write_text("Metadata-Version: 2.1\nName: transformers\nVersion: 99.1\n")
    assert directory._transformers(str(program)) == ("" if sys.platform == "win32" else "99.1")
    assert directory._transformers("/no/python") == ""


@pytest.mark.engine
def test_the_same_model_is_kept_and_another_version_of_the_converter_makes_it_anew(model, cache, monkeypatch):
    runs = fake_converter(monkeypatch, 0.01)
    assert hf_directory(model) == hf_directory(model)
    assert len(runs) == 1 and len(made(cache)) == 1
    monkeypatch.setattr(convert, "VERSION", convert.VERSION + 1)
    hf_directory(model)
    assert len(runs) == 2 and len(made(cache)) == 2


@pytest.mark.engine
def test_llama_cpps_side_of_the_proof(bundled_model, tmp_path):
    assert directory._reference(bundled_model, tmp_path / "reference") == ""
    entries = json.loads((tmp_path / "reference").read_text())
    assert [entry["text"] for entry in entries] == list(proof.TEXTS)
    for entry in entries:
        assert len(entry["tokens"]) > 2 and len(entry["logprobs"]) == 1000
        assert 0.5 < sum(map(math.exp, entry["logprobs"].values())) <= 1.0001


@pytest.mark.skipif(sys.platform == "win32", reason="a shell script stands for the interpreter")
def test_the_process_that_asks_llama_cpp_ends_with_its_starter(tmp_path):
    started, python = tmp_path / "started", tmp_path / "python"
    python.write_text(f"#!/bin/sh\necho $$ > {shlex.quote(str(started))}\nexec sleep 600\n")
    python.chmod(0o755)
    code = "import sys; from pathlib import Path; from courselib.models import directory; " + (
        "directory._reference(Path('model.gguf'), Path(sys.argv[1]))"
    )
    environment = {**os.environ, directory.PYTHON_VARIABLE: str(python)}
    starter = subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "reference")], env=environment)
    wait_until(lambda: started.exists() and started.read_text().endswith("\n"), 60)
    asking = psutil.Process(int(started.read_text()))
    try:
        starter.kill()
        starter.wait()
        wait_until(lambda: not asking.is_running(), 30)
    finally:
        with contextlib.suppress(psutil.NoSuchProcess):
            asking.kill()


def test_an_interpreter_for_llama_cpp_that_is_not_there_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv(directory.PYTHON_VARIABLE, "/no/python")
    assert "/no/python cannot be started" in directory._reference(tmp_path / "m.gguf", tmp_path / "reference")


@pytest.mark.engine
def test_what_llama_cpp_does_not_run_cannot_be_proven(cache, tmp_path, monkeypatch):
    path = tmp_path / "odd.gguf"
    path.write_bytes(small_gguf({"general.architecture": "nosuchmodel"}))
    fake_converter(monkeypatch, 0.0)
    with pytest.raises(ModelError, match=r"made from odd\.gguf cannot be proven: llama\.cpp") as caught:
        hf_directory(path)
    assert caught.value.details and made(cache) == []


@pytest.mark.slow
@pytest.mark.engine
@pytest.mark.timeout(600)
def test_a_model_that_adds_bos_keeps_it(cache, gemma, convert_python):
    """Gemma: without its BOS, which transformers leaves out of the tokenizer, it writes nonsense."""
    hf_directory(gemma, python=convert_python)
    (told,) = (cache / "directories").glob("*.proof.json")
    assert all(entry["same_tokens"] and entry["distance"] < 0.15 for entry in json.loads(told.read_text()))
