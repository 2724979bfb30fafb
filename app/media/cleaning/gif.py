"""GIF: keeps the frames, and of the extensions those that show them."""

from __future__ import annotations

from collections.abc import Sequence
from mmap import mmap

from app.media.outcome import Refusal, Refused

_EXTENSION, _IMAGE, _TRAILER = 0x21, 0x2C, 0x3B
_CONTROL, _APPLICATION = 0xF9, 0xFF
_LOOPS = (b"NETSCAPE2.0", b"ANIMEXTS1.0", b"ICCRGBG1012")


def cleaned(data: bytes | mmap) -> Sequence[bytes] | None:
    """The picture without comments, XMP and what follows its end; None where there is none of it."""
    at = 13 + _palette(data, 10)
    pieces = [data[:at]]
    changed = False
    while at < len(data) and data[at] != _TRAILER:
        if data[at] == _EXTENSION:
            end = _blocks_end(data, at + 2)
            is_needed = data[at + 1] == _CONTROL or (data[at + 1] == _APPLICATION and data[at + 3 : at + 14] in _LOOPS)
        elif data[at] == _IMAGE and at + 10 < len(data):
            end = _blocks_end(data, at + 11 + _palette(data, at + 9))
            is_needed = True
        else:
            break  # What browsers show ends here too.
        if is_needed:
            pieces.append(data[at:end])
        changed |= not is_needed
        at = end
    if not changed and at == len(data) - 1 and data[at] == _TRAILER:
        return None
    return [*pieces, bytes([_TRAILER])]


def _palette(data: bytes | mmap, flags_at: int) -> int:
    """The bytes of the palette that the flags announce."""
    if flags_at >= len(data):
        raise Refused(Refusal.DAMAGED)
    flags = data[flags_at]
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def _blocks_end(data: bytes | mmap, at: int) -> int:
    """Where a chain of blocks, each with its length, is over."""
    while at < len(data) and data[at]:
        at += 1 + data[at]
    if at >= len(data):
        raise Refused(Refusal.DAMAGED)
    return at + 1
