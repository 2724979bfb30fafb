"""Real media, made on the spot: pictures with places in them, videos, sound."""

from __future__ import annotations

import io
import math
import struct
from array import array
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pillow_heif
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from PIL import Image

pillow_heif.register_heif_opener()

# Words that no copy for others may hold.
PLACE = b"the place nobody may know"
RED, GREEN, BLUE, WHITE = (220, 30, 30), (30, 200, 40), (40, 60, 220), (240, 240, 240)
RATE = 24_000


def quarters(width: int, height: int) -> Image.Image:
    """Four colours: red and green above, blue and white below; so that any turn shows."""
    image = Image.new("RGB", (width, height), WHITE)
    image.paste(RED, (0, 0, width // 2, height // 2))
    image.paste(GREEN, (width // 2, 0, width, height // 2))
    image.paste(BLUE, (0, height // 2, width // 2, height))
    return image


def corners(image: Image.Image) -> list[str]:
    """The names of the colours above left, above right, below left, below right."""
    names = {RED: "red", GREEN: "green", BLUE: "blue", WHITE: "white"}
    width, height = image.size
    plain = image.convert("RGB")

    def name(x: int, y: int) -> str:
        pixel = plain.getpixel((x, y))
        assert isinstance(pixel, tuple)
        return names[min(names, key=lambda colour: math.dist(colour, pixel))]

    return [name(x, y) for y in (height // 4, height * 3 // 4) for x in (width // 4, width * 3 // 4)]


def exif(orientation: int = 1) -> Image.Exif:
    """Metadata with a place (Greenwich), a camera and an orientation."""
    made = Image.Exif()
    made[0x0112] = orientation
    made[0x010F] = PLACE.decode()
    made.get_ifd(0x8825).update({1: "N", 2: (51.0, 28.0, 40.0), 3: "E", 4: (0.0, 0.0, 5.0)})
    return made


def picture(path: Path, kind: str, size: tuple[int, int] = (640, 480), orientation: int | None = None) -> Path:
    """A picture of four colours; with metadata where an orientation is given."""
    options: dict[str, Any] = {"exif": exif(orientation).tobytes()} if orientation else {}
    if kind == "WEBP":
        options["quality"] = 90
    quarters(*size).save(path, kind, **options)
    return path


def upright(image: Image.Image, orientation: int) -> Image.Image:
    """The stored image as a viewer that knows the orientation shows it."""
    turns = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_270,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_90,
    }
    return image.transpose(turns[orientation]) if orientation in turns else image


def animation(path: Path, kind: str, **options: Any) -> Path:
    """Three frames: red, green, blue."""
    first, *others = (Image.new("RGB", (320, 200), colour) for colour in (RED, GREEN, BLUE))
    first.save(path, kind, save_all=True, append_images=others, duration=100, loop=0, **options)
    return path


def video(
    path: Path,
    kind: str = "mp4",
    codec: str = "libx264",
    size: tuple[int, int] = (320, 240),
    seconds: int = 2,
    sound: str | None = None,
    metadata: Mapping[str, str] | None = None,
    options: Mapping[str, str] | None = None,
) -> Path:
    """A video of four colours, ten frames a second, with or without sound."""
    with av.open(str(path), "w", format=kind, container_options=dict(options or {})) as container:
        container.metadata.update(metadata or {})
        stream = container.add_stream(codec, rate=10)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        rate = 8_000 if sound == "libopencore_amrnb" else 48_000
        track = container.add_stream(sound, rate=rate, layout="mono") if sound else None
        for index in range(seconds * 10):
            frame = _frame(quarters(*size))
            frame.pts, frame.time_base = index, Fraction(1, 10)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if track is not None:
            assert isinstance(track, AudioStream)
            _encode(container, track, tone(seconds, rate), rate)
    return path


def _frame(image: Image.Image) -> VideoFrame:
    frame = VideoFrame(image.width, image.height, "rgb24")
    plane, row = frame.planes[0], 3 * image.width
    pixels = image.tobytes()
    rows = (pixels[start : start + row].ljust(plane.line_size, b"\x00") for start in range(0, len(pixels), row))
    plane.update(b"".join(rows))
    return frame


def tone(seconds: float, rate: int = RATE) -> array[int]:
    """A tone that grows from silence to loud."""
    count = int(seconds * rate)
    return array("h", (int(30_000 * i / count * math.sin(i * 2 * math.pi * 440 / rate)) for i in range(count)))


def sound(path: Path, kind: str, codec: str, seconds: float = 2.0, samples: array[int] | None = None) -> Path:
    """A recording of a tone that grows louder, or of the samples."""
    rate = 48_000 if codec == "libopus" else RATE
    with av.open(str(path), "w", format=kind) as container:
        container.metadata["title"] = "A tone"
        stream = container.add_stream(codec, rate=rate, layout="mono")
        assert isinstance(stream, AudioStream)
        _encode(container, stream, samples if samples is not None else tone(seconds, rate), rate)
    return path


def _encode(container: Any, stream: AudioStream, samples: array[int], rate: int) -> None:
    resampler = av.AudioResampler(format=stream.format, layout="mono", rate=stream.rate)
    fifo = av.AudioFifo()
    for start in range(0, len(samples), 4096):
        piece = samples[start : start + 4096]
        frame = AudioFrame(format="s16", layout="mono", samples=len(piece))
        frame.planes[0].update(piece.tobytes().ljust(frame.planes[0].buffer_size, b"\x00"))
        frame.sample_rate, frame.pts, frame.time_base = rate, start, Fraction(1, rate)
        for resampled in resampler.resample(frame):
            fifo.write(resampled)
    size = stream.codec_context.frame_size or 1024
    while (ready := fifo.read(size)) or (ready := fifo.read(size, partial=True)):
        container.mux(stream.encode(ready))
    container.mux(stream.encode(None))


def box(kind: bytes, *content: bytes) -> bytes:
    """A box of an ISO file."""
    body = b"".join(content)
    return struct.pack(">I4s", 8 + len(body), kind) + body


def turned(path: Path) -> Path:
    """The MP4 with a note in its header that players are to turn it by a quarter, clockwise, as phones write it."""
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 4 + 40
    data[at : at + 36] = struct.pack(">9i", 0, 0x10000, 0, -0x10000, 0, 0, 0, 0, 0x40000000)
    path.write_bytes(data)
    return path


def bomb(path: Path, width: int = 50_000, height: int = 50_000) -> Path:
    """A small PNG that would be 7.5 GB of pixels."""
    import zlib

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    packer = zlib.compressobj(9)
    rows = io.BytesIO()
    for _ in range(100):
        rows.write(packer.compress(bytes(1 + 3 * width)))
    rows.write(packer.flush())
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows.getvalue()) + chunk(b"IEND", b"")
    )
    return path
