"""What holds for all tests."""

import os

import pytest

import courselib
from courselib.engines import vllm_environment
from courselib.errors import EngineMissing

# Fixtures whose tests need another environment than the one they run in.
ELSEWHERE = {"installed", "convert_python", "text_generation_python"}


@pytest.hookimpl(tryfirst=True)  # before pytest chooses by markers
def pytest_collection_modifyitems(items):
    """Browser tests last: Playwright leaves an event loop running, in which ``asyncio.run`` refuses to work."""
    items.sort(key=lambda item: item.get_closest_marker("browser") is not None)
    for item in items:
        # By name, too: which server a test of all engines starts is decided when it runs.
        if ELSEWHERE & set(item.fixturenames) or "vllm" in item.nodeid.lower():
            item.add_marker("elsewhere")


@pytest.fixture(scope="session")
def installed():
    """The environment that has vLLM; where there is none, tests that need it are skipped and say why."""
    try:
        return vllm_environment.find()
    except EngineMissing as error:
        if os.environ.get("COURSELIB_REQUIRE_VLLM") == "1":
            pytest.fail(f"COURSELIB_REQUIRE_VLLM=1, but: {error.message}")
        pytest.skip(error.message)


@pytest.fixture(scope="session")
def text_generation_python():
    """An interpreter with TGI's older client, which wants a huggingface_hub that the course is too new for."""
    python = os.environ.get("COURSELIB_TEXT_GENERATION_PYTHON")
    if not python:
        pytest.skip("COURSELIB_TEXT_GENERATION_PYTHON names no interpreter that has text_generation")
    return python


@pytest.fixture(scope="session")
def vllm_server(installed):
    """One vLLM for all tests that only ask it something: it takes half a minute to start."""
    options = {"max_model_len": 512, "kv_cache_memory": 128 << 20, "block_size": 32}
    with courselib.launch("vllm", max_logprobs=-1, **options) as server:
        yield server
