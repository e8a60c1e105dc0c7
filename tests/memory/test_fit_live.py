"""Would it start? The answer before the start is what llama.cpp then does, under a limit of memory."""

import json
import subprocess
import sys

import pytest

from courselib.models import resolve
from tests.real_group import real_group
from tests.waiting import wait_until

pytestmark = [
    pytest.mark.engine,
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="limits of memory are Linux'"),
]

LIMIT = 512 << 20
# A swap would let it start, however slowly.
NO_SWAP = {"memory.swap.max": "0", "memory.memsw.limit_in_bytes": str(LIMIT)}
VARIANTS = [
    {"ubatch": 64},
    {"ubatch": 64, "cache_type_k": "q8_0", "cache_type_v": "q8_0"},
    {"ubatch": 64, "parallel": 4},
    {"ubatch": 64, "parallel": 4, "kv_unified": True, "cache_type_k": "q8_0"},
    {"ubatch": 128, "flash_attn": "off"},
]
# Of the memory there is; nearer to 1 than the prediction's own error, nothing is promised.
SHARES = (0.6, 0.85, 1.15, 1.4)


@pytest.fixture
def group():
    """A real group where one may be made, else None."""
    with real_group("memory", {"memory.max": str(LIMIT), "memory.limit_in_bytes": str(LIMIT)}) as (folder, _reason):
        for file, text in NO_SWAP.items():
            if folder and (folder / file).exists():
                (folder / file).write_text(text)
        yield folder
        if folder:
            wait_until(lambda: not (folder / "cgroup.procs").read_text())


def test_the_answer_is_right_around_the_limit(group):
    resolve("smollm2-135m").read_bytes()  # its pages are in memory, and not the group's
    arguments = json.dumps([str(group or ""), LIMIT, VARIANTS, SHARES])
    done = subprocess.run(
        [sys.executable, "-m", "tests.memory.would_start", arguments],
        capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    tried = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("[")]
    assert [said for _settings, said, _started in tried] == [share < 1 for _variant in VARIANTS for share in SHARES]
    assert [each for each in tried if each[1] != each[2]] == [], done.stderr[-3000:]
    assert len(tried) == 20
