"""Asks a clamd whether a file has a virus in it, by its command INSTREAM: the file need not lie where clamd runs."""

from __future__ import annotations

import socket
import struct
from contextlib import closing, suppress
from pathlib import Path
from typing import BinaryIO

from app.errors import Unavailable

_PIECE = 131_072
_LONGEST_ANSWER = 4096
_LENGTH = struct.Struct(">I")


class ScanFailed(Exception):
    """clamd could not look at the file, as at one larger than its StreamMaxLength; what it says is for the log."""


def found_virus(path: Path, address: str, seconds: float) -> str | None:
    """The name of the virus in the file; None where there is none.

    `address` is `host:port` or the path of a socket; each step may take so many seconds. Raises Unavailable where
    nobody answers there, ScanFailed for every answer that says neither.
    """
    try:
        with closing(_connected(address, seconds)) as line, path.open("rb") as file:
            _send(line, file)
            answer = _answer(line)
    except OSError as error:
        raise Unavailable("Files are temporarily not looked at.", retry_after=5) from error
    if not answer:
        raise Unavailable("Files are temporarily not looked at.", retry_after=5)
    said = answer.removeprefix("stream: ")
    if said == "OK":
        return None
    if said.endswith(" FOUND"):
        return said.removesuffix(" FOUND")
    raise ScanFailed(said[:200])


def _connected(address: str, seconds: float) -> socket.socket:
    if address.startswith("/"):
        line = socket.socket(socket.AF_UNIX)
        try:
            line.settimeout(seconds)
            line.connect(address)
        except BaseException:
            line.close()
            raise
        return line
    host, _, port = address.rpartition(":")
    return socket.create_connection((host.strip("[]"), int(port)), seconds)


def _send(line: socket.socket, file: BinaryIO) -> None:
    line.sendall(b"zINSTREAM\0")
    # It says why before it hangs up: too large, for example.
    with suppress(BrokenPipeError, ConnectionResetError):
        while piece := file.read(_PIECE):
            line.sendall(_LENGTH.pack(len(piece)) + piece)
        line.sendall(_LENGTH.pack(0))


def _answer(line: socket.socket) -> str:
    said = b""
    while b"\0" not in said and len(said) < _LONGEST_ANSWER:
        piece = line.recv(_LONGEST_ANSWER)
        if not piece:
            break
        said += piece
    return said.partition(b"\0")[0].decode("utf-8", "replace").strip()
