"""From what a person writes to a file, or to a sentence that helps."""

import os
import re
from pathlib import Path

import pytest

from courselib.errors import ModelCorrupt, ModelNotFound
from courselib.models import CATALOGUE, catalogue, gguf_header, list_models, locate, resolve
from courselib.models.catalogue import Model
from tests.models.small_gguf import small_gguf, split_gguf


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "model.gguf"
    path.write_bytes(small_gguf())
    return path


def test_a_path(file, monkeypatch):
    assert resolve(file) == file
    assert resolve(str(file)) == file
    monkeypatch.chdir(file.parent)
    assert resolve("model.gguf") == file  # an engine may run in another folder
    monkeypatch.setenv("HOME", str(file.parent))
    monkeypatch.setenv("USERPROFILE", str(file.parent))
    assert resolve("~/model.gguf") == file


def test_a_file_whose_name_looks_like_a_place_on_the_hub(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("owner").mkdir()
    Path("owner/repo:model.gguf").write_bytes(small_gguf())
    assert resolve("owner/repo:model.gguf") == tmp_path / "owner" / "repo:model.gguf"


def test_the_bundled_model_by_name(bundled_model):
    assert resolve("smollm2-135m") == resolve("SmolLM2-135M") == locate("smollm2-135m")
    assert gguf_header(bundled_model).architecture == "llama"


NOT_FOUND = {
    "smollm2-135": "Did you mean smollm2-135m",
    "smollm-360m": "Did you mean smollm2-360m",
    "completely else": "no model 'completely else'; use one of smollm2-135m, smollm2-360m, smollm2-1.7b, a path",
    "/no/such/model.gguf": "no file /no/such/model.gguf; check the path",
    "other.gguf": "no file other.gguf",
    "HuggingFaceTB/SmolLM2-360M-Instruct-GGUF": "no repository HuggingFaceTB/SmolLM2-360M-Instruct-GGUF on the hub",
    "folder/other.gguf": "no file folder/other.gguf",
    "": "no model ''",
    "a\0b": "no model|not a file's path",
    "~nobody-of-that-name/model.gguf": "not a file's path|no file",
    "x" * 5000 + ".gguf": "not a file's path.*too long",
    "owner/repo:" + "x" * 5000: "no|could not",
}


@pytest.mark.parametrize("name", NOT_FOUND, ids=lambda name: name[:20].replace("\0", "0") or "empty")
def test_not_found(name, hub):
    with pytest.raises(ModelNotFound, match=NOT_FOUND[name]) as caught:
        resolve(name)
    assert "\n" not in caught.value.message


def test_a_near_name_is_offered(file, tmp_path):
    (tmp_path / "another.gguf").write_bytes(b"")
    with pytest.raises(ModelNotFound, match=rf"did you mean {tmp_path}/model\.gguf\?"):
        resolve(tmp_path / "Model.Q4_K_M.gguf")
    with pytest.raises(ModelNotFound, match="check the path"):
        resolve(tmp_path / "completely-else.gguf")


def test_any_part_stands_for_the_model(tmp_path):
    first, second = split_gguf(tmp_path)
    assert resolve(second) == resolve(first) == first
    second.unlink()
    with pytest.raises(ModelNotFound, match="part 2 of 2 of this model, is missing"):
        resolve(first)


def test_a_folder_names_a_file_in_it(file, tmp_path):
    with pytest.raises(ModelNotFound, match=r"is a folder; name a file in it, such as model\.gguf"):
        resolve(tmp_path)
    file.unlink()
    with pytest.raises(ModelNotFound, match="a folder without a GGUF file"):
        resolve(tmp_path)


def test_files_that_are_no_model(tmp_path):
    path = tmp_path / "model.gguf"
    for content, words in (
        (b"", "cannot be read"),
        (b"PK\3\4 a zip", "not a GGUF file"),
        (small_gguf()[:-1], "cut short .* download it again"),
    ):
        path.write_bytes(content)
        with pytest.raises(ModelCorrupt, match=words):
            resolve(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.gguf")
    with pytest.raises(ModelNotFound):
        resolve(tmp_path / "pipe.gguf")


def test_locate_downloads_nothing(hub):
    for name in ("smollm2-135m", "smollm2-1.7b", "owner/repo:model.gguf"):
        with pytest.raises(ModelNotFound, match=f"not on this machine; get it with: courselib models get {name}"):
            locate(name)
    assert hub.requests == []


def test_the_list_says_what_is_there(bundled_model, cache, hub):
    lines = {row.model.name: row.line() for row in list_models()}
    assert "courselib models get smollm2-135m" in lines["smollm2-135m"]
    (cache / "models").mkdir(parents=True)
    target = cache / "models" / CATALOGUE[0].file
    target.symlink_to(bundled_model)
    rows = {row.model.name: row for row in list_models()}
    assert rows["smollm2-135m"].path == target
    assert "98 MB" in rows["smollm2-135m"].line()
    assert str(target) in rows["smollm2-135m"].line()
    assert rows["smollm2-1.7b"].path is None


def _llama_parameters(layers, width, feed_forward, heads, kv_heads, vocabulary=49152):
    attention = 2 * width * width + 2 * width * (width // heads * kv_heads)
    return vocabulary * width + layers * (attention + 3 * width * feed_forward + 2 * width) + width


def test_the_catalogue_is_true(bundled_model):
    small = catalogue()[0]
    assert (small.bundled, bundled_model.stat().st_size) == (True, small.size_bytes)
    header = gguf_header(bundled_model)
    assert small.params == _llama_parameters(
        header.layers, header.embedding, header.feed_forward, header.heads, header.kv_heads
    )
    # The shapes of the other two, from their own config.json.
    assert catalogue()[1].params == _llama_parameters(32, 960, 2560, 15, 5)
    assert catalogue()[2].params == _llama_parameters(24, 2048, 8192, 32, 32)
    for model in catalogue():
        assert isinstance(model, Model)
        assert len(model.sha256) == 64
        assert re.fullmatch("[0-9a-f]{40}", model.hf_revision)
        assert model.bundled or re.fullmatch("[0-9a-f]{40}", model.revision)
