"""Looks at video and audio through FFmpeg, which may open this one file in this one format. Runs in the child."""

from __future__ import annotations

import math
import mmap
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.media import privacy
from app.media.elements import has_hidden_parts
from app.media.outcome import Refusal, Refused
from app.media.pictures import SIZES, check_pixels, decoding, within, write_thumbnails
from app.media.sniffing import UNKNOWN, Format
from app.media.waveform import waveform

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import InputContainer
    from av.stream import Stream
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream
    from PIL import Image

_VIDEO_CODECS = frozenset({"h264", "hevc", "vp8", "vp9", "av1", "libdav1d", "libvpx", "libvpx-vp9", "mpeg4"})
_AUDIO_CODECS = frozenset(
    {"aac", "mp3", "mp3float", "opus", "libopus", "vorbis", "libvorbis", "flac", "alac"}
    | {"pcm_u8", "pcm_s16le", "pcm_s16be", "pcm_s24le", "pcm_s24be", "pcm_s32le", "pcm_s32be", "pcm_f32le", "pcm_f64le"}
)
_MOST_STREAMS = 32
_MOST_PACKETS = 5_000_000
_LONGEST_WAVEFORM = 15 * 60  # Seconds; beyond, decoding all of it would cost more than a waveform is worth.
# A pixel may be so much wider than high, or the other way; what claims more is not believed.
_ODDEST_PIXEL = 4.0


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a recording may have at most: pixels of a frame, and seconds."""

    pixels: int
    seconds: int


def look_at_recording(form: Format, path: Path, folder: Path, bounds: Bounds) -> dict[str, Any]:
    """The findings about a recording; writes thumbnails and the shared copy into the folder. Raises Refused."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        hides, names_a_place = _hidden(form, data)
    with decoding(), opened(form, path) as container:
        if not 0 < len(container.streams) <= _MOST_STREAMS:
            raise Refused(Refusal.DAMAGED)
        video, audio = _moving(container), _sound(container)
        if video is not None and form.mime_type.startswith("video/"):
            findings = _look_at_video(container, video, folder, bounds)
            is_private = hides or privacy.has_private_tags(container)
        elif video is None and audio is not None:
            findings = _look_at_audio(container, audio, bounds)
            is_private = names_a_place or privacy.has_private_tags(container, is_music=True)
        else:
            findings = {"kind": "file", "mime_type": UNKNOWN}
            is_private = False
    findings.setdefault("mime_type", _mime_type(form, findings["kind"]))
    if is_private and findings["kind"] != "file":
        with decoding(), opened(form, path) as container:
            if not privacy.write_without_metadata(container, findings["mime_type"], folder / "shared"):
                return {"kind": "file", "mime_type": UNKNOWN}
        findings["shared"] = findings["mime_type"]
    return findings


def _hidden(form: Format, data: mmap.mmap) -> tuple[bool, bool]:
    """Whether a recording holds more than streams and tags, and whether it does so if it is sound alone.

    Of an MP4 the latter is said only where it names a place: the titles and covers of music lie in such boxes.
    """
    if form.decoder != "mov":
        hides = has_hidden_parts(form.decoder, data)
        return hides, hides
    hides = privacy.has_private_boxes(data)
    return hides, hides and privacy.names_a_place(data)


def opened(form: Format, path: Path) -> InputContainer:
    """The file in FFmpeg: in the sniffed format only, with no way to anything but this file."""
    import av

    options = {
        "protocol_whitelist": "file",
        "codec_whitelist": ",".join(sorted(_VIDEO_CODECS | _AUDIO_CODECS)),
    }
    if form.decoder == "mov":
        options |= {"enable_drefs": "0", "use_absolute_path": "0"}
    return av.open(f"file:{path}", format=form.decoder, options=options, metadata_errors="replace")


def _moving(container: InputContainer) -> VideoStream | None:
    """The first stream of pictures that is no cover of an album."""
    from av.stream import Disposition

    covers = Disposition.attached_pic | Disposition.timed_thumbnails
    return next((stream for stream in container.streams.video if not stream.disposition & covers), None)


