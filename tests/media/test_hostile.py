"""Files that lie, are cut off, or would cost too much."""

from __future__ import annotations

import dataclasses
import random
import socket
import struct
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
import pytest

from app.media import sandbox
from app.media.limits import configured
from app.media.outcome import Examined, Refusal, RefusedFile
from app.media.recordings import opened
from app.media.sniffing import UNKNOWN, Format
from tests.media.conftest import Examine, Look
from tests.media.makers import RATE, bomb, box, picture, sound, tone, video

_SCRIPT = b"<script>fetch('/api/auth/me')</script>"


@contextmanager
def listener() -> Iterator[tuple[str, list[bytes]]]:
    """A server on this machine: its address, and what was sent to it."""
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def listen() -> None:
            while True:
                try:
                    visitor, _ = server.accept()
                except OSError:
                    return
                with visitor:
                    heard.append(visitor.recv(1000) or b"nothing")

        thread = threading.Thread(target=listen, daemon=True)
        thread.start()
        yield f"127.0.0.1:{server.getsockname()[1]}", heard
        server.shutdown(socket.SHUT_RDWR)
    thread.join(10)


def playlist(address: str) -> bytes:
    """A playlist of one piece on a server."""
    return f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nhttp://{address}/piece.ts\n#EXT-X-ENDLIST\n".encode()


def test_an_empty_file_is_refused(tmp_path: Path, outcome: Examine) -> None:
    (tmp_path / "it").touch()
    assert outcome(tmp_path / "it") == RefusedFile(Refusal.EMPTY)


@pytest.mark.parametrize(
    "content",
    [
        b'<svg xmlns="http://www.w3.org/2000/svg">' + _SCRIPT + b"</svg>",
        b'<?xml version="1.0"?>\n<svg>' + _SCRIPT + b"</svg>",
        b"<!-- a picture --><svg onload='alert(1)'/>",
        b"\xef\xbb\xbf  \n<!DOCTYPE html>" + _SCRIPT,
        b"<HTML>" + _SCRIPT,
        b"<script>alert(1)</script>",
        b"<a href='javascript:alert(1)'>",
    ],
)
def test_pages_and_drawings_are_files_of_no_known_type(content: bytes, tmp_path: Path, look: Look) -> None:
    path = tmp_path / "photo.png"
    path.write_bytes(content)
    assert look(path) == Examined(kind="file", mime_type=UNKNOWN)


def test_documents_are_only_handed_on(tmp_path: Path, look: Look) -> None:
    (tmp_path / "pdf").write_bytes(b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n<<>>\nendobj\n")
    with zipfile.ZipFile(tmp_path / "zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros", bytes(50_000_000))
    (tmp_path / "text").write_text("Grüße aus Kyōto\n" * 1000)
    (tmp_path / "program").write_bytes(b"\x7fELF\x02\x01\x01" + bytes(100))
    types = {name: look(tmp_path / name).mime_type for name in ("pdf", "zip", "text", "program")}
    assert types == {"pdf": "application/pdf", "zip": "application/zip", "text": "text/plain", "program": UNKNOWN}


def test_a_gif_that_is_a_script_as_well_is_refused_or_loses_the_script(tmp_path: Path, outcome: Examine) -> None:
    path = tmp_path / "it"
    path.write_bytes(b"GIF89a/*" + bytes(20) + b"*/=1;alert(1)//")
    assert isinstance(outcome(path), RefusedFile)
    path.write_bytes(picture(path, "GIF", (20, 20)).read_bytes() + b"*/=1;alert(1)//")
    found = outcome(path)
    assert isinstance(found, Examined)
    assert found.shared is not None
    assert b"alert" not in found.shared.path.read_bytes()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "AVIF", "HEIF"])
def test_a_picture_that_is_cut_off_is_refused(kind: str, tmp_path: Path, outcome: Examine) -> None:
    path = picture(tmp_path / "it", kind, (900, 700))
    data = path.read_bytes()
    for part in (0.1, 0.5, 0.9):
        path.write_bytes(data[: int(len(data) * part)])
        result = outcome(path)
        assert isinstance(result, RefusedFile), part
        assert result.reason == Refusal.DAMAGED


@pytest.mark.parametrize("options", [{}, {"movflags": "faststart"}])
def test_a_video_that_is_cut_off_is_refused(options: dict[str, str], tmp_path: Path, outcome: Examine) -> None:
    path = video(tmp_path / "it", options=options)
    data = path.read_bytes()
    for part in (0.01, 0.5, 0.95):
        path.write_bytes(data[: int(len(data) * part)])
        result = outcome(path)
        assert isinstance(result, RefusedFile), part
        assert result.reason == Refusal.DAMAGED


