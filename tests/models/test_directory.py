"""A Hugging Face directory from a GGUF: made once, never half, and the same model."""

import json
import shutil
import subprocess
import sys
import time
import venv

import psutil
import pytest

import courselib
from courselib.errors import EngineMissing, ModelError, ModelNotFound
from courselib.models import CATALOGUE, hf_directory
from tests.models.small_gguf import small_gguf

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


def _kill_starter(model, python, when):
    """Ask for the directory in another process, and kill that once ``when`` is true; the converter it had started."""
    code = f"from courselib.models import hf_directory; hf_directory({model!r}, python={python!r})"
    starter = psutil.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not (starter.children() and when()):
        assert time.monotonic() < deadline
        assert starter.poll() is None, "ended too early"
        time.sleep(0.01)
    (converter,) = starter.children()
    starter.kill()
    starter.wait()
    return converter


@pytest.mark.slow
def test_the_converter_ends_with_whoever_started_it(model, cache, convert_python):
    began = time.monotonic()
    # While it imports torch, well before it is done by itself.
    converter = _kill_starter(model, convert_python, lambda: time.monotonic() - began > 2)
    psutil.wait_procs([converter], timeout=3)
    assert not converter.is_running()


@pytest.mark.slow
@pytest.mark.engine
@pytest.mark.timeout(400)
def test_killed_then_made_once_and_the_same_model(model, cache, convert_python):
    folder = cache / "directories"
    _kill_starter(model, convert_python, lambda: list(folder.glob("making-*/model/*")))
    assert CATALOGUE[0].sha256 not in made(cache)
    assert len(made(cache)) == 1, "the half that is left is what the next call has to cope with"

    folder = hf_directory(model, python=convert_python)
    assert made(cache) == [CATALOGUE[0].sha256] == [folder.name]
    began = time.perf_counter()
    assert hf_directory(model, python="/no/python") == folder  # nothing is started
    assert time.perf_counter() - began < 0.5
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
