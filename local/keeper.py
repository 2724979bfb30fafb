"""Ends the children of a process that died without ending them itself.

Run as `python -I -S keeper.py PARENT`, with lines `+PID SIGNAL` and `-PID` on its standard input, the process groups to
watch, and `.` where the parent is about to end. On Linux the kernel already signals each child when its parent dies
(spawn.py); the keeper also reaches what those children started, ends what does not obey, and is the only means on
macOS.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import time

_LOOK_AGAIN = 0.5
_GRACE = 2.5


def _send(groups: dict[int, int], pid: int, number: int) -> None:
    """Signals the group, or its leader; forgets a group that has no process left."""
    try:
        if number in (0, signal.SIGKILL):
            os.killpg(pid, number)
        else:
            os.kill(pid, number)
    except (ProcessLookupError, PermissionError):
        if number == 0:
            del groups[pid]


def _watch(parent: int) -> dict[int, int]:
    """The groups left behind, once the parent is gone or says that it goes."""
    groups: dict[int, int] = {}
    rest = b""
    while os.getppid() == parent:
        # A process forked from the parent may hold the pipe open, so that its end alone proves nothing.
        if not select.select([0], [], [], _LOOK_AGAIN)[0]:
            continue
        data = os.read(0, 65536)
        if not data:
            break
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            if line.startswith(b"+"):
                pid, number = line[1:].split()
                groups[int(pid)] = int(number)
            elif line == b".":
                return groups
            else:
                groups.pop(int(line[1:]), None)
    return groups


def main() -> None:
    """Returns when nothing of the parent is left."""
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(ignored, signal.SIG_IGN)
    groups = _watch(int(sys.argv[1]))
    for pid, number in list(groups.items()):
        _send(groups, pid, number)
    deadline = time.monotonic() + _GRACE
    while groups:
        for pid in list(groups):
            _send(groups, pid, 0 if time.monotonic() < deadline else signal.SIGKILL)
        if time.monotonic() > deadline + 1:
            break
        time.sleep(_LOOK_AGAIN / 10)


if __name__ == "__main__":
    main()
