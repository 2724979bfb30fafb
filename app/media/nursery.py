"""The process that children come from: `python -m app.media.nursery SOCKET PARENT`.

It has loaded the libraries, which takes longer than most pictures do, and forks a child for each order. It never looks
at a file itself. It ends with the process that started it, and its children end with it. See `children` for who asks.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import socket
import struct
import sys
from contextlib import suppress

from app.media import child
from app.media.confinement import die_with

# What a child needs for nearly all that people send; the rest it loads by itself.
_LIBRARIES = (
    "app.media.looking",
    "PIL.Image",
    "PIL.JpegImagePlugin",
    "PIL.PngImagePlugin",
    "PIL.WebPImagePlugin",
    "PIL.GifImagePlugin",
    "av",
)
_PIECE = 65_536
NUMBER = struct.Struct("=i")
"""How a process's number and an exit code are told."""
ENDED, BURY = b"e", b"b"


def main() -> None:
    """Serves orders, one after the other, until nobody can give any."""
    line = socket.socket(fileno=int(sys.argv[1]))
    die_with(int(sys.argv[2]))
    for name in _LIBRARIES:
        with suppress(ImportError):  # Who needs it says so.
            importlib.import_module(name)
    gc.freeze()
    while order := _order(line):
        _serve(line, *order)


def _order(line: socket.socket) -> tuple[bytes, int] | None:
    """The next order, a line of JSON, and the pipe for the report that comes with it."""
    order, pipes, _, _ = socket.recv_fds(line, _PIECE, 1)
    while order and not order.endswith(b"\n"):
        order += line.recv(_PIECE)
    return (order, pipes[0]) if order else None


def _serve(line: socket.socket, order: bytes, report: int) -> None:
    """One child: tells its number, then that it has ended; buries it when it is told to, and tells its exit code."""
    nursery = os.getpid()
    pid = os.fork()
    if pid == 0:
        _become_child(line, json.loads(order), report, nursery)
    os.close(report)
    line.sendall(NUMBER.pack(pid))
    # It stays a zombie, so that its group's number is nobody else's until the group is killed.
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    line.sendall(ENDED)
    line.recv(len(BURY))
    line.sendall(NUMBER.pack(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])))


def _become_child(line: socket.socket, order: dict[str, dict[str, object]], report: int, nursery: int) -> None:
    try:
        os.setsid()
        line.close()
        order["confine"]["parent"] = nursery
        child.run(order, report)
    finally:
        os._exit(1)  # Whatever happens, it does not go on as a nursery.


if __name__ == "__main__":
    main()
