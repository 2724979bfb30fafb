"""AVIF: overwrites metadata with zeros in place, since positions in the file are written down in it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from mmap import mmap

from app.media.boxes import Box, boxes
from app.media.outcome import Refusal, Refused

_TOP = frozenset({b"ftyp", b"meta", b"mdat", b"moov", b"free", b"skip"})
_METADATA = frozenset({b"Exif", b"mime", b"uri "})
_NO_TYPE = b"gone"
_MOST_EXTENTS = 10_000


def cleaned(data: bytes | mmap) -> Sequence[bytes] | None:
    """The picture with zeros for EXIF, XMP and unknown boxes; None where there are none."""
    changed = bytearray(data)
    for box in boxes(data, 0, len(data)):
        if box.kind == b"meta":
            for start, end, replaced in _metadata(data, box):
                _clear(changed, start, end)
                changed[start : start + len(replaced)] = replaced
        elif box.kind == b"moov":
            _clear_inside(changed, data, box)
        elif box.kind not in _TOP:
            _clear_box(changed, box)
    return [bytes(changed)] if changed != data[:] else None


def _clear(changed: bytearray, start: int, end: int) -> None:
    if end > len(changed):
        raise Refused(Refusal.DAMAGED)
    changed[start:end] = bytes(end - start)


def _clear_box(changed: bytearray, box: Box) -> None:
    changed[box.start + 4 : box.start + 8] = b"free"
    _clear(changed, box.content, box.end)


def _clear_inside(changed: bytearray, data: bytes | mmap, parent: Box) -> None:
    for box in boxes(data, parent.content, parent.end):
        if box.kind in {b"udta", b"meta", b"uuid"}:
            _clear_box(changed, box)
        elif box.kind == b"trak":
            _clear_inside(changed, data, box)


def _metadata(data: bytes | mmap, meta: Box) -> Iterator[tuple[int, int, bytes]]:
    """From where to where the items of metadata and the names of their types lie, and with what to begin there."""
    parts = {box.kind: box for box in boxes(data, meta.content + 4, meta.end)}
    if b"iinf" not in parts or b"iloc" not in parts:
        return
    wanted = dict(_items(data, parts[b"iinf"]))
    for name in wanted.values():  # Decoders refuse what is called EXIF and is none; what they do not know, they skip.
        yield name, name + 4, _NO_TYPE
    for item, kept_in_meta, start, length in _extents(data, parts[b"iloc"]):
        if item in wanted:
            base = parts[b"idat"].content if kept_in_meta and b"idat" in parts else 0
            yield base + start, base + start + length, b""


def _items(data: bytes | mmap, iinf: Box) -> Iterator[tuple[int, int]]:
    """The numbers of the items that hold metadata, and where the names of their types stand."""
    for box in boxes(data, iinf.content + (6 if data[iinf.content] == 0 else 8), iinf.end):
        version, at = data[box.content], box.content + 4
        width = 4 if version >= 3 else 2
        if box.kind == b"infe" and version >= 2 and data[at + width + 2 : at + width + 6] in _METADATA:
            yield int.from_bytes(data[at : at + width], "big"), at + width + 2


def _extents(data: bytes | mmap, iloc: Box) -> Iterator[tuple[int, bool, int, int]]:
    """Of each item: its number, whether it lies in the box idat, its position and its length."""
    at = iloc.content

    def number(width: int) -> int:
        nonlocal at
        if at + width > iloc.end:
            raise Refused(Refusal.DAMAGED)
        at += width
        return int.from_bytes(data[at - width : at], "big")

    version = number(4) >> 24
    sizes = number(2)
    offset_size, length_size, base_size, index_size = sizes >> 12, sizes >> 8 & 15, sizes >> 4 & 15, sizes & 15
    left = _MOST_EXTENTS
    for _ in range(number(2 if version < 2 else 4)):
        item = number(2 if version < 2 else 4)
        method = number(2) & 15 if version else 0
        number(2)
        base = number(base_size)
        for _ in range(number(2)):
            if version:
                number(index_size)
            left -= 1
            if left < 0:
                raise Refused(Refusal.TOO_COSTLY)
            yield item, method == 1, base + number(offset_size), number(length_size)
