"""Finds what WebM, WAV and FLAC hold besides streams where FFmpeg does not tell of it. Runs in the child.

Whatever is not known here counts as something to leave out: then others get a copy, which harms nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from mmap import mmap

from app.media.boxes import Box

_MOST = 2_000_000
# Elements of Matroska by their ids: those that hold others, those that say how streams are played, and the empty one.
_HOLDERS = frozenset(
    {0x18538067, 0x1F43B675, 0x1549A966, 0x1654AE6B, 0xAE, 0xE0, 0xE1}  # Segment, Cluster, Info, Tracks and inside
    | {0x1254C367, 0x7373, 0x63C0, 0x67C8}  # Tags, whose words FFmpeg tells
)
_NEEDED = frozenset(
    {0x1A45DFA3, 0x114D9B74, 0x1C53BB6B, 0xBF}  # EBML, SeekHead, Cues, CRC-32
    | {0x2AD7B1, 0x4489, 0x4D80, 0x5741, 0x4461, 0x73A4, 0x7BA9}  # Info
    | {0xE7, 0xA7, 0xAB, 0xA3, 0xA0}  # Cluster, with its blocks
    | {0xD7, 0x73C5, 0x83, 0xB9, 0x88, 0x55AA, 0x9C, 0x6DE7, 0x6DF8, 0x23E383, 0x23314F, 0x55EE, 0x536E}  # TrackEntry
    | {0x22B59C, 0x22B59D, 0x86, 0x63A2, 0x258688, 0xAA, 0x56AA, 0x56BB, 0x6D80}
    | {0x9A, 0x9D, 0x53B8, 0x53C0, 0xB0, 0xBA, 0x54AA, 0x54BB, 0x54CC, 0x54DD, 0x54B0, 0x54BA, 0x54B2, 0x55B0}  # Video
    | {0xB5, 0x78B5, 0x9F, 0x6264}  # Audio
    | {0x68CA, 0x63CA, 0x63C5, 0x63C9, 0x63C4, 0x63C6, 0x45A3, 0x447A, 0x447B, 0x4484, 0x4487}  # Tags
)
_VOID = 0xEC
_LARGEST_PADDING = 1 << 20
_WAV_CHUNKS = frozenset({b"fmt ", b"fact", b"data", b"PEAK"})
_FLAC_APPLICATION = 2


def has_hidden_parts(decoder: str, data: mmap) -> bool:
    """Whether a file that FFmpeg opens by this demuxer holds what its tags do not tell; False for other formats."""
    look = _LOOKS.get(decoder)
    return look is not None and look(data)


def _hides_in_matroska(data: mmap) -> bool:
    at, end = 0, len(data)
    for _ in range(_MOST):
        if at >= end:
            return False
        identity, at = _number(data, at, keeps_mark=True)
        size, at = _number(data, at, keeps_mark=False)
        if identity in _HOLDERS:
            continue  # What is inside comes next; so its size, which live recordings do not know, is of no use.
        if size is None:
            return True
        if identity == _VOID:
            if size > _LARGEST_PADDING or any(data[at : at + size]):
                return True
        elif identity not in _NEEDED:
            return True
        at += size
    return True


def _number(data: mmap, at: int, keeps_mark: bool) -> tuple[int | None, int]:
    """A number of EBML and where the next thing begins; None where it says that it is unknown, or is none."""
    first = data[at] if at < len(data) else 0
    length = 9 - first.bit_length()
    if length > 8:
        return None, at + 1
    value = int.from_bytes(data[at : at + length], "big")
    if not keeps_mark:
        value &= (1 << 7 * length) - 1
        if value == (1 << 7 * length) - 1:
            return None, at + length
    return value, at + length


def _hides_in_wav(data: mmap) -> bool:
    return any(chunk.kind not in _WAV_CHUNKS and not _is_told(data, chunk) for chunk in _chunks(data))


def _is_told(data: mmap, chunk: Box) -> bool:
    """Whether it is the list of tags, which FFmpeg tells; others hold notes and whatever else."""
    return chunk.kind == b"LIST" and data[chunk.content : chunk.content + 4] == b"INFO"


def _chunks(data: mmap) -> Iterator[Box]:
    at = 12
    while at + 8 <= len(data):
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        yield Box(data[at : at + 4], at, at + 8, at + 8 + size)
        at += 8 + size + size % 2


def _hides_in_flac(data: mmap) -> bool:
    at, is_last = 4, False
    while not is_last and at + 4 <= len(data):
        is_last, kind = data[at] >= 0x80, data[at] & 0x7F
        if kind == _FLAC_APPLICATION:
            return True
        at += 4 + int.from_bytes(data[at + 1 : at + 4], "big")
    return False


_LOOKS: dict[str, Callable[[mmap], bool]] = {
    "matroska": _hides_in_matroska,
    "wav": _hides_in_wav,
    "flac": _hides_in_flac,
}
