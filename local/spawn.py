"""Becomes another program, after arranging that the program dies with the process that started it.

Run as `python -I -S spawn.py PARENT SIGNAL IDENTITY COMMAND...`. It is a program of its own, not a `preexec_fn`,
because code between fork and exec may deadlock in a process that has threads.

PARENT is the expected parent's process id. SIGNAL is what the kernel sends once that parent is dead (0: nothing; only
Linux can, elsewhere the keeper does it). IDENTITY is `-` (stay), `map:UID` (a user namespace in which the present user
appears as UID: PostgreSQL refuses to run as root, and this needs neither another user nor other owners of files) or
`user:UID:GID` (become that user; only root can).
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_CLONE_NEWUSER = 0x10000000
_PR_SET_PDEATHSIG = 1


def _check(result: int, what: str) -> None:
    if result != 0:
        raise SystemExit(f"{what}: {os.strerror(ctypes.get_errno())}")


def _write(path: str, text: str) -> None:
    try:
        with open(path, "w") as file:  # noqa: PTH123 - pathlib would cost more than all the rest
            file.write(text)
    except OSError as error:
        raise SystemExit(f"{path}: {error.strerror}") from None


def _become(identity: str, libc: ctypes.CDLL) -> None:
    kind, *numbers = identity.split(":")
    if kind == "map":
        uid, gid = os.getuid(), os.getgid()
        _check(libc.unshare(_CLONE_NEWUSER), "unshare")
        _write("/proc/self/setgroups", "deny")
        _write("/proc/self/uid_map", f"{numbers[0]} {uid} 1")
        _write("/proc/self/gid_map", f"{numbers[0]} {gid} 1")
    elif kind == "user":
        os.setgroups([])
        os.setgid(int(numbers[1]))
        os.setuid(int(numbers[0]))


def main() -> None:
    """Never returns: the process is the command afterwards."""
    parent, number, identity, *command = sys.argv[1:]
    libc = ctypes.CDLL(None, use_errno=True)
    _become(identity, libc)
    # After the change of user, which would clear it.
    if int(number) and sys.platform == "linux":
        _check(libc.prctl(_PR_SET_PDEATHSIG, int(number), 0, 0, 0), "prctl")
    if os.getppid() != int(parent):
        raise SystemExit("the process that asked for this one is gone")
    # Python ignores SIGPIPE, and a shell's background job ignores SIGINT: both would be inherited.
    for usual in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT, signal.SIGQUIT):
        signal.signal(usual, signal.SIG_DFL)
    try:
        os.execv(command[0], command)  # noqa: S606 - there is nothing for a shell to read
    except OSError as error:
        raise SystemExit(f"{command[0]}: {error.strerror}") from None


if __name__ == "__main__":
    main()
