"""A launch through the real docker command, to the last step short of the daemon; that and TGI are faked."""

import shlex
import signal
import subprocess
import sys
import time

import psutil
import pytest

import courselib
from courselib.engines.tgi.engine import LAUNCHER
from courselib.errors import DownloadFailed, EngineMissing
from courselib.models import CATALOGUE
from tests.engines.conftest import wait_gone
from tests.engines.tgi.conftest import CPU_IMAGE, needs_docker_client
from tests.ports import taken_port
from tests.waiting import wait_until

pytestmark = needs_docker_client


@pytest.fixture(autouse=True)
def no_gpu(monkeypatch):
    monkeypatch.setattr("courselib.machine.gpus", lambda: [])


def test_what_the_daemon_is_asked_for(daemon, tmp_path):
    folder = tmp_path / "for: models, all"
    with courselib.launch(
        "tgi", max_total_tokens=2048, token="hf_x", volume=str(folder), shm_size="2g", prefill_chunking=False
    ) as server:
        (container,) = daemon.created
        host = container.config["HostConfig"]
        assert container.name == f"courselib-tgi-{server.port}"
        assert container.published() == ("127.0.0.1", server.port)
        assert container.environment() == {
            "API_KEY": server.key, "HF_TOKEN": "hf_x", "PREFILL_CHUNKING": "0", "HUGGINGFACE_HUB_CACHE": "/data/hub",
        }  # fmt: skip
        assert host["Mounts"] == [{"Type": "bind", "Source": str(folder), "Target": "/data"}]
        assert folder.is_dir()
        assert host["ShmSize"] == 2 * 2**30
        assert host["AutoRemove"]
        assert container.config["Image"] == CPU_IMAGE
        assert shlex.join(container.config["Cmd"]) == (
            f"--model-id {CATALOGUE[0].hf_repo} --revision {CATALOGUE[0].hf_revision} --max-total-tokens 2048"
            " --usage-stats off"
        )
        assert server.key not in server.command
    assert daemon.containers == {}


def test_a_gpu_is_asked_for(daemon, monkeypatch):
    from courselib.engines.tgi.values import IMAGE
    from courselib.machine import Gpu

    monkeypatch.setattr("courselib.machine.gpus", lambda: [Gpu("NVIDIA L4", 23034)])
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    daemon.images.add(IMAGE)
    with courselib.launch("tgi", num_shard=1):
        (container,) = daemon.created
        assert container.config["Image"] == IMAGE
        (request,) = container.config["HostConfig"]["DeviceRequests"]
        assert request["Capabilities"] == [["gpu"]] and request["Count"] == -1


def test_only_the_gpus_that_are_not_hidden_are_asked_for(daemon, monkeypatch):
    from courselib.engines.tgi.values import IMAGE
    from courselib.machine import Gpu

    visible = {"2": 2, "GPU-1a2b": 0}
    monkeypatch.setattr("courselib.machine.gpus", lambda: [Gpu("NVIDIA L4", 23034)] * 2)
    monkeypatch.setattr("courselib.machine.visible_gpus", lambda: visible)
    daemon.images.add(IMAGE)
    with courselib.launch("tgi") as server:
        (container,) = daemon.created
        (request,) = container.config["HostConfig"]["DeviceRequests"]
        assert request["DeviceIDs"] == ["2", "GPU-1a2b"] and request["Count"] == 0
        assert "--gpus '\"device=2,GPU-1a2b\"'" in server.command


def test_the_server_is_read(daemon):
    with courselib.launch("tgi") as server:
        assert repr(server) == "Server(engine='tgi', model='smollm2-135m')"
        assert server.memory().rss == 512 * 2**20
        metrics = server.metrics()
        assert (metrics.running, metrics.waiting) == (1, 2)
        assert (metrics.prompt_tokens, metrics.generated_tokens, metrics.cached_tokens) == (120, 60, 21)
        assert metrics.tokens_per_s == pytest.approx(40)
        assert courselib.attach(server.url, server.key).engine_name == "tgi"


