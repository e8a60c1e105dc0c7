"""A cache of its own for each test, and the bundled model as this machine has it."""

import os
import sys

import pytest
from huggingface_hub import constants

from courselib.models import resolve
from tests.models.fake_hub import FakeHub


@pytest.fixture(scope="session")
def bundled_model():
    """The real file, from the cache of whoever runs the tests."""
    return resolve("smollm2-135m")


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache of the course."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("COURSELIB_CACHE", str(folder))
    return folder


@pytest.fixture
def hub(cache, tmp_path, monkeypatch):
    """A FakeHub that huggingface_hub takes for the hub, with an empty cache of the hub's."""
    monkeypatch.delenv("HF_TOKEN", raising=False)
    with FakeHub() as fake:
        # What HF_ENDPOINT and HF_HOME set when huggingface_hub is imported, which has happened by now.
        monkeypatch.setattr(constants, "ENDPOINT", fake.url)
        monkeypatch.setattr(
            constants, "HUGGINGFACE_CO_URL_TEMPLATE", fake.url + "/{repo_id}/resolve/{revision}/{filename}"
        )
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
        monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no token"))
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        yield fake


@pytest.fixture
def hub_environment(hub, cache, tmp_path):
    """The same for a new process."""
    return {
        **os.environ,
        "COURSELIB_CACHE": str(cache),
        "HF_ENDPOINT": hub.url,
        "HF_HOME": str(tmp_path / "home"),
        "HF_HUB_CACHE": str(tmp_path / "hub"),
        "HF_HUB_OFFLINE": "0",
    }


@pytest.fixture(scope="session")
def convert_python(request):
    """An interpreter with torch, transformers and gguf: vLLM's, unless another one is named or this one has them."""
    import importlib.util

    if named := os.environ.get("COURSELIB_CONVERT_PYTHON"):
        return named
    if all(importlib.util.find_spec(name) for name in ("torch", "transformers", "gguf", "accelerate")):
        return sys.executable
    return request.getfixturevalue("installed").python
