"""The probes of llama.cpp's manifest, asked of a live server as the kubelet asks them: GET, 200 to 399 is a pass."""

import os
import subprocess

import httpx
import pytest

from courselib.engines.llamacpp.engine import ENGINE
from courselib.engines.llamacpp.settings import LlamaCppSettings
from courselib.manifests.manifest import manifest
from courselib.processes.ports import free_port
from tests.waiting import wait_until

pytestmark = pytest.mark.engine
PROBES = ("startupProbe", "readinessProbe", "livenessProbe")
KEY = "sk-of-the-secret"


@pytest.fixture(scope="module")
def container():
    deployment = manifest("llama.cpp").object("Deployment")
    return deployment["spec"]["template"]["spec"]["containers"][0]


@pytest.fixture(scope="module")
def statuses(container):
    """A server that has just become ready, and what its probe's path returned meanwhile; 0 where none listens."""
    port = free_port()
    command = ENGINE.command(ENGINE.prepare(LlamaCppSettings(context=1024)), port=port, key=KEY)
    # The key is passed as the manifest passes it: in the variable that it names.
    assert set(command.environment) == {each["name"] for each in container["env"]}
    process = subprocess.Popen(
        command.run, env={**os.environ, **command.environment}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    seen = []

    def ready():
        seen.append(ask(port, container["startupProbe"]["httpGet"]["path"]))
        return passes(seen[-1])

    try:
        wait_until(ready, timeout_s=120)
        yield port, seen
    finally:
        process.kill()
        process.wait()


def ask(port, path, key=None):
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    try:
        return httpx.get(f"http://127.0.0.1:{port}{path}", headers=headers, trust_env=False).status_code
    except httpx.TransportError:
        return 0


def passes(status):
    return 200 <= status < 400


def test_the_probe_fails_until_the_model_is_loaded(statuses):
    _port, seen = statuses
    assert [passes(status) for status in seen] == [False] * (len(seen) - 1) + [True]
    assert set(seen[:-1]) <= {0, 503}  # refused, then "Loading model"


@pytest.mark.parametrize("name", PROBES)
def test_probes_pass_without_the_key(container, statuses, name):
    port, _seen = statuses
    assert passes(ask(port, container[name]["httpGet"]["path"]))


def test_other_routes_would_need_the_key(statuses):
    """Why no probe asks for the models, and why Prometheus has to send the key."""
    port, _seen = statuses
    for path in ("/v1/models", "/metrics"):
        assert ask(port, path) == 401
        assert ask(port, path, KEY) == 200


def test_the_autoscalers_metric_is_one_that_the_server_has(statuses):
    port, _seen = statuses
    text = httpx.get(f"http://127.0.0.1:{port}/metrics", headers={"X-Api-Key": KEY}, trust_env=False).text
    assert f"\n{manifest('llama.cpp').container.queue} " in text
