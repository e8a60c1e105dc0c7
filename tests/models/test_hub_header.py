"""Headers of models that are only on the hub, read by ranges; and of models in Hugging Face's format."""

import json

import pytest

from courselib.errors import ModelCorrupt, ModelNotFound
from courselib.models import gguf_header, hf_model, hub_header, read_header
from tests.models.small_gguf import FACTS, small_gguf, split_gguf

LARGE = 3_000_000  # floats: 12 MB of weights


@pytest.fixture
def pieces(monkeypatch):
    """The first piece is of a size that the small files here do not fit into."""

    def set_to(size):
        monkeypatch.setattr(hub_header, "FIRST_PIECE", size)

    return set_to


def test_a_header_without_the_weights(hub, tmp_path):
    content = small_gguf(floats=LARGE)
    hub.files["o/n/m.gguf"] = content
    (tmp_path / "m.gguf").write_bytes(content)
    assert read_header("o/n:m.gguf") == gguf_header(tmp_path / "m.gguf")
    assert read_header("o/n:m.gguf").by_tensor["weights"].nbytes == 4 * LARGE
    assert hub.downloads() == [f"bytes=0-{(4 << 20) - 1}"] * 2
    assert not list((tmp_path / "hub").rglob("*.gguf"))


def test_a_long_header_comes_in_growing_pieces(hub, pieces):
    pieces(1024)
    hub.files["o/n/m.gguf"] = small_gguf({**FACTS, "tokenizer.ggml.tokens": ["word"] * 1000}, floats=LARGE)
    assert read_header("o/n").vocabulary == 1000
    begins = [int(asked.removeprefix("bytes=").split("-")[0]) for asked in hub.downloads()]
    assert begins == [0, 1024, 2048, 4096, 8192]


def test_all_parts(hub, tmp_path):
    for path in split_gguf(tmp_path, count=3):
        hub.files[f"o/n/{path.name}"] = path.read_bytes()
    header = read_header("o/n")
    assert (header.parts, header.tensors, header.weights_bytes) == (3, 3, 3 * 256)


def test_what_is_no_model(hub, pieces):
    pieces(64)
    hub.files |= {"o/n/page.gguf": b"<html>" * 100, "o/n/cut.gguf": small_gguf()[:-10], "o/n/none.gguf": b""}
    for name, words in (("page", "page.gguf"), ("cut", "cut short"), ("none", "none.gguf")):
        with pytest.raises(ModelCorrupt, match=words):
            read_header(f"o/n:{name}.gguf")
    with pytest.raises(ModelNotFound, match=r"has no file other\.gguf"):
        read_header("o/n:other.gguf")


def test_a_model_on_this_machine_is_read_here(bundled_model):
    assert read_header("smollm2-135m") == gguf_header(bundled_model)


def safetensors(**shapes):
    """A file of tensors in 16 bits."""
    header, end = {"__metadata__": {"format": "pt"}}, 0
    for name, (rows, columns) in shapes.items():
        begin, end = end, end + 2 * rows * columns
        header[name] = {"dtype": "BF16", "shape": [rows, columns], "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + bytes(end)


CONFIG = {"model_type": "llama", "num_hidden_layers": 1}


def test_a_folder(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    (tmp_path / "a.safetensors").write_bytes(safetensors(one=(3, 5)))
    (tmp_path / "b.safetensors").write_bytes(safetensors(two=(7, 2)))
    model = hf_model(tmp_path)
    assert (model.config, model.by_tensor, model.weights_bytes) == (CONFIG, {"one": 30, "two": 28}, 58)
    (tmp_path / "b.safetensors").write_bytes(b"damaged")
    with pytest.raises(ModelCorrupt, match=r"b\.safetensors is damaged"):
        hf_model(tmp_path)
    (tmp_path / "config.json").unlink()
    with pytest.raises(ModelNotFound, match="no model in Hugging Face's format"):
        hf_model(tmp_path)


def test_a_repository(hub):
    hub.files |= {
        "o/n/config.json": json.dumps(CONFIG).encode(),
        "o/n/model.safetensors": safetensors(one=(1000, 1000)),
    }
    assert hf_model("o/n").by_tensor == {"one": 2_000_000}
    assert any(asked == "bytes=0-100000" for asked in hub.downloads())
    with pytest.raises(ModelNotFound):
        hf_model("o/none")
