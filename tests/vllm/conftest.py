"""vLLM itself, where it is installed; everywhere else its tests are skipped and say why."""

import os

import pytest

from courselib.engines import vllm_environment
from courselib.errors import EngineMissing


@pytest.fixture(scope="session")
def installed():
    """The environment that has vLLM."""
    try:
        return vllm_environment.find()
    except EngineMissing as error:
        if os.environ.get("COURSELIB_REQUIRE_VLLM") == "1":
            pytest.fail(f"COURSELIB_REQUIRE_VLLM=1, but: {error.message}")
        pytest.skip(error.message)