def _sound(container: InputContainer) -> AudioStream | None:
    return next(iter(container.streams.audio), None)


def _mime_type(form: Format, kind: str) -> str:
    if kind == "audio" and form.mime_type.startswith("video/"):
        return "audio/webm" if form.decoder == "matroska" else "audio/mp4"
    return form.mime_type


def _look_at_video(container: InputContainer, stream: VideoStream, folder: Path, bounds: Bounds) -> dict[str, Any]:
    context = stream.codec_context
    if context is None or context.name not in _VIDEO_CODECS:
        return {"kind": "file", "mime_type": UNKNOWN}
    check_pixels(context.width, context.height, bounds.pixels)
    context.thread_count = 1
    frame = next(container.decode(stream), None)
    if frame is None:
        raise Refused(Refusal.DAMAGED)
    check_pixels(frame.width, frame.height, bounds.pixels)
    ratio = stream.sample_aspect_ratio
    stretch = float(ratio) if ratio and 1 / _ODDEST_PIXEL <= ratio <= _ODDEST_PIXEL else 1.0
    shown = (max(1, round(frame.width * stretch)), frame.height)
    width, height = within(shown, SIZES[0][1])
    picture = _image(frame.reformat(width, height, "rgb24"))
    quarter = round(frame.rotation / 90) % 4
    if quarter:
        picture = picture.rotate(90 * quarter, expand=True)
    findings = write_thumbnails(picture, max(shown), folder)
    findings |= dict(zip(("width", "height"), shown[::-1] if quarter % 2 else shown, strict=True))
    return findings | {"kind": "video", "duration_seconds": _duration(container, stream, bounds)}


def _image(frame: VideoFrame) -> Image.Image:
    """The frame, in rgb24, as Pillow's image; rows of a frame may be padded."""
    from PIL import Image

    plane = frame.planes[0]
    return Image.frombytes("RGB", (frame.width, frame.height), bytes(plane), "raw", "RGB", plane.line_size, 1)


def _look_at_audio(container: InputContainer, stream: AudioStream, bounds: Bounds) -> dict[str, Any]:
    context = stream.codec_context
    if context is None or context.name not in _AUDIO_CODECS:
        return {"kind": "file", "mime_type": UNKNOWN}
    stated = _stated(container, stream)
    if stated is not None:
        _check_seconds(stated, bounds)
    if stated is None or stated <= _LONGEST_WAVEFORM:
        peaks, heard, is_whole = waveform(container, stream, min(_LONGEST_WAVEFORM, bounds.seconds))
        if is_whole:
            return {"kind": "audio", "duration_seconds": heard, "waveform": peaks}
        stated = None if stated is None else max(stated, heard)
        container.seek(0)
    elif next(container.decode(stream), None) is None:
        raise Refused(Refusal.DAMAGED)
    return {"kind": "audio", "duration_seconds": stated or _duration(container, stream, bounds)}


def _stated(container: InputContainer, stream: Stream) -> float | None:
    """The seconds that the file says it plays, if it does."""
    if container.duration is not None:
        return container.duration / 1_000_000
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    return None


def _duration(container: InputContainer, stream: Stream, bounds: Bounds) -> float:
    """The seconds it plays: as stated, or to the end of the last packet, as browsers' own recordings state nothing."""
    seconds = _stated(container, stream)
    if seconds is None:
        last = 0
        for count, packet in enumerate(container.demux(stream)):
            if count > _MOST_PACKETS:
                raise Refused(Refusal.TOO_LONG)
            if packet.pts is not None:
                last = max(last, packet.pts + (packet.duration or 0))
        seconds = float(last * stream.time_base) if stream.time_base is not None else math.nan
    _check_seconds(seconds, bounds)
    return seconds


def _check_seconds(seconds: float, bounds: Bounds) -> None:
    if not seconds >= 0:
        raise Refused(Refusal.DAMAGED)
    if seconds > bounds.seconds:
        raise Refused(Refusal.TOO_LONG)
