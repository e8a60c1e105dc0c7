"""A program for ``test_fit_live``: is the answer before a start what llama.cpp then does, under a limit of memory?

It takes, as JSON, the folder of a real control group or an empty text, the limit in bytes, then variants of settings,
and shares of the memory there is. For each variant and share it prints a line: settings, whether it should start, and
whether it did.
Without a real group, the limit that courselib sees is in a fake tree, and the engine has it as RLIMIT_DATA, with which
the system refuses memory: as much more as a program asks for and does not use, which the first start shows.
"""

import json
import os
import sys
import tempfile
from pathlib import Path

import httpx
import psutil

import courselib
from courselib import cgroup, machine, memory, models
from courselib.memory.inverse import largest

MODEL = memory.from_gguf(models.text_model_header(models.resolve("smollm2-135m")))
# All that the program needs is in memory before it is limited, so that only the engine counts.
import openai  # noqa: E402, F401


def fake_tree(root, limit):
    """The files of a group with a limit, as version 2 has them."""
    files = {
        "proc/self/mountinfo": "31 23 0:28 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw",
        "proc/self/cgroup": "0::/",
        "sys/fs/cgroup/memory.max": limit,
        "sys/fs/cgroup/memory.current": limit // 5,
        "sys/fs/cgroup/memory.stat": "inactive_file 0",
    }
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(f"{text}\n")
    cgroup.ROOT = root


def asked_for(pid):
    """Bytes of data that a process has asked the system for."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmData"))


def starts(settings, limit=None):
    """Whether llama.cpp starts, and computes as many tokens at once as it may; and the data it has asked for."""
    import resource  # Windows has none

    before = resource.getrlimit(resource.RLIMIT_DATA)
    if limit:
        resource.setrlimit(resource.RLIMIT_DATA, (limit, before[1]))
    try:
        with courselib.launch("llama.cpp", gpu_layers=0, on_note=print, **settings) as running:
            body = {"prompt": "word " * (settings["ubatch"] + 8), "n_predict": 1}
            answer = running.http.post("/completion", json=body)
            return answer.status_code == 200, asked_for(running.pid)
    except (courselib.CourseError, httpx.HTTPError, psutil.Error) as error:
        print(settings, type(error).__name__, error, file=sys.stderr)
        return False, 0
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, before)


def held(free, settings):
    """What the system cannot take back."""
    return memory.fit.in_ram(MODEL, free, **settings).held


def main():
    folder, limit, variants, shares = json.loads(sys.argv[1])
    with tempfile.TemporaryDirectory() as root:
        beyond = None
        if folder:
            Path(folder, "cgroup.procs").write_text(str(os.getpid()))
        else:
            fake_tree(Path(root), limit)
            smallest = {"context": 256, "ubatch": 64}
            beyond = starts(smallest)[1] - held(limit, smallest)
        for variant in variants:
            for share in shares:
                free = machine.memory().available
                step = 256 * variant.get("parallel", 1)
                rows = largest(lambda n: held(free, {**variant, "context": n * step}) <= share * free, 1000)  # noqa: B023
                settings = {**variant, "context": step * rows}
                found = memory.fit.in_ram(MODEL, free, **settings)
                started, _asked = starts(settings, None if beyond is None else free + beyond)
                print(json.dumps([settings, found.starts, started]), flush=True)


if __name__ == "__main__":
    main()
