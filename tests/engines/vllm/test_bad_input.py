"""Bad input that is refused before anything is started: one sentence each, that says what and how to mend it."""

import json
import re
from types import SimpleNamespace

import pytest

import courselib
from courselib import errors
from courselib.engines.vllm import model
from courselib.engines.vllm.checks import SILENT_VARIABLE
from courselib.models import CATALOGUE
from tests.engines.vllm.machines import CPU, FULL_CPU, H100, OLD_CPU, SMOLLM2, T4, prepared
from tests.ports import taken_port

MIB = 1 << 20

SETTINGS = {
    "length zero": ({"max_model_len": 0}, "max_model_len is 0; choose a number from 1"),
    "length a text": ({"max_model_len": "1k"}, "max_model_len is '1k'; give a whole number"),
    "tokens negative": ({"max_num_batched_tokens": -1}, "max_num_batched_tokens is -1"),
    "sequences zero": ({"max_num_seqs": 0}, "max_num_seqs is 0"),
    "fewer tokens than sequences": ({"max_num_batched_tokens": 4, "max_num_seqs": 8}, "at least one token a step"),
    "block size zero": ({"block_size": 0}, "block_size is 0"),
    "block size a share": ({"block_size": 32.5}, "whole number"),
    "dtype of a GGUF": ({"dtype": "q4_1"}, "choose one of auto, bfloat16, float16, float32"),
    "dtype half": ({"dtype": "fp8"}, "dtype is 'fp8'"),
    "share zero": ({"gpu_memory_utilization": 0}, "above 0 and at most 1"),
    "share in per cent": ({"gpu_memory_utilization": 90}, "above 0 and at most 1"),
    "KV cache in text": ({"kv_cache_memory": "256M"}, r"whole number of bytes, such as 256 \* 2\*\*20"),
    "KV cache of nothing": ({"kv_cache_memory": 0}, "kv_cache_memory is 0"),
    "parallel zero": ({"tensor_parallel_size": 0}, "tensor_parallel_size is 0"),
    "logprobs below all": ({"max_logprobs": -2}, "max_logprobs is -2"),
    "logprobs unknown": ({"logprobs_mode": "raw"}, "choose one of raw_logprobs"),
    "cpus in words": ({"cpus": "both"}, "write cores and ranges"),
    "cpus open": ({"cpus": "0-"}, "write cores and ranges"),
    "a name like a flag": ({"served_model_name": "--port"}, "give names that clients can send"),
    "an empty name": ({"served_model_name": ("real", "")}, "give names that clients can send"),
}  # fmt: skip

MACHINES = {
    "block size of a GPU on a CPU": (CPU, {"block_size": 16}, errors.SettingsError, "multiples of 32, such as 32"),
    "block size in between": (CPU, {"block_size": 48}, errors.SettingsError, "such as 64"),
    "odd block size on a GPU": (H100, {"block_size": 24}, errors.SettingsError, "multiples of 16, such as 32"),
    "KV cache larger than memory": (
        CPU, {"kv_cache_memory": 64 << 30}, errors.OutOfMemory, r"kv_cache_memory is 65536 MiB, but only 18432 MiB",
    ),
    "KV cache larger than the GPU": (T4, {"kv_cache_memory": 64 << 30}, errors.OutOfMemory, "only 15360 MiB"),
    "nearly all memory of a CPU": (
        CPU, {"gpu_memory_utilization": 0.92}, errors.OutOfMemory, "a share of the machine's memory.* at most 0.75",
    ),
    "hardly any memory of a CPU": (CPU, {"gpu_memory_utilization": 0.02}, errors.OutOfMemory, "too little for any"),
    "bfloat16 on a T4": (T4, {"dtype": "bfloat16"}, errors.SettingsError, "choose dtype='float16'"),
    "more GPUs than there are": (H100, {"tensor_parallel_size": 4}, errors.SettingsError, "has 2 GPU"),
    "parallel on one CPU": (CPU, {"tensor_parallel_size": 2}, errors.SettingsError, "needs a NUMA node"),
    "parts that do not divide": (H100, {"tensor_parallel_size": 2}, errors.SettingsError, "model's 9 attention heads"),
    "less memory than vLLM itself takes": (FULL_CPU, {}, errors.OutOfMemory, "2048 MiB before any model, but 1024 MiB"),
    "longer than the model": (CPU, {"max_model_len": 16384}, errors.SettingsError, "trained for 8192 tokens"),
    "KV cache too small for one request": (
        CPU, {"kv_cache_memory": 16 * MIB, "max_model_len": 2048}, errors.SettingsError, "needs 48 MiB; .* to 512",
    ),
    "the model's own length does not fit": (
        OLD_CPU, {"kv_cache_memory": 100 * MIB}, errors.SettingsError, "one request of 8192 tokens needs 183 MiB",
    ),
}  # fmt: skip


def refused(kind, pattern, call):
    with pytest.raises(kind) as caught:
        call()
    message = caught.value.message
    assert re.search(pattern, message), message
    assert message.endswith((".", "?"))
    assert len(message) < 340
    assert "\n" not in message


@pytest.mark.parametrize("name", SETTINGS)
def test_bad_setting(name):
    settings, pattern = SETTINGS[name]
    refused(errors.SettingsError, pattern, lambda: courselib.launch("vllm", **settings))


@pytest.mark.parametrize("name", MACHINES)
def test_setting_that_this_machine_or_model_cannot_do(name):
    machine, settings, kind, pattern = MACHINES[name]
    refused(kind, pattern, lambda: prepared(machine, **settings))


def test_port_taken():
    with taken_port() as port:
        refused(errors.PortTaken, f"{port}.* in use", lambda: courselib.launch("vllm", port=port))


