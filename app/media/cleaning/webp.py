"""WebP: keeps pixels, transparency, animation and colour profile."""

from __future__ import annotations

from collections.abc import Sequence
from mmap import mmap

from app.media.outcome import Refusal, Refused

_NEEDED = frozenset({b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ANIM", b"ANMF", b"ICCP"})
_HAS_ANIMATION, _HAS_XMP, _HAS_EXIF = 0x02, 0x04, 0x08


def cleaned(data: bytes | mmap) -> Sequence[bytes] | None:
    """The picture without EXIF, XMP, unknown chunks and what follows its end; None where there is none of it."""
    pieces: list[bytes] = []
    stop = 8 + int.from_bytes(data[4:8], "little")
    if stop > len(data):
        raise Refused(Refusal.DAMAGED)
    changed, at = stop < len(data), 12
    while at + 8 <= stop:
        name = data[at : at + 4]
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        end = at + 8 + size + size % 2
        if end > stop + size % 2:
            raise Refused(Refusal.DAMAGED)
        chunk = data[at:end] if at + 8 + size < len(data) or size % 2 == 0 else data[at:end] + b"\x00"
        if name == b"VP8X" and chunk[8] & (_HAS_EXIF | _HAS_XMP):
            chunk = chunk[:8] + bytes([chunk[8] & ~(_HAS_EXIF | _HAS_XMP)]) + chunk[9:]
            changed = True
        if name in _NEEDED:
            pieces.append(chunk)
        else:
            changed = True
        at = end
    length = 4 + sum(len(piece) for piece in pieces)
    return [b"RIFF" + length.to_bytes(4, "little") + b"WEBP", *pieces] if changed else None


def is_animated(data: bytes | mmap) -> bool:
    """Whether there are further frames, which decoding and encoding anew would lose."""
    return data[12:16] == b"VP8X" and bool(data[20] & _HAS_ANIMATION)


def is_lossless(data: bytes | mmap) -> bool:
    """Whether the pixels are coded without loss."""
    return data.find(b"VP8L", 12) >= 0 and data.find(b"VP8 ", 12) < 0
