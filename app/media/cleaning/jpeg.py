"""JPEG: keeps the picture, its colour profile and how it is coded."""

from __future__ import annotations

import re
from collections.abc import Sequence
from mmap import mmap

from app.media.outcome import Refusal, Refused

_START, _END, _SCAN = 0xD8, 0xD9, 0xDA
_COMMENT = 0xFE
_APPLICATION = range(0xE0, 0xF0)
# What stands in application segments and matters for showing the picture.
_KEPT = {0xE0: b"JFIF\x00", 0xE2: b"ICC_PROFILE\x00", 0xEE: b"Adobe"}
# Inside coded data, 0xFF is followed by 0, by the number of a restart, or by itself.
_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")


def cleaned(data: bytes | mmap) -> Sequence[bytes] | None:
    """The picture without metadata and without what follows its end; None where there is neither."""
    pieces = [data[:2]]
    changed, at = False, 2
    while at < len(data):
        if data[at] != 0xFF:
            raise Refused(Refusal.DAMAGED)
        while at + 1 < len(data) and data[at + 1] == 0xFF:  # Fill bytes.
            at += 1
        marker = data[at + 1] if at + 1 < len(data) else _END
        if marker == _END:
            pieces.append(b"\xff\xd9")
            return pieces if changed or at + 2 < len(data) else None
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        end = at + 2 + length
        if length < 2 or end > len(data):
            raise Refused(Refusal.DAMAGED)
        if marker == _SCAN:
            found = _MARKER.search(data, end)
            end = found.start() if found else len(data)
        if _is_needed(marker, data[at + 4 : at + 16]):
            pieces.append(data[at:end])
        else:
            changed = True
        at = end
    return pieces if changed else None


def _is_needed(marker: int, beginning: bytes) -> bool:
    if marker in _APPLICATION:
        return marker in _KEPT and beginning.startswith(_KEPT[marker])
    return marker != _COMMENT