@pytest.mark.parametrize(
    "head",
    [
        b"\xff\xd8\xff\xe0",
        b"\x89PNG\r\n\x1a\n",
        b"GIF89a",
        b"RIFF\x00\x10\x00\x00WEBP",
        b"\x00\x00\x00\x18ftypavif\x00\x00\x00\x00avifmif1",
        b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00heicmif1",
        b"\x00\x00\x00\x18ftypisom\x00\x00\x00\x00isommp41",
        b"\x1a\x45\xdf\xa3\x01\x00\x00\x00\x00\x00\x00\x1f\x42\x82\x84webm",
        b"OggS\x00\x02",
        b"fLaC\x00\x00\x00\x22",
        b"RIFF\x00\x10\x00\x00WAVE",
        b"ID3\x04\x00\x00\x00\x00\x00\x00",
    ],
)
def test_a_file_that_only_begins_like_one_is_refused(head: bytes, tmp_path: Path, outcome: Examine) -> None:
    path = tmp_path / "it"
    path.write_bytes(head + random.Random(1).randbytes(20_000).replace(b"\xff", b"\xfe"))
    result = outcome(path)
    assert isinstance(result, RefusedFile)
    assert result.reason in {Refusal.DAMAGED, Refusal.TOO_LARGE}  # Noise may mean any size.


@pytest.mark.parametrize(
    "text",
    [
        "The free software movement began in 1983",
        "For free",
        "the wide road",
        "Not skip this",
        "The ftypical case",
        "Seeing ftypqt  ",
        "Photos: heic, of last summer",
        "Photos: mif1 and so on",
        "ID3 tags are at the beginning",
        "GIF89a is older than PNG",
        "GIF87a",
        "RIFF and WEBP are four letters each",
        "OggS is what each page begins with",
        "fLaC",
        "GIF89a/*  */=1;alert(document.cookie)//",
    ],
)
def test_words_that_begin_like_a_format_are_a_plain_file(text: str, tmp_path: Path, look: Look) -> None:
    path = tmp_path / "it"
    path.write_text(text + ", naïve as it is")
    assert look(path) == Examined(kind="file", mime_type="text/plain")


@pytest.mark.parametrize(
    "text", ["The free café", "Photos: heic café", "ID3 tags café", "the wide café", "See ftyp café"]
)
def test_words_of_another_encoding_are_a_plain_file_too(text: str, tmp_path: Path, look: Look) -> None:
    path = tmp_path / "it"
    path.write_bytes(text.encode("latin-1"))
    assert look(path) == Examined(kind="file", mime_type=UNKNOWN)


def test_a_bomb_is_refused_for_its_size(tmp_path: Path, outcome: Examine) -> None:
    path = bomb(tmp_path / "it")
    assert path.stat().st_size < 100_000
    assert outcome(path) == RefusedFile(Refusal.TOO_LARGE)


def test_a_gif_on_a_huge_canvas_is_refused(tmp_path: Path, outcome: Examine) -> None:
    path = picture(tmp_path / "it", "GIF", (20, 20))
    data = bytearray(path.read_bytes())
    data[6:10] = struct.pack("<HH", 65_535, 65_535)
    path.write_bytes(data)
    assert outcome(path) == RefusedFile(Refusal.TOO_LARGE)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF", "HEIF"])
def test_a_picture_has_no_more_pixels_than_the_setting_says(kind: str, tmp_path: Path, outcome: Examine) -> None:
    path = picture(tmp_path / "it", kind, (400, 300))
    exactly = dataclasses.replace(configured(), most_pixels=120_000)
    assert isinstance(outcome(path, exactly), Examined)
    assert outcome(path, dataclasses.replace(exactly, most_pixels=119_999)) == RefusedFile(Refusal.TOO_LARGE)


def test_a_video_has_no_more_pixels_than_the_setting_says(tmp_path: Path, outcome: Examine) -> None:
    path = video(tmp_path / "it", size=(400, 300))
    exactly = dataclasses.replace(configured(), most_pixels=120_000)
    assert isinstance(outcome(path, exactly), Examined)
    assert outcome(path, dataclasses.replace(exactly, most_pixels=119_999)) == RefusedFile(Refusal.TOO_LARGE)


def test_a_video_of_absurd_dimensions_is_refused(tmp_path: Path, outcome: Examine) -> None:
    path = video(tmp_path / "it", "webm", "libvpx")
    data = bytearray(path.read_bytes())
    at = data.index(b"\x9d\x01\x2a") + 3  # The header of a whole frame of VP8.
    data[at : at + 4] = struct.pack("<HH", 16_383, 16_383)
    path.write_bytes(data)
    assert isinstance(outcome(path), RefusedFile)


