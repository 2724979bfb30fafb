"""Frames of RFC 6455 as a server writes them: never masked, never compressed, the same bytes for every receiver."""

from __future__ import annotations

import struct
from enum import IntEnum


class CloseCode(IntEnum):
    """Why a socket is closed: RFC 6455 section 7.4.1, and those of our own from 4400 on."""

    NORMAL = 1000
    PROTOCOL_ERROR = 1002
    UNSUPPORTED_DATA = 1003
    INVALID_TEXT = 1007
    TOO_LARGE = 1009
    INTERNAL_ERROR = 1011
    RESTARTING = 1012
    UNAUTHENTICATED = 4401
    NO_HEARTBEAT = 4408
    TOO_SLOW = 4413
    TOO_MANY = 4429


_TEXT = 0x81
_CLOSE = 0x88
_PONG = 0x8A
PING = b"\x89\x00"


def _header(kind: int, length: int) -> bytes:
    """Section 5.2: the length in 7 bits, or 126 and 16 bits, or 127 and 64 bits."""
    if length < 126:
        return bytes((kind, length))
    if length < 65536:
        return struct.pack("!BBH", kind, 126, length)
    return struct.pack("!BBQ", kind, 127, length)


def text_frame(content: bytes) -> bytes:
    """One whole text message; `content` is UTF-8."""
    return _header(_TEXT, len(content)) + content


def pong_frame(content: bytes) -> bytes:
    """The answer to a ping, with its content (at most 125 bytes)."""
    return _header(_PONG, len(content)) + content


def close_frame(code: int, reason: str = "") -> bytes:
    """The closing of a socket with a code and a reason of at most 123 bytes."""
    content = struct.pack("!H", code) + reason.encode()[:123]
    return _header(_CLOSE, len(content)) + content
