"""Reads the boxes of ISO media files: MP4, MOV, AVIF."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from mmap import mmap

from app.media.outcome import Refusal, Refused

_MOST_BOXES = 100_000


@dataclass(frozen=True, slots=True)
class Box:
    """Where a box lies in the file: from `start`, its content from `content` to `end`."""

    kind: bytes
    start: int
    content: int
    end: int


def boxes(data: bytes | mmap, start: int, end: int) -> Iterator[Box]:
    """The boxes from start to end. Raises Refused where one reaches beyond, as in a truncated file."""
    for _ in range(_MOST_BOXES):
        if end - start < 8:
            return
        size, content = int.from_bytes(data[start : start + 4], "big"), start + 8
        if size == 1:
            size, content = int.from_bytes(data[start + 8 : start + 16], "big"), start + 16
        elif size == 0:
            size = end - start
        if size < content - start or start + size > end:
            raise Refused(Refusal.DAMAGED)
        yield Box(data[start + 4 : start + 8], start, content, start + size)
        start += size
    raise Refused(Refusal.TOO_COSTLY)
