"""What goes wrong with TGI: each is one sentence that says what and how to mend it, and leaves nothing running.

What TGI, the hub or the daemon would say where they cannot be is replayed from their source or recorded from them.
"""

import platform
import re

import pytest

import courselib
from courselib import errors
from courselib.engines.tgi.engine import ENGINE, LAUNCHER
from courselib.machine import Gpu
from tests.engines.test_bad_input import refused
from tests.engines.tgi.conftest import needs_docker_client, put_program
from tests.ports import taken_port


@pytest.fixture(autouse=True)
def no_gpu(monkeypatch):
    monkeypatch.setattr("courselib.machine.gpus", lambda: [])


def refused_launch(kind, pattern, **settings):
    refused(kind, pattern, lambda: courselib.launch("tgi", timeout_s=20, **settings))


# --- no Docker -------------------------------------------------------------------------------------------------------

OTHER_WAYS = r".*text-generation-launcher on the PATH.*tgi-gateway"


def test_docker_is_not_installed(bare_path):
    refused_launch(errors.EngineMissing, "Docker is not installed" + OTHER_WAYS)


@needs_docker_client
def test_docker_is_not_running(monkeypatch, tmp_path):
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/nobody.sock")
    refused_launch(errors.EngineMissing, "installed but not running: start it" + OTHER_WAYS)


def test_docker_does_not_let_us_in(bare_path):
    # Recorded from docker 28 as a user outside the group docker.
    words = "permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock"
    put_program(bare_path, "docker", f"import sys; sys.exit({words!r})  # FakeDocker")
    refused_launch(errors.EngineMissing, "may not use it: sudo usermod -aG docker" + OTHER_WAYS)


@needs_docker_client
@pytest.mark.parametrize("machine", ["arm64", "aarch64"])
def test_no_image_for_this_processor(daemon, monkeypatch, machine):
    monkeypatch.setattr(platform, "machine", lambda: machine)
    refused_launch(errors.EngineMissing, f"x86-64 processors only, and this one is {machine}" + OTHER_WAYS)


# --- settings --------------------------------------------------------------------------------------------------------

SETTINGS = {
    "a text": ({"max_total_tokens": "4096"}, errors.SettingsError, "give a whole number"),
    "negative": ({"max_total_tokens": -1}, errors.SettingsError, "choose a number from 0"),
    "unknown quantize": ({"quantize": "int4"}, errors.SettingsError, "choose one of awq"),
    "unknown dtype": ({"dtype": "float32"}, errors.SettingsError, "choose one of float16, bfloat16"),
    "unknown KV format": ({"kv_cache_dtype": "fp8"}, errors.SettingsError, "choose one of fp8_e4m3fn"),
    "unknown usage_stats": ({"usage_stats": False}, errors.SettingsError, "choose one of off"),
    "no memory at all": ({"cuda_memory_fraction": 0}, errors.SettingsError, "above 0 and at most 1"),
    "more memory than there is": ({"cuda_memory_fraction": 1.1}, errors.SettingsError, "above 0 and at most 1"),
    "ratio that is none": ({"waiting_served_ratio": True}, errors.SettingsError, "give a number"),
    "graphs that are none": ({"cuda_graphs": "all"}, errors.SettingsError, "such as '1,2,4'"),
    "shared memory without number": ({"shm_size": "big"}, errors.SettingsError, "such as '1g'"),
    "quantised on a CPU": ({"quantize": "eetq"}, errors.SettingsError, "quantization is not available on CPU"),
    "more shards than GPUs": ({"num_shard": 2}, errors.SettingsError, "has 0 GPUs"),
    "sharded without GPUs": ({"sharded": True}, errors.SettingsError, "only found 0 CUDA devices"),
    "container name": ({"container": "my tgi"}, errors.SettingsError, "Docker takes at least two characters"),
    "host by name": ({"host": "no.such.host"}, errors.SettingsError, "address in digits"),
    "port out of range": ({"port": 70000}, errors.SettingsError, "1 to 65535"),
    "unknown binary": ({"binary": "tgi"}, errors.EngineMissing, "no program 'tgi'"),
    "unknown model": ({"model": "smollm2-135"}, errors.ModelNotFound, "Did you mean smollm2-135m"),
    "model with spaces": ({"model": "a model/of mine"}, errors.ModelNotFound, "There is no model"),
}


@needs_docker_client
@pytest.mark.parametrize("name", SETTINGS)
def test_setting(daemon, name):
    settings, kind, pattern = SETTINGS[name]
    refused_launch(kind, pattern, **settings)
    assert daemon.created == []


def test_a_gguf_is_no_folder(fake_launcher, tmp_path):
    file = tmp_path / "model.gguf"
    file.write_bytes(b"GGUF")
    refused_launch(errors.ModelNotFound, "TGI reads folders; models.hf_directory makes one", model=str(file))


def test_a_folder_without_a_model(fake_launcher, tmp_path):
    refused_launch(errors.ModelNotFound, "without config.json", model=str(tmp_path))


def test_port_taken(fake_launcher):
    with taken_port() as port:
        refused_launch(errors.PortTaken, f"{port}.* in use", port=port)


@pytest.mark.parametrize("settings", [{}, {"sharded": True}])
def test_exl2_on_several_gpus(fake_launcher, monkeypatch, settings):
    monkeypatch.setattr("courselib.machine.gpus", lambda: [Gpu("NVIDIA H100", 81559)] * 2)
    refused_launch(errors.SettingsError, "with `exl2` quantization. Set num_shard to 1", quantize="exl2", **settings)
    with courselib.launch("tgi", quantize="exl2", num_shard=1):
        pass


