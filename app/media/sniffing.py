"""What a file is, by its first bytes; its name and what its sender says of it do not count."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from app.media.outcome import Refusal, Refused

HEAD = 8192  # Bytes that are looked at.
UNKNOWN = "application/octet-stream"
# Files that are only handed on, whose type may be told: nothing that a browser would run.
_DOCUMENTS = frozenset(
    {
        "application/pdf",
        "application/zip",
        "application/gzip",
        "application/x-bzip2",
        "application/x-xz",
        "application/zstd",
        "application/x-tar",
        "application/x-7z-compressed",
        "application/x-rar-compressed",
        "application/vnd.rar",
        "application/rtf",
        "application/msword",
        "application/vnd.ms-excel",
        "application/vnd.ms-powerpoint",
        "application/epub+zip",
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        "application/vnd.openxmlformats-officedocument.presentationml.presentation",
        "application/vnd.oasis.opendocument.text",
        "application/vnd.oasis.opendocument.spreadsheet",
        "application/vnd.oasis.opendocument.presentation",
    }
)
_HEIC_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"})
_MOV_BOXES = frozenset({b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"})
_MARKUP = re.compile(rb"<(?:[!?]|/?[a-z])", re.IGNORECASE)
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Format:
    """`decoder` is the one format that Pillow or FFmpeg may try; empty for files that are only handed on."""

    family: Literal["image", "recording", "file"]
    mime_type: str
    decoder: str = ""


def sniffed(head: bytes) -> Format:
    """The format of a file that begins so. Raises Refused for nothing at all and for playlists."""
    if not head:
        raise Refused(Refusal.EMPTY)
    # Words are no picture, whatever they begin with; and no type of words is shown in place.
    media = None if _is_text(head) else _image(head) or _recording(head)
    return media or _document(head)


def _image(head: bytes) -> Format | None:
    if head.startswith(b"\xff\xd8\xff"):
        return Format("image", "image/jpeg", "JPEG")
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return Format("image", "image/png", "PNG")
    if head.startswith((b"GIF87a", b"GIF89a")):
        return Format("image", "image/gif", "GIF")
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return Format("image", "image/webp", "WEBP")
    brands = _brands(head)
    if brands & {b"avif", b"avis"}:
        return Format("image", "image/avif", "AVIF")
    if _first_box(head) == b"ftyp" and head[8:12] in _HEIC_BRANDS:
        return Format("image", "image/heic", "HEIF")
    return None


def _recording(head: bytes) -> Format | None:
    box = _first_box(head)
    if box in _MOV_BOXES:
        if head[8:12] == b"qt  " or box != b"ftyp":
            return Format("recording", "video/quicktime", "mov")
        return Format("recording", "video/mp4", "mov")
    if head.startswith(b"\x1a\x45\xdf\xa3"):
        return Format("recording", "video/webm", "matroska") if b"webm" in head[:64] else None
    if head.startswith(b"OggS"):
        return Format("recording", "audio/ogg", "ogg")
    if head.startswith(b"fLaC"):
        return Format("recording", "audio/flac", "flac")
    if head.startswith(b"RIFF") and head[8:12] == b"WAVE":
        return Format("recording", "audio/wav", "wav")
    if (head.startswith(b"ID3") and head[3:4] < b" ") or _is_mp3_frame(head):
        return Format("recording", "audio/mpeg", "mp3")
    return None


def _first_box(head: bytes) -> bytes:
    """The type of the first box of an ISO file; nothing where its size would be that of half a gigabyte, or words."""
    return head[4:8] if head[0] < 0x20 else b""


def _brands(head: bytes) -> set[bytes]:
    """The major and the compatible brands of an ISO file."""
    if _first_box(head) != b"ftyp":
        return set()
    box = head[8 : min(int.from_bytes(head[:4], "big"), 512)]
    return {box[start : start + 4] for start in range(0, len(box), 4) if start != 4}


def _is_mp3_frame(head: bytes) -> bool:
    """Whether it begins with the header of a frame of layer III, with a rate and a frequency that exist."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE6 != 0xE2:
        return False
    return head[1] & 0x18 != 0x08 and head[2] >> 4 not in (0, 15) and head[2] & 0x0C != 0x0C


def _document(head: bytes) -> Format:
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if _is_playlist(text):
        raise Refused(Refusal.PLAYLIST)
    if _MARKUP.match(text):
        return Format("file", UNKNOWN)
    import filetype  # Loads a hundred matchers, which pictures and recordings do not need.

    guess = filetype.guess_mime(head)
    if guess in _DOCUMENTS:
        return Format("file", guess)
    return Format("file", "text/plain" if _is_text(head) else UNKNOWN)


def _is_playlist(text: bytes) -> bool:
    return (
        (text.startswith(b"#EXTM3U") and b"#EXT-X-" in text)
        or text.startswith(b"ffconcat version")
        or (text.startswith(b"<") and re.search(rb"<(?:\w+:)?MPD[\s>]", text) is not None)
    )


def _is_text(head: bytes) -> bool:
    """Whether it is UTF-8; the last character may be cut where only the beginning was read."""
    if _CONTROL.search(head):
        return False
    try:
        head.decode()
    except UnicodeDecodeError as error:
        return len(head) == HEAD and error.reason == "unexpected end of data" and error.start > HEAD - 4
    return True