def test_unknown_setting_names_the_nearest():
    refused(
        errors.SettingsError,
        "Did you mean 'max_model_len'",
        lambda: courselib.launch("vllm", max_len=1),
    )


def test_a_variable_that_would_silently_win(monkeypatch):
    monkeypatch.setenv(SILENT_VARIABLE, "4")
    refused(errors.SettingsError, f"{SILENT_VARIABLE} is set", lambda: prepared(CPU))
    prepared(H100)


def test_a_config_that_tells_nothing_is_left_to_the_engine():
    prepared(CPU, config={"model_type": "mamba"}, max_model_len=10**6)


def safetensors(*, end=8):
    """A file of one tensor of two numbers."""
    header = json.dumps({"__metadata__": {}, "w": {"dtype": "F32", "shape": [2], "data_offsets": [0, end]}}).encode()
    return len(header).to_bytes(8, "little") + header + bytes(8)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(SMOLLM2))
    (tmp_path / "model.safetensors").write_bytes(safetensors())
    return tmp_path


def read(folder):
    return model.find_model(str(folder), "/no/python").config()


def test_a_folder_is_served_under_its_name(folder):
    found = model.find_model(str(folder), "/no/python")
    assert model.find_model(folder, "/no/python") == found
    assert (found.argument, found.name, found.config()) == (str(folder), folder.name, SMOLLM2)


@pytest.mark.parametrize(
    ("file", "content", "kind", "pattern"),
    [
        ("config.json", None, errors.ModelNotFound, "has no config.json; vLLM needs"),
        ("config.json", b'{"half":', errors.ModelCorrupt, "cannot be read as JSON"),
        ("config.json", b"[1]", errors.ModelCorrupt, "cannot be read as JSON"),
        ("config.json", b"\xff\xfe", errors.ModelCorrupt, "cannot be read as JSON"),
        ("model.safetensors", None, errors.ModelNotFound, r"holds no weights \(\*\.safetensors\)"),
        ("model.safetensors", b"", errors.ModelCorrupt, r"model\.safetensors is damaged or cut short"),
        ("model.safetensors", safetensors()[:-1], errors.ModelCorrupt, "damaged or cut short"),
        ("model.safetensors", safetensors(end=16), errors.ModelCorrupt, "damaged or cut short"),
        ("model.safetensors", bytes(range(200, 256)), errors.ModelCorrupt, "damaged or cut short"),
        ("model.safetensors", (9).to_bytes(8, "little") + b"[1, 2, 3]", errors.ModelCorrupt, "damaged or cut short"),
    ],
)
def test_a_folder_that_is_no_model(folder, file, content, kind, pattern):
    (folder / file).unlink()
    if content is not None:
        (folder / file).write_bytes(content)
    refused(kind, pattern, lambda: read(folder))


def test_an_index_that_is_damaged(folder):
    (folder / "model.safetensors.index.json").write_text("[")
    refused(errors.ModelCorrupt, r"index\.json cannot be read", lambda: read(folder))


def test_a_part_that_is_missing_is_named(folder):
    index = {"weight_map": {"a": "model.safetensors", "b": "model-00002.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    refused(errors.ModelNotFound, r"lacks model-00002\.safetensors, a part", lambda: read(folder))


@pytest.mark.parametrize(
    ("name", "kind", "pattern"),
    [
        ("smollm2-135", errors.ModelNotFound, "Did you mean smollm2-135m"),
        ("", errors.ModelNotFound, "no model"),
        ("/no/such/model.gguf", errors.ModelNotFound, "no file"),
        ("a\0b", errors.ModelNotFound, "no model"),
        ("owner/repository", errors.DownloadFailed, "could not be downloaded"),
        ("smollm2-360m", errors.DownloadFailed, "could not be downloaded"),
    ],
)
def test_a_model_that_cannot_be_had(name, kind, pattern, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")  # the discard port: nobody listens
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    refused(kind, pattern, lambda: model.find_model(name, "/no/python"))


@pytest.fixture
def hub(monkeypatch, folder):
    """A stand-in for the hub's own function: what it was asked for, and one answer."""
    asked = []

    def snapshot_download(repository, *, revision=None, local_files_only=False, **_more):
        asked.append((repository, revision, local_files_only))
        if local_files_only and not hub.cached:
            raise OSError("not in the cache")
        return str(folder)

    hub = SimpleNamespace(asked=asked, cached=False)
    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot_download)
    monkeypatch.setattr(model, "_hub_reachable", lambda: True)
    return hub


def test_a_catalogue_model_is_the_same_everywhere_and_the_cache_comes_first(hub, folder):
    known = CATALOGUE[0]
    found = model.find_model(known.name, "/no/python")
    assert hub.asked[-1] == (known.hf_repo, known.hf_revision, False) and found.argument == str(folder)
    hub.asked.clear()
    hub.cached = True
    found = model.find_model(known.name, "/no/python")
    assert hub.asked == [(known.hf_repo, known.hf_revision, True)]
    assert "cache on this machine" in found.origin


def test_any_other_repository_is_taken_at_its_newest(hub):
    assert model.find_model("owner/name", "/no/python").argument == "owner/name"
    assert hub.asked == [("owner/name", None, False)]


@pytest.mark.parametrize("proxy", ["socks://127.0.0.1:9", "socks5://127.0.0.1:9", "nonsense"])
def test_a_proxy_that_cannot_be_used_is_a_hub_out_of_reach(monkeypatch, proxy):
    for name in ("ALL_PROXY", "all_proxy", "HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, proxy)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    assert not model._hub_reachable()