@needs_docker_client
def test_container_name_taken(daemon):
    with courselib.launch("tgi", container="mine"):
        before = len(daemon.created)
        with pytest.raises(errors.SettingsError, match=r"container mine already.*docker rm -f mine"):
            courselib.launch("tgi", container="mine")
        assert len(daemon.created) == before


# --- what the daemon says ------------------------------------------------------------------------------------------

DAEMON = {
    "port taken meanwhile": (
        "driver failed programming external connectivity on endpoint courselib-tgi-8080 (0f9c): Bind for"
        " 127.0.0.1:8080 failed: port is already allocated",
        errors.PortTaken, "port is in use",
    ),
    "no GPU for Docker": (
        'could not select device driver "" with capabilities: [[gpu]]', errors.EngineMissing, "Container Toolkit",
    ),
    "disk full": (
        "failed to create task for container: mkdir /var/lib/docker/x: no space left on device",
        errors.DownloadFailed, "disk is full",
    ),
}  # fmt: skip


@needs_docker_client
@pytest.mark.parametrize("name", DAEMON)
def test_the_daemon_refuses(daemon, name):
    daemon.refuse_start, kind, pattern = DAEMON[name]
    refused_launch(kind, pattern)
    assert daemon.containers == {}


@needs_docker_client
def test_the_image_vanishes_between_the_look_and_the_run(daemon, monkeypatch):
    monkeypatch.setattr("courselib.engines.tgi.docker.ensure_image", lambda image: None)
    daemon.images.clear()
    refused_launch(errors.EngineMissing, "no such image", image="my/tgi:9")


# --- what TGI says ---------------------------------------------------------------------------------------------------

TGI = {
    "prefill too large": (
        "RuntimeError: Not enough memory to handle 16384 prefill tokens. You need to decrease"
        " `--max-batch-prefill-tokens`",
        errors.OutOfMemory, "16384 prompt tokens at once; lower max_batch_prefill_tokens",
    ),
    "total too large": (
        "RuntimeError: Not enough memory to handle `max_total_tokens=131072`",
        errors.OutOfMemory, "131072 tokens; lower max_total_tokens",
    ),
    "GPU full": (
        "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.", errors.OutOfMemory, "smaller model",
    ),
    "gated without a token": (
        "huggingface_hub.errors.GatedRepoError: 401 Client Error. Cannot access gated repo for url"
        " https://huggingface.co/api/models/owner/gated. Access to model owner/gated is restricted.",
        errors.ModelNotFound, "gated; accept its terms .* token=",
    ),
    "no such repository": (
        "huggingface_hub.errors.RepositoryNotFoundError: 401 Client Error. Repository Not Found for url",
        errors.ModelNotFound, "no such repository",
    ),
    "no network": (
        "requests.exceptions.ConnectionError: HTTPSConnectionPool(host='huggingface.co', port=443): Max retries"
        " exceeded with url: /api/models", errors.DownloadFailed, "cannot reach the hub",
    ),
    "a rule we do not know": (
        "Error: ArgumentValidation\nInvalid argument: `x` must be < `y`.", errors.SettingsError, "`x` must be < `y`",
    ),
    "a flag it does not know": (
        "error: unexpected argument '--max-input-tokens' found", errors.EngineDied, "older or newer",
    ),
    "prometheus port": (
        "failed to build prometheus recorder: FailedToCreateHTTPListener", errors.PortTaken, "prometheus_port",
    ),
    "anything else while loading": ("Error: ShardCannotStart", errors.EngineDied, "could not load the model"),
    "something never seen": ("thread 'main' panicked at src/main.rs:1", errors.EngineDied, "exit code 1"),
}  # fmt: skip


@needs_docker_client
@pytest.mark.parametrize("name", TGI)
def test_tgi_ends_in_its_container(daemon, name):
    daemon.dies_with, kind, pattern = TGI[name]
    refused_launch(kind, pattern)
    assert daemon.containers == {}


def test_the_launcher_ends(fake_launcher, monkeypatch):
    monkeypatch.setenv("FAKE_LAUNCHER_DIES_WITH", TGI["total too large"][0])
    refused_launch(errors.OutOfMemory, "lower max_total_tokens", max_total_tokens=131072)


def test_an_older_launcher(fake_launcher):
    source = fake_launcher.read_text().replace(" --max-input-tokens", "")
    fake_launcher.write_text(source)
    with pytest.raises(errors.EngineDied) as caught:
        courselib.launch("tgi", max_input_tokens=100)
    assert LAUNCHER in caught.value.details


@needs_docker_client
def test_not_ready_in_time_leaves_nothing(daemon, monkeypatch):
    monkeypatch.setattr(
        "tests.engines.tgi.fake_docker.FakeTgi.do_GET", lambda self: self._answer(503, "text/plain", "")
    )
    refused(errors.StartTimeout, "timeout_s", lambda: courselib.launch("tgi", timeout_s=1.5))
    assert daemon.containers == {}


def test_every_cause_is_met():
    """Each entry of the catalogue is the first to match something above."""
    texts = [text for text, *_ in (*TGI.values(), *DAEMON.values())]
    texts += ['The container name "/a" is already in use by container "b"', "docker: pull access denied for my/tgi"]
    met = {type(ENGINE.diagnose(text, 1, "")).__name__ for text in texts}
    assert met == {cause.error.__name__ for cause in ENGINE.causes}
    first = {next((c for c in ENGINE.causes if re.search(c.pattern, text)), None) for text in texts}
    assert set(ENGINE.causes) <= first
