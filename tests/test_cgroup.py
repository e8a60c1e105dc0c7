"""What a container allows: read from fake trees of the files that Linux shows, and in a real control group."""

import os
import subprocess
import sys

import psutil
import pytest

from courselib import cgroup, machine
from tests.real_group import real_group

MIB = 1 << 20
V2_MOUNT = "31 23 0:28 {root} /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate"
V1_MOUNT = "3{n} 31 0:3{n} {root} /sys/fs/cgroup/{names} rw - cgroup cgroup rw,{names}"
POD = "/kubepods/burstable/pod1/abc"


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """Makes a fake tree of the system's files: mounts, this process's groups, and what is below /sys/fs/cgroup."""
    monkeypatch.setattr(cgroup, "ROOT", tmp_path)
    for variable in ("JUPYTERHUB_USER", "MEM_LIMIT", "CPU_LIMIT"):
        monkeypatch.delenv(variable, raising=False)

    def make(mounts, groups, files):
        process = tmp_path / "proc/self"
        process.mkdir(parents=True)
        (process / "mountinfo").write_text("".join(f"{line}\n" for line in mounts))
        (process / "cgroup").write_text("".join(f"{line}\n" for line in groups))
        for path, text in files.items():
            file = tmp_path / "sys/fs/cgroup" / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(f"{text}\n")

    return make


def v1_mounts(root="/"):
    return [V1_MOUNT.format(n=n, root=root, names=names) for n, names in enumerate(("cpu,cpuacct", "memory"))]


def v2_memory(folder, limit, used, inactive=0):
    return {
        f"{folder}memory.max": limit, f"{folder}memory.current": used,
        f"{folder}memory.stat": f"anon {used}\ninactive_file {inactive}\nactive_file 1",
    }  # fmt: skip


def v1_memory(folder, limit, used, inactive=0):
    return {
        f"memory/{folder}memory.limit_in_bytes": limit, f"memory/{folder}memory.usage_in_bytes": used,
        f"memory/{folder}memory.stat": f"inactive_file 7\ntotal_inactive_file {inactive}",
    }  # fmt: skip


def v1_quota(folder, quota, period=100_000):
    return {
        f"cpu,cpuacct/{folder}cpu.cfs_quota_us": quota, f"cpu,cpuacct/{folder}cpu.cfs_period_us": period,
    }  # fmt: skip


def test_without_control_groups_nothing_is_limited(tree, tmp_path):
    assert cgroup.cpu_quota() is None and cgroup.memory_limits() == []
    system = machine.memory()
    assert (system.total, system.limited) == (psutil.virtual_memory().total, False)


@pytest.mark.parametrize(
    ("text", "quota"),
    [("200000 100000", 2), ("150000 100000", 1.5), ("50000 100000", 0.5), ("max 100000", None), ("", None)],
)
def test_quota_of_version_2(tree, text, quota):
    tree([V2_MOUNT.format(root="/")], ["0::/"], {"cpu.max": text})
    assert cgroup.cpu_quota() == quota


@pytest.mark.parametrize(("text", "quota"), [("200000", 2), ("50000", 0.5), ("-1", None), ("0", None)])
def test_quota_of_version_1(tree, text, quota):
    tree(v1_mounts(), ["3:cpu,cpuacct:/", "2:memory:/"], v1_quota("", text))
    assert cgroup.cpu_quota() == quota


def test_the_working_set_leaves_out_files_not_used_any_more(tree):
    tree([V2_MOUNT.format(root="/")], ["0::/"], v2_memory("", 700 * MIB, 300 * MIB, 100 * MIB))
    (limit,) = cgroup.memory_limits()
    assert (limit.limit, limit.used, limit.free) == (700 * MIB, 200 * MIB, 500 * MIB)


def test_the_working_set_of_version_1_counts_the_groups_below(tree):
    tree(v1_mounts(), ["2:memory:/"], v1_memory("", 700 * MIB, 300 * MIB, 100 * MIB))
    assert [limit.free for limit in cgroup.memory_limits()] == [500 * MIB]


def test_a_limit_without_statistics_still_counts(tree):
    tree([V2_MOUNT.format(root="/")], ["0::/"], {"memory.max": 64 * MIB, "memory.current": 80 * MIB})
    assert [(limit.limit, limit.free) for limit in cgroup.memory_limits()] == [(64 * MIB, 0)]


@pytest.mark.parametrize(
    ("mounts", "groups", "files"),
    [
        ([V2_MOUNT.format(root="/")], ["0::/"], v2_memory("", "max", 3)),
        (v1_mounts(), ["2:memory:/"], v1_memory("", 9223372036854771712, 3)),
        (v1_mounts(), ["2:memory:/"], v1_memory("", "", "")),
    ],
)
def test_no_limit_of_memory(tree, mounts, groups, files):
    tree(mounts, groups, files)
    assert cgroup.memory_limits() == []


def test_the_groups_above_limit_too(tree):
    files = {
        f"{POD[1:]}/cpu.max": "max 100000", "kubepods/burstable/pod1/cpu.max": "300000 100000",
        "kubepods/cpu.max": "800000 100000", **v2_memory(f"{POD[1:]}/", "max", 10 * MIB),
        **v2_memory("kubepods/burstable/pod1/", 900 * MIB, 800 * MIB), **v2_memory("kubepods/", 950 * MIB, 100 * MIB),
    }  # fmt: skip
    tree([V2_MOUNT.format(root="/")], [f"0::{POD}"], files)
    assert cgroup.cpu_quota() == 3
    found = machine.memory()
    assert (found.total, found.available, found.limited) == (900 * MIB, 100 * MIB, True)