def test_dimensions_of_a_container_are_not_believed(tmp_path: Path, look: Look) -> None:
    path = video(tmp_path / "it", "webm", "libvpx")
    data = path.read_bytes()
    stated = b"\xb0\x82\x01\x40\xba\x81\xf0"  # 320 wide, 240 high.
    assert stated in data
    path.write_bytes(data.replace(stated, b"\xb0\x82\xff\xff\xba\x81\xff"))
    found = look(path)
    assert (found.width, found.height) == (320, 240)


def test_a_video_that_plays_for_ever_is_refused(tmp_path: Path, outcome: Examine) -> None:
    path = video(tmp_path / "it")
    data = bytearray(path.read_bytes())
    for kind, offset in ((b"mvhd", 20), (b"mdhd", 20), (b"tkhd", 24), (b"elst", 12), (b"stts", 16)):
        at = data.index(kind) + offset
        data[at : at + 4] = b"\x7f\xff\xff\x00"
    path.write_bytes(data)
    assert outcome(path) == RefusedFile(Refusal.TOO_LONG)


def test_sound_may_play_no_longer_than_the_setting_says(tmp_path: Path, outcome: Examine) -> None:
    path = sound(tmp_path / "it", "flac", "flac", samples=tone(3.0, RATE))
    limits = configured()
    assert isinstance(outcome(path, dataclasses.replace(limits, most_seconds=4)), Examined)
    assert outcome(path, dataclasses.replace(limits, most_seconds=2)) == RefusedFile(Refusal.TOO_LONG)


@pytest.mark.parametrize(
    "content",
    [
        playlist("127.0.0.1:9"),
        b"ffconcat version 1.0\nfile 'http://127.0.0.1:9/'\n",
        b"<?xml version='1.0'?>\n<MPD xmlns='urn:mpeg:dash:schema:mpd:2011'><Period/></MPD>",
    ],
)
def test_playlists_are_refused(content: bytes, tmp_path: Path, outcome: Examine) -> None:
    (tmp_path / "video.mp4").write_bytes(content)
    assert outcome(tmp_path / "video.mp4") == RefusedFile(Refusal.PLAYLIST)


def test_ffmpeg_would_follow_a_playlist_if_it_could(tmp_path: Path) -> None:
    with listener() as (address, heard):
        (tmp_path / "it").write_bytes(playlist(address))
        options = {"protocol_whitelist": "file,http,tcp"}
        with pytest.raises((OSError, ValueError)), av.open(str(tmp_path / "it"), format="hls", options=options):
            pass
    assert heard


def test_no_playlist_makes_anybody_call_a_server(tmp_path: Path, out: Path, outcome: Examine) -> None:
    good = video(tmp_path / "good").read_bytes()
    path = tmp_path / "it"
    with listener() as (address, heard):
        names = playlist(address)
        for content in (
            names,
            box(b"ftyp", b"isom", bytes(4), b"isom") + names,
            box(b"ftyp", b"isom", bytes(4), b"isom") + box(b"mdat", names),
            good + names,
            good + box(b"free", names),
            good.replace(b"url \x00\x00\x00\x01", b"url \x00\x00\x00\x00"),
            b"ID3\x04\x00\x00\x00\x00\x00\x00" + names,
            b"\x1a\x45\xdf\xa3\x87\x42\x82\x84webm" + names,
            b"RIFF\x00\x10\x00\x00WAVE" + names,
        ):
            path.write_bytes(content)
            outcome(path)
        # As if what it is had not been looked at: in the child, and by FFmpeg's options alone.
        path.write_bytes(names)
        ending = sandbox.run(path, out, configured(), "tests.media.children:play")
        assert isinstance(ending, sandbox.Report)
        assert ending.found["opened"] is False
        with pytest.raises((OSError, ValueError)), opened(Format("recording", "video/mp4", "hls"), path):
            pass
    assert heard == []


def test_noise_in_good_files_never_does_more_than_refuse_them(tmp_path: Path, outcome: Examine) -> None:
    chance = random.Random(7)
    files = [picture(tmp_path / kind, kind, (200, 150), 6) for kind in ("JPEG", "PNG", "WEBP", "AVIF", "HEIF")]
    files += [
        picture(tmp_path / "gif", "GIF", (200, 150)),
        video(tmp_path / "mp4"),
        sound(tmp_path / "o", "ogg", "libopus"),
    ]
    files += [video(tmp_path / "webm", "webm", "libvpx"), sound(tmp_path / "mp3", "mp3", "libmp3lame")]
    for path in files:
        for _ in range(4):
            data = bytearray(path.read_bytes())
            for _ in range(8):
                data[chance.randrange(12, len(data))] = chance.randrange(256)
            (tmp_path / "it").write_bytes(data)
            assert isinstance(outcome(tmp_path / "it"), Examined | RefusedFile), path