def test_a_folder_goes_into_the_container(daemon, tmp_path):
    folder = tmp_path / "my-model"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    with courselib.launch("tgi", model=str(folder)):
        (container,) = daemon.created
        assert container.config["HostConfig"]["Binds"] == ["tgi-data:/data"]
        mounted = {"Type": "bind", "Source": str(folder), "Target": "/models/my-model", "ReadOnly": True}
        assert container.config["HostConfig"]["Mounts"] == [mounted]
        assert container.config["Cmd"][:2] == ["--model-id", "/models/my-model"]


def test_the_image_is_fetched_once_with_a_bar(daemon, capsys):
    daemon.images.clear()
    daemon.registry[CPU_IMAGE] = [40_000, 60_000]
    courselib.launch("tgi").stop()
    assert "100%" in capsys.readouterr().err
    assert CPU_IMAGE in daemon.images
    courselib.launch("tgi").stop()
    assert "%" not in capsys.readouterr().err


def test_an_image_that_is_not_there(daemon):
    with pytest.raises(EngineMissing, match=r"no image my/tgi:9; check its name and tag\."):
        courselib.launch("tgi", image="my/tgi:9")


def test_the_disk_is_full(daemon):
    daemon.images.clear()
    daemon.registry[CPU_IMAGE] = [100, -1]
    with pytest.raises(DownloadFailed, match="disk space") as caught:
        courselib.launch("tgi")
    assert "no space left" in caught.value.details
    assert daemon.created == []


def test_without_the_package_the_command_is_named(daemon, monkeypatch):
    daemon.images.clear()
    monkeypatch.setitem(sys.modules, "docker", None)
    with pytest.raises(EngineMissing, match=r"docker pull .*courselib\[tgi\]"):
        courselib.launch("tgi")


@pytest.mark.parametrize("deaf", [False, True])
def test_stop_ends_the_container(daemon, deaf):
    daemon.deaf = deaf
    server = courselib.launch("tgi")
    assert daemon.containers
    begin = time.monotonic()
    server.stop()
    assert time.monotonic() - begin < 9
    assert daemon.containers == {}
    assert ("signal TERM" in daemon.requests) and (not deaf or any(r.startswith("DELETE") for r in daemon.requests))


@pytest.mark.parametrize("victim", ["guard", "client", "starter"])
def test_whoever_is_killed_no_container_is_left(daemon, victim):
    code = "import courselib, time; s = courselib.launch('tgi'); print(s.pid, flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as starter:
        wrapper = psutil.Process(int(starter.stdout.readline()))
        (client,) = [child for child in wrapper.children() if "docker" in child.name()]
        victims = {"guard": wrapper.parent(), "client": client, "starter": starter}
        assert daemon.containers
        victims[victim].send_signal(signal.SIGKILL)
        wait_until(lambda: not daemon.containers, 15)
        starter.kill()
    wait_gone(wrapper.pid, 1)


def test_a_name_of_somebody_else_is_left_alone(daemon):
    """Two launches at once may both find the name free; the one that loses must not remove the winner's container."""
    with courselib.launch("tgi", container="shared") as server:
        daemon_find, daemon.find = daemon.find, lambda name: None if name == "shared" else daemon_find(name)
        try:
            courselib.launch("tgi", container="shared", timeout_s=10).stop()
        finally:
            daemon.find = daemon_find
        assert server.is_running()
        assert daemon.find("shared")


def test_the_launcher_on_the_path_comes_first(fake_launcher, monkeypatch):
    with courselib.launch("tgi", max_total_tokens=512) as server:
        assert server.command.startswith(f"{LAUNCHER} --model-id HuggingFaceTB/SmolLM2-135M-Instruct --hostname")
        assert server.memory().rss > 1_000_000
        pid, port = server.pid, server.port
    wait_gone(pid, port)


def test_a_busy_prometheus_port_is_gone_round(fake_launcher):

    with taken_port("0.0.0.0") as busy, courselib.launch("tgi", prometheus_port=busy) as server:
        assert f"--prometheus-port {busy} " not in server.command + " "


def test_ignored_settings_are_noted(daemon):
    with courselib.launch("tgi", max_batch_total_tokens=8192, cuda_memory_fraction=0.5) as server:
        assert [note.partition(":")[0] for note in sorted(server.notes)] == [
            "TGI ignores cuda_memory_fraction", "TGI ignores max_batch_total_tokens"
        ]  # fmt: skip
