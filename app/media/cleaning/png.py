"""PNG: keeps the chunks that make the picture, its colours and its animation."""

from __future__ import annotations

from collections.abc import Sequence
from mmap import mmap

from app.media.outcome import Refusal, Refused

_NEEDED = frozenset(
    b"IHDR PLTE IDAT IEND tRNS cHRM gAMA iCCP sBIT sRGB cICP mDCV cLLI bKGD hIST pHYs sPLT acTL fcTL fdAT".split()
)


def cleaned(data: bytes | mmap) -> Sequence[bytes] | None:
    """The picture without texts, EXIF, times and what follows its end; None where there is none of it."""
    pieces = [data[:8]]
    changed, at = False, 8
    while at < len(data):
        name = data[at + 4 : at + 8]
        end = at + 12 + int.from_bytes(data[at : at + 4], "big")
        if end > len(data):
            raise Refused(Refusal.DAMAGED)
        if name in _NEEDED:
            pieces.append(data[at:end])
        else:
            changed = True
        at = end
        if name == b"IEND":
            break
    return pieces if changed or at < len(data) else None


def is_animated(data: bytes | mmap) -> bool:
    """Whether there are further frames, which decoding and encoding anew would lose."""
    first_pixels = data.find(b"IDAT")
    return data.find(b"acTL", 0, max(first_pixels, 0)) >= 0
