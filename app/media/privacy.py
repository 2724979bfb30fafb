"""Finds what a recording tells of place and device, and copies it without, its streams untouched. Runs in the child."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from mmap import mmap
from pathlib import Path
from typing import TYPE_CHECKING

from app.media.boxes import Box, boxes

if TYPE_CHECKING:
    from av.container import InputContainer, OutputContainer
    from av.stream import Stream

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
# What is said of music may stay.
_OF_MUSIC = frozenset(
    {"title", "artist", "album", "album_artist", "track", "tracktotal", "disc", "disctotal", "date", "year", "genre"}
    | {"composer", "performer", "publisher", "compilation", "isrc", "bpm", "tbpm", "grouping"}
    | {"replaygain_track_gain", "replaygain_track_peak", "replaygain_album_gain", "replaygain_album_peak"}
)
_MUXERS = {
    "video/quicktime": "mov",
    "video/webm": "webm",
    "audio/webm": "webm",
    "audio/ogg": "ogg",
    "audio/flac": "flac",
    "audio/wav": "wav",
    "audio/mpeg": "mp3",
}
# What MP4 does not know, and its older form for telephones does.
_OF_3GP = frozenset({"amr_nb", "amr_wb"})
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


def has_private_tags(container: InputContainer, is_music: bool = False) -> bool:
    """Whether a recording that FFmpeg has opened has tags, or a video other streams, that others need not see."""
    tags = dict(container.metadata)
    for stream in container.streams:
        tags |= stream.metadata
    names = {name.lower() for name in tags} - _HARMLESS_TAGS
    if is_music:
        return bool(names - _OF_MUSIC)
    return bool(names) or any(stream.type not in {"video", "audio"} for stream in container.streams)


def write_without_metadata(source: InputContainer, mime_type: str, target: Path) -> bool:
    """Copies pictures and sound as they are coded; of tags only those of music, where it is sound alone.

    False where the writer of this format does not take them.
    """
    import av

    is_sound = mime_type.startswith("audio/")
    copied = [
        stream
        for stream in source.streams
        if stream.type in ({"audio"} if is_sound else {"video", "audio"}) and stream.codec_context is not None
    ]
    muxer = _muxer(mime_type, copied)
    options = {"fflags": "+bitexact"} | ({"movflags": "+faststart"} if muxer in ("mp4", "mov", "3gp") else {})
    with av.open(f"file:{target}", "w", format=muxer, container_options=options) as copy:
        try:
            copies = _begin(copy, source, copied, is_sound)
        except (ValueError, NotImplementedError):
            return False
        for packet in source.demux(copied):
            if packet.dts is not None:
                packet.stream = copies[packet.stream.index]
                copy.mux(packet)
    return True


def _muxer(mime_type: str, copied: Sequence[Stream]) -> str:
    muxer = _MUXERS.get(mime_type, "mp4")
    names = {stream.codec_context.codec.canonical_name for stream in copied}
    return "3gp" if muxer == "mp4" and names & _OF_3GP else muxer


def _begin(
    copy: OutputContainer, source: InputContainer, copied: Sequence[Stream], is_sound: bool
) -> dict[int, Stream]:
    """Writes what comes before the packets; the streams of the copy by their index in the source."""
    copies = {stream.index: copy.add_stream_from_template(stream) for stream in copied}
    for stream in copied:
        kept = _tags_of_music(stream.metadata) if is_sound else {}
        copies[stream.index].metadata.clear()
        copies[stream.index].metadata.update(kept)
    copy.metadata.clear()
    copy.metadata.update(_tags_of_music(source.metadata) if is_sound else {})
    copy.start_encoding()
    return copies


def _tags_of_music(tags: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in tags.items() if name.lower() in _OF_MUSIC}