@pytest.mark.parametrize("root", [POD, "/elsewhere", "/../../.."])
def test_inside_a_container_only_its_own_group_is_mounted(tree, root):
    tree(v1_mounts(root), [f"3:cpu,cpuacct:{POD}", f"2:memory:{POD}"], v1_quota("", 100_000) | v1_memory("", MIB, 0))
    assert cgroup.cpu_quota() == 1
    assert [limit.limit for limit in cgroup.memory_limits()] == [MIB]


def test_a_process_outside_its_namespace_of_groups_reads_what_is_mounted(tree):
    tree([V2_MOUNT.format(root="/")], ["0::/../other"], {"cpu.max": "100000 100000", "../other/cpu.max": "1 1000"})
    assert cgroup.cpu_quota() == 1


def test_both_versions_side_by_side(tree):
    unified = V2_MOUNT.format(root="/").replace("/sys/fs/cgroup ", "/sys/fs/cgroup/unified ")
    groups = ["3:cpu,cpuacct:/a", "2:memory:/a", "0::/a"]
    tree([*v1_mounts(), unified], groups, v1_quota("a/", 250_000) | v1_memory("a/", MIB, 0) | {"unified/a/pids.max": 9})
    assert cgroup.cpu_quota() == 2.5
    assert [limit.limit for limit in cgroup.memory_limits()] == [MIB]


@pytest.mark.parametrize(
    ("text", "cores", "words"),
    [
        ("max 100000", 16, "0-15"), ("50000 100000", 1, "0"), ("150000 100000", 2, "0-1"),
        ("200000 100000", 2, "0-1"), ("6400000 100000", 16, "0-15"),
    ],
)  # fmt: skip
def test_every_count_of_cores_follows_the_quota(tree, monkeypatch, tmp_path, text, cores, words):
    from courselib.engines.llamacpp.engine import default_threads
    from courselib.engines.vllm import machine as vllm_machine

    tree([V2_MOUNT.format(root="/")], ["0::/"], {"cpu.max": text})
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: set(range(16)), raising=False)
    monkeypatch.setattr(machine, "CPUS", tmp_path)  # as on a system that does not show which processors share a core
    monkeypatch.setattr(psutil, "cpu_count", lambda logical=True: 16 if logical else 8)
    assert machine.cores() == cores
    assert default_threads() == max(1, min(cores, 8) - 1)
    assert vllm_machine._cpus() == words


def test_jupyterhubs_variables_count_where_no_group_is_seen(tree, monkeypatch):
    monkeypatch.setenv("MEM_LIMIT", str(1 << 60))
    monkeypatch.setenv("CPU_LIMIT", "1.5")
    assert cgroup.cpu_quota() is None and cgroup.memory_limits() == []  # another program's variables
    monkeypatch.setenv("JUPYTERHUB_USER", "jovyan")
    (limit,) = cgroup.memory_limits()
    assert limit.limit == 1 << 60 and limit.used >= psutil.Process().memory_info().rss // 2
    assert cgroup.cpu_quota() == 1.5
    monkeypatch.setenv("MEM_LIMIT", "2G")
    assert cgroup.memory_limits() == []


def test_a_group_goes_before_jupyterhubs_variables(tree, monkeypatch):
    for variable, value in (("JUPYTERHUB_USER", "jovyan"), ("MEM_LIMIT", "1000"), ("CPU_LIMIT", "7")):
        monkeypatch.setenv(variable, value)
    tree([V2_MOUNT.format(root="/")], ["0::/"], {"cpu.max": "100000 100000", **v2_memory("", 5 * MIB, 0)})
    assert cgroup.cpu_quota() == 1
    assert [limit.limit for limit in cgroup.memory_limits()] == [5 * MIB]


@pytest.fixture
def group(request):
    """A real control group with a controller and a limit."""
    with real_group(*request.param) as (folder, reason):
        yield folder or pytest.skip(reason)


def run_in(group, code):
    """What Python prints of an expression, in a process that is in the group."""
    enter = f'echo $$ > "{group}/cgroup.procs" && exec "$0" -c "$1"'
    command = ["sh", "-c", enter, sys.executable, f"from courselib import machine; print({code})"]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.strip()


CPU_LIMIT = ("cpu", {"cpu.max": "50000 100000", "cpu.cfs_quota_us": "50000"})
MEMORY_LIMIT = ("memory", {"memory.max": str(512 * MIB), "memory.limit_in_bytes": str(512 * MIB)})


@pytest.mark.parametrize("group", [CPU_LIMIT], indirect=True)
def test_the_quota_of_a_real_group(group):
    assert run_in(group, "machine.cgroup.cpu_quota(), machine.cores(), machine.fast_cores()") == "0.5 1 1"


@pytest.mark.parametrize("group", [MEMORY_LIMIT], indirect=True)
def test_the_limit_of_a_real_group(group):
    total, available, limited = run_in(group, "*vars(machine.memory()).values()").split()
    assert (int(total), limited) == (512 * MIB, "True")
    assert 0 < int(available) < 512 * MIB
