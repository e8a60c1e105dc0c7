"""What holds for all tests."""

import os
import tempfile
from pathlib import Path

import hypothesis
import pytest

import courselib
from courselib import machine
from courselib.engines.vllm import environment
from courselib.errors import EngineMissing
from courselib.front import haproxy
from courselib.observe import prometheus

# Fixtures whose tests need another environment than the one they run in, or what is fetched while the others run.
VLLM = {"installed", "convert_python"}
ELSEWHERE = VLLM | {
    "text_generation_python", "graders", "ray_programs", "gemma", "prometheus_programs", "haproxy_programs",
    "site_python",
}  # fmt: skip


# Another machine, slow or busy, tries the same examples and fails no test by its speed alone.
hypothesis.settings.register_profile("course", deadline=None, derandomize=True, database=None,
                                     suppress_health_check=[hypothesis.HealthCheck.too_slow])  # fmt: skip
hypothesis.settings.load_profile("course")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers():
    """``-n auto``: as many workers as this process has cores; xdist would count those of the whole machine."""
    return machine.cores()


def pytest_addoption(parser):
    parser.addoption("--cores-apart", action="store_true", help="each of -n's workers keeps to cores of its own")


def pytest_configure(config):
    """Two vLLMs on the same cores are several times slower, since each waits for its threads actively."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "")
    if config.getoption("--cores-apart") and worker and hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        workers, number = int(os.environ["PYTEST_XDIST_WORKER_COUNT"]), int(worker.removeprefix("gw"))
        os.sched_setaffinity(0, cores[number::workers] or cores)


@pytest.hookimpl(tryfirst=True)  # before pytest chooses by markers
def pytest_collection_modifyitems(items):
    """Browser tests last: Playwright leaves an event loop running, in which ``asyncio.run`` refuses to work."""
    items.sort(key=lambda item: item.get_closest_marker("browser") is not None)
    for item in items:
        if ELSEWHERE & set(item.fixturenames) or _starts_vllm(item):
            item.add_marker("elsewhere")
        if VLLM & set(item.fixturenames) or _starts_vllm(item):
            item.add_marker("vllm")


def _starts_vllm(item):
    """By the test's own name and parameters: which server a test of all engines starts is decided when it runs."""
    return item.get_closest_marker("engine") is not None and "vllm" in item.name.lower()


@pytest.fixture(scope="session", autouse=True)
def temporary_folder(tmp_path_factory):
    """The folder for temporary files is one of pytest's: it removes what processes that are killed leave there."""
    with pytest.MonkeyPatch.context() as patch:
        folder = str(tmp_path_factory.mktemp("t"))  # a short name: sockets are made below it
        patch.setenv("TMPDIR", folder)
        patch.setattr(tempfile, "tempdir", folder)
        yield


@pytest.fixture(scope="session", autouse=True)
def ipython_folder(tmp_path_factory):
    """Kernels read no start-up file of the person who runs the tests, and leave nothing in that person's history."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("IPYTHONDIR", str(tmp_path_factory.mktemp("ipython")))
        yield


@pytest.fixture(autouse=True)
def no_clock(monkeypatch):
    """No build in a test judges how long a cell took: it takes the machine for crowded. ``test_timing`` does not."""
    monkeypatch.setattr("os.getloadavg", lambda: (1e6, 1e6, 1e6), raising=False)


@pytest.fixture(scope="session")
def installed():
    """The environment that has vLLM; where there is none, tests that need it are skipped and say why."""
    try:
        return environment.find()
    except EngineMissing as error:
        if os.environ.get("COURSELIB_REQUIRE_VLLM") == "1":
            pytest.fail(f"COURSELIB_REQUIRE_VLLM=1, but: {error.message}")
        pytest.skip(error.message)


@pytest.fixture(scope="session")
def gemma():
    """A GGUF of another family than SmolLM2's; where it has not been fetched, tests that need it are skipped."""
    from tests.gemma import find

    if found := find():
        return found
    words = "Gemma has not been fetched: python -m tests.gemma"
    if os.environ.get("COURSELIB_REQUIRE_GEMMA") == "1":
        pytest.fail(f"COURSELIB_REQUIRE_GEMMA=1, but: {words}")
    pytest.skip(words)


@pytest.fixture(scope="session")
def llama_cpp():
    """llama-cpp-python's module; where it has not been built, tests that need it are skipped and say why."""
    return pytest.importorskip("llama_cpp", reason="llama-cpp-python is not installed: make native")


@pytest.fixture(scope="session")
def text_generation_python():
    """An interpreter with TGI's older client, which wants a huggingface_hub that the course is too new for."""
    python = os.environ.get("COURSELIB_TEXT_GENERATION_PYTHON")
    if not python:
        pytest.skip("COURSELIB_TEXT_GENERATION_PYTHON names no interpreter that has text_generation")
    return python


@pytest.fixture(scope="session")
def ray_programs():
    """The folder with the programs of an environment that has the course and Ray."""
    folder = os.environ.get("COURSELIB_RAY")
    if not folder:
        pytest.skip("COURSELIB_RAY names no folder that has Ray and what the course needs")
    return folder


@pytest.fixture(scope="session")
def prometheus_programs():
    """The programs prometheus and promtool; where they are not installed, tests that need them are skipped."""
    try:
        return prometheus.find()
    except EngineMissing as error:
        pytest.skip(error.message)


@pytest.fixture(scope="session")
def haproxy_programs():
    """The programs haproxy and openssl; where they are not installed, tests that need them are skipped."""
    try:
        return haproxy.find()
    except EngineMissing as error:
        pytest.skip(error.message)


@pytest.fixture(scope="session")
def graders():
    """The folder with the programs of nbgrader and Otter, which have an environment of their own."""
    folder = os.environ.get("COURSELIB_GRADERS")
    if not folder:
        pytest.skip("COURSELIB_GRADERS names no folder that has nbgrader and otter")
    return folder


@pytest.fixture(scope="session")
def site_python():
    """The interpreter of the environment that builds the website."""
    folder = os.environ.get("COURSELIB_SITE")
    if not folder:
        pytest.skip("COURSELIB_SITE names no folder that has Sphinx's Python: make site, then .venvs/site/bin")
    return Path(folder) / "python"


@pytest.fixture(scope="session")
def vllm_server(installed):
    """One vLLM for all tests that only ask it something: it takes half a minute to start.

    In float32: in bfloat16 an answer that has some of its prompt in the cache, or another beside it in the batch, is
    rounded otherwise by enough to be another text.
    """
    options = {"max_model_len": 512, "kv_cache_memory": 128 << 20, "block_size": 32}
    with courselib.launch("vllm", dtype="float32", max_logprobs=-1, **options) as server:
        yield server
