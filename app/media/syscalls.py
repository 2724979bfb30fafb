"""Forbids the child system calls that reading a file never needs: sockets, other programs, other processes.

A filter of the kernel (seccomp), on Linux on x86-64 and ARM64; elsewhere limits and the killing of the group remain.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
import sys
from collections.abc import Sequence

_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _FILTER = 38, 22, 2
_LOAD, _EQUALS, _AT_LEAST, _HAS_BITS, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _KILL = 0x7FFF0000, 0x80000000
_FAIL = 0x00050000  # With the number of the error in the lower half.
_NUMBER, _ARCHITECTURE, _FIRST, _THIRD_LOW, _THIRD_HIGH = 0, 4, 16, 32, 36
_CLONE_THREAD = 0x10000
_OTHER_ABI = 0x40000000  # x32 on x86-64: other numbers for the same calls.

_MACHINES = ("x86_64", "aarch64")
_ARCHITECTURES = (0xC000003E, 0xC00000B7)  # As the kernel names them.
# Their numbers on each machine.
_FORBIDDEN = {
    "socket": (41, 198),
    "socketpair": (53, 199),
    "connect": (42, 203),
    "bind": (49, 200),
    "listen": (50, 201),
    "accept": (43, 202),
    "accept4": (288, 242),
    "execve": (59, 221),
    "execveat": (322, 281),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240),
    "tkill": (200, 130),
    "setsid": (112, 157),
    "setpgid": (109, 154),
    "setrlimit": (160, 164),
    "unshare": (272, 97),
    "setns": (308, 268),
    "mount": (165, 40),
    "chroot": (161, 51),
    "keyctl": (250, 219),
    "bpf": (321, 280),
    "userfaultfd": (323, 282),
    "perf_event_open": (298, 241),
    "open_by_handle_at": (304, 265),
    "pidfd_open": (434, 434),
    "pidfd_send_signal": (424, 424),
    "io_uring_setup": (425, 425),
}
_FORKS = (57, 58)  # fork and vfork, which only x86-64 has.
_CLONE, _CLONE3, _KILL_PROCESS, _KILL_THREAD, _LIMIT = (56, 220), (435, 435), (62, 129), (234, 131), (302, 261)

_Instruction = tuple[int, int, int, int]


def forbid() -> bool:
    """Installs the filter for this process, for good; tells whether the kernel took it."""
    machine = os.uname().machine
    if sys.platform != "linux" or machine not in _MACHINES:
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    packed = b"".join(struct.pack("=HBBI", *instruction) for instruction in _program(_MACHINES.index(machine)))
    program = ctypes.create_string_buffer(packed, len(packed))
    header = struct.pack("@HP", len(packed) // 8, ctypes.addressof(program))
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    return bool(libc.prctl(_PR_SET_SECCOMP, _FILTER, ctypes.create_string_buffer(header, len(header)), 0, 0) == 0)


def _program(machine: int) -> Sequence[_Instruction]:
    fail = (_RETURN, 0, 0, _FAIL | errno.EPERM)
    allow = (_RETURN, 0, 0, _ALLOW)
    program = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_EQUALS, 1, 0, _ARCHITECTURES[machine]),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER),
    ]
    numbers = [call[machine] for call in _FORBIDDEN.values()]
    if _MACHINES[machine] == "x86_64":
        program += [(_AT_LEAST, 0, 1, _OTHER_ABI), fail]
        numbers += _FORKS
    for number in numbers:
        program += [(_EQUALS, 0, 1, number), fail]
    # The C library tries clone3 first, whose flags a filter cannot see, and then clone: threads only.
    program += [(_EQUALS, 0, 1, _CLONE3[machine]), (_RETURN, 0, 0, _FAIL | errno.ENOSYS)]
    program += [(_EQUALS, 0, 4, _CLONE[machine]), (_LOAD, 0, 0, _FIRST), (_HAS_BITS, 0, 1, _CLONE_THREAD), allow, fail]
    for number in (_KILL_PROCESS[machine], _KILL_THREAD[machine]):  # Only itself, as abort() does.
        program += [(_EQUALS, 0, 4, number), (_LOAD, 0, 0, _FIRST), (_EQUALS, 0, 1, os.getpid()), allow, fail]
    # Limits may be read, not set: root could raise them again, and those of its parent.
    program += [(_EQUALS, 0, 6, _LIMIT[machine]), (_LOAD, 0, 0, _THIRD_LOW), (_EQUALS, 0, 3, 0)]
    program += [(_LOAD, 0, 0, _THIRD_HIGH), (_EQUALS, 0, 1, 0), allow, fail]
    return [*program, allow]
