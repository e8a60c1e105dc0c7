"""What holds for all tests."""

import os

import pytest
from xdist.scheduler import LoadScopeScheduling

import courselib
from courselib.engines import vllm_environment
from courselib.errors import EngineMissing


def pytest_collection_modifyitems(items):
    """Browser tests last: Playwright leaves an event loop running, in which ``asyncio.run`` refuses to work."""
    items.sort(key=lambda item: item.get_closest_marker("browser") is not None)


class OneVllm(LoadScopeScheduling):
    """Each worker takes whole modules; what has vLLM in its name is one of them.

    Two vLLMs that work at once slow each other fivefold on two cores. (``--dist loadgroup`` would do, but
    pytest-xdist 3.8 does not see the groups under pytest 9.2: pytest-dev/pytest-xdist#1386.)
    """

    def _split_scope(self, nodeid):
        return "vllm" if "vllm" in nodeid.lower() else nodeid.split("::")[0]


def pytest_xdist_make_scheduler(config, log):
    return OneVllm(config, log)


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
def vllm_server(installed):
    """One vLLM for all tests that only ask it something: it takes half a minute to start."""
    options = {"max_model_len": 512, "kv_cache_memory": 128 << 20, "block_size": 32}
    with courselib.launch("vllm", max_logprobs=-1, **options) as server:
        yield server
