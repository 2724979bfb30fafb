"""Finds what a recording tells of place and device, and copies it without, its streams untouched. Runs in the child."""

from __future__ import annotations

from mmap import mmap
from pathlib import Path
from typing import TYPE_CHECKING

from app.media.boxes import Box, boxes
from app.media.sniffing import Format

if TYPE_CHECKING:
    from av.container import InputContainer

# Boxes that hold other boxes, by what they hold: only what describes how streams are played.
_CONTAINERS = frozenset({b"moov", b"trak", b"mdia", b"edts", b"mvex", b"minf", b"dinf"})
_NEEDED = frozenset(
    b"ftyp mdat wide moof mfra sidx styp pnot mvhd tkhd elst mdhd hdlr elng stbl vmhd smhd nmhd gmhd sthd dref mehd "
    b"trex iods tref load tapt prft emsg ssix".split()
)
_EMPTY = frozenset({b"free", b"skip"})
_HARMLESS_ITEMS = frozenset({b"\xa9too", b"\xa9enc"})
_HARMLESS_TAGS = frozenset(
    {"major_brand", "minor_version", "compatible_brands", "encoder", "creation_time", "duration", "language"}
    | {"handler_name", "vendor_id", "number_of_bytes", "number_of_frames", "bps", "alpha_mode", "_statistics_tags"}
    | {"_statistics_writing_app", "_statistics_writing_date_utc"}
)
_PLACES = (b"\xa9xyz", b"loci", b"location", b"exif:GPS")
_LARGEST_PADDING = 1 << 20


def has_private_boxes(data: mmap) -> bool:
    """Whether an MP4 or MOV holds anything but streams. Raises Refused for a truncated one."""
    return any([_is_private(data, box) for box in boxes(data, 0, len(data))])  # noqa: C419 - all are to be checked.


def _is_private(data: mmap, box: Box) -> bool:
    if box.kind in _NEEDED:
        return False
    if box.kind in _CONTAINERS:
        return any(_is_private(data, inner) for inner in boxes(data, box.content, box.end))
    if box.kind in _EMPTY:
        return box.end - box.content > _LARGEST_PADDING or any(data[box.content : box.end])
    if box.kind == b"udta":
        return any(_is_private_note(data, inner) for inner in boxes(data, box.content, box.end))
    return True


def _is_private_note(data: mmap, box: Box) -> bool:
    """Whether user data is more than the name of the program that wrote the file."""
    if box.kind == b"\xa9swr" or (box.kind == b"name" and box.end - box.content <= 32):
        return False
    if box.kind != b"meta":
        return any(data[box.start : box.end])  # QuickTime ends its list with zeros.
    for part in boxes(data, box.content + 4, box.end):
        if part.kind == b"ilst":
            if any(item.kind not in _HARMLESS_ITEMS for item in boxes(data, part.content, part.end)):
                return True
        elif part.kind not in {b"hdlr", b"free"}:
            return True
    return False


def names_a_place(data: mmap) -> bool:
    """Whether an MP4 or MOV that is sound alone says where it was recorded; its titles and covers may stay."""
    described = [data[box.content : box.end] for box in boxes(data, 0, len(data)) if box.kind not in {b"mdat", b"moof"}]
    return any(word in part for word in _PLACES for part in described)


def has_private_tags(container: InputContainer) -> bool:
    """Whether a video that FFmpeg has opened has tags or streams that viewers need not see."""
    tags = dict(container.metadata)
    for stream in container.streams:
        tags |= stream.metadata
    names = {name.lower() for name in tags}
    return bool(names - _HARMLESS_TAGS) or any(stream.type not in {"video", "audio"} for stream in container.streams)


def write_without_metadata(source: InputContainer, form: Format, target: Path) -> None:
    """Copies pictures and sound as they are coded, and nothing else."""
    import av

    muxer = {"video/quicktime": "mov", "video/webm": "webm"}.get(form.mime_type, "mp4")
    options = {"fflags": "+bitexact"} | ({} if muxer == "webm" else {"movflags": "+faststart"})
    with av.open(f"file:{target}", "w", format=muxer, container_options=options) as copy:
        copies = {
            stream.index: copy.add_stream_from_template(stream)
            for stream in source.streams
            if stream.type in {"video", "audio"} and stream.codec_context is not None
        }
        for written in copies.values():
            written.metadata.clear()
        copy.metadata.clear()
        for packet in source.demux([source.streams[index] for index in copies]):
            if packet.dts is not None:
                packet.stream = copies[packet.stream.index]
                copy.mux(packet)
