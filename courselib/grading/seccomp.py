"""Calls of Linux that confined code may not make, as a filter of the kernel (seccomp).

Files, network and processes are confined by namespaces. What is refused here has no use in an answer and leads past
them: namespaces of one's own, in which more may be mounted; memory that belongs to no process, so that no limit of a
process counts it; a look into other processes; sockets that no namespace confines, as to a virtual machine's host.

Sources: ``linux/seccomp.h``, ``linux/bpf_common.h``, ``linux/audit.h``; numbers from ``asm/unistd_64.h`` (x86-64) and
``asm-generic/unistd.h`` (ARM64).
"""

from __future__ import annotations

import errno
import platform
import struct
from collections.abc import Iterator

# Each with its number on x86-64 and on ARM64.
_REFUSED = {
    "unshare": (272, 97),
    "setns": (308, 268),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsmount": (432, 432),
    "mount_setattr": (442, 442),
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    "shmget": (29, 194),
    "msgget": (68, 186),
    "semget": (64, 190),
    "mq_open": (240, 180),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
}
_MACHINES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
_CLONE, _CLONE3, _SOCKET = (56, 220), (435, 435), (41, 198)
# CLONE_NEWNS, -CGROUP, -UTS, -IPC, -USER, -PID and -NET.
_NEW_NAMESPACE = 0x7E020000
# AF_UNIX, AF_INET, AF_INET6, and AF_NETLINK, by which the C library looks addresses up.
_FAMILIES = (1, 2, 10, 16)
# On x86-64 every call has a second number, from here on.
_X32 = 0x40000000
_NUMBER, _ARCH, _FIRST_ARGUMENT = 0, 4, 16
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _KILL, _ERROR = 0x7FFF0000, 0x80000000, 0x00050000


def program() -> bytes:
    """The filter as the kernel reads it; empty on processors that it is not written for."""
    if platform.machine() not in _MACHINES:
        return b""
    at, arch = _MACHINES[platform.machine()]
    return b"".join(struct.pack("=HBBI", *each) for each in _instructions(at, arch))


def _instructions(at: int, arch: int) -> Iterator[tuple[int, int, int, int]]:
    """Code, how many instructions are passed over where it holds, and where it does not, and its number."""
    refused = (_RETURN, 0, 0, _ERROR | errno.EPERM)
    yield from [(_LOAD, 0, 0, _ARCH), (_EQUAL, 1, 0, arch), (_RETURN, 0, 0, _KILL)]
    yield from [(_LOAD, 0, 0, _NUMBER), (_AT_LEAST, 0, 1, _X32), refused]
    for numbers in _REFUSED.values():
        yield from [(_EQUAL, 0, 1, numbers[at]), refused]
    # The C library then takes clone, whose flags can be looked at.
    yield from [(_EQUAL, 0, 1, _CLONE3[at]), (_RETURN, 0, 0, _ERROR | errno.ENOSYS)]
    yield from [(_EQUAL, 0, 3, _CLONE[at]), (_LOAD, 0, 0, _FIRST_ARGUMENT), (_ANY_BIT, 0, 1, _NEW_NAMESPACE), refused]
    yield from [(_LOAD, 0, 0, _NUMBER), (_EQUAL, 0, len(_FAMILIES) + 2, _SOCKET[at]), (_LOAD, 0, 0, _FIRST_ARGUMENT)]
    for passed, family in enumerate(_FAMILIES):
        yield (_EQUAL, len(_FAMILIES) - passed, 0, family)
    yield (_RETURN, 0, 0, _ERROR | errno.EAFNOSUPPORT)
    yield (_RETURN, 0, 0, _ALLOW)
