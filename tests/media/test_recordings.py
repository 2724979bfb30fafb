"""Video and sound: size, poster, duration, waveform, and what others get."""

from __future__ import annotations

from array import array
from pathlib import Path

import av
import pytest
from PIL import Image

from tests.media.conftest import Look
from tests.media.makers import PLACE, box, corners, sound, turned, video

_UPRIGHT = ["red", "green", "blue", "white"]
_VIDEOS = [
    ("mp4", "libx264", "aac", "video/mp4"),
    ("webm", "libvpx-vp9", "libopus", "video/webm"),
    ("webm", "libvpx", None, "video/webm"),
    ("mov", "libx264", "pcm_s16le", "video/quicktime"),
]
_SOUNDS = [
    ("ogg", "libopus", "audio/ogg"),
    ("mp3", "libmp3lame", "audio/mpeg"),
    ("ipod", "aac", "audio/mp4"),
    ("wav", "pcm_s16le", "audio/wav"),
    ("flac", "flac", "audio/flac"),
    ("webm", "libopus", "audio/webm"),
]


@pytest.mark.parametrize(("kind", "codec", "track", "mime_type"), _VIDEOS)
def test_every_kind_of_video_gets_size_duration_and_poster(
    kind: str, codec: str, track: str | None, mime_type: str, tmp_path: Path, look: Look
) -> None:
    found = look(video(tmp_path / "it", kind, codec, (1600, 800), sound=track))
    assert (found.kind, found.mime_type, found.width, found.height) == ("video", mime_type, 1600, 800)
    assert found.duration_seconds == pytest.approx(2.0, abs=0.15)
    assert found.preview
    assert [(small.name, small.width, small.height) for small in found.thumbnails] == [
        ("small", 160, 80),
        ("medium", 480, 240),
        ("large", 1280, 640),
    ]
    with Image.open(found.thumbnails[1].path) as poster:
        assert (poster.format, corners(poster)) == ("WEBP", _UPRIGHT)


@pytest.mark.parametrize(("kind", "codec", "track", "mime_type"), _VIDEOS)
def test_a_video_that_tells_nothing_is_shared_as_it_is(
    kind: str, codec: str, track: str | None, mime_type: str, tmp_path: Path, look: Look
) -> None:
    assert look(video(tmp_path / "it", kind, codec, sound=track)).shared is None


def test_a_phone_held_upright_gives_an_upright_poster(tmp_path: Path, look: Look) -> None:
    found = look(turned(video(tmp_path / "it")))
    assert (found.width, found.height) == (240, 320)
    with Image.open(found.thumbnails[0].path) as poster:
        assert corners(poster) == ["blue", "red", "white", "green"]


@pytest.mark.parametrize(
    ("kind", "tag"),
    [("mp4", "location"), ("mov", "location"), ("mov", "com.apple.quicktime.location.ISO6709"), ("webm", "location")],
)
def test_the_place_of_a_video_is_removed_and_its_streams_are_not_touched(
    kind: str, tag: str, tmp_path: Path, look: Look
) -> None:
    codec = "libvpx" if kind == "webm" else "libx264"
    options = {"movflags": "use_metadata_tags"} if "apple" in tag else {}
    place = "+51.4779-000.0015/"
    path = video(tmp_path / "it", kind, codec, metadata={tag: place}, options=options)
    if kind != "webm":
        turned(path)
    written = b"loci" if kind == "mp4" else place.encode()  # MP4 has it in numbers.
    assert written in path.read_bytes()
    found = look(path)
    assert found.shared is not None
    assert found.shared.mime_type == found.mime_type
    assert written not in found.shared.path.read_bytes()
    with av.open(str(path)) as original, av.open(str(found.shared.path)) as shared:
        assert [bytes(packet) for packet in original.demux() if packet.size] == [
            bytes(packet) for packet in shared.demux() if packet.size
        ]
    again = look(found.shared.path)
    assert (again.width, again.height, again.shared) == (found.width, found.height, None)
    assert again.duration_seconds == pytest.approx(found.duration_seconds)


def test_the_place_of_a_video_of_an_old_phone_is_removed(tmp_path: Path, look: Look) -> None:
    path = video(tmp_path / "it", "3gp", "mpeg4", (176, 144), sound="libopencore_amrnb")
    path.write_bytes(path.read_bytes() + box(b"udta", box(b"\xa9xyz", PLACE)))
    found = look(path)
    assert (found.kind, found.mime_type, found.width) == ("video", "video/mp4", 176)
    assert found.shared is not None
    assert PLACE not in found.shared.path.read_bytes()
    assert packets(found.shared.path) == packets(path)
    assert look(found.shared.path).shared is None


def test_a_private_video_whose_streams_no_writer_takes_is_a_plain_file(tmp_path: Path, look: Look) -> None:
    path = video(tmp_path / "it", "mov", "libx265", sound="libopencore_amrnb")
    data = bytearray(path.read_bytes()) + box(b"udta", box(b"\xa9xyz", PLACE))
    brand = data.index(b"ftypqt  ") + 4
    data[brand : brand + 4] = b"isom"
    path.write_bytes(data)
    found = look(path)
    assert (found.kind, found.shared) == ("file", None)


@pytest.mark.parametrize("kind", [b"uuid", b"meta", b"free", b"XMP_", b"udta"])
def test_a_place_in_a_box_of_any_kind_is_removed(kind: bytes, tmp_path: Path, look: Look) -> None:
    path = video(tmp_path / "it")
    content = box(b"\xa9xyz", PLACE) if kind == b"udta" else PLACE
    path.write_bytes(path.read_bytes() + box(kind, content))
    found = look(path)
    assert found.shared is not None
    assert PLACE not in found.shared.path.read_bytes()


@pytest.mark.parametrize(("kind", "codec", "mime_type"), _SOUNDS)
def test_every_kind_of_sound_gets_duration_and_waveform(
    kind: str, codec: str, mime_type: str, tmp_path: Path, look: Look
) -> None:
    found = look(sound(tmp_path / "it", kind, codec, seconds=3))
    assert (found.kind, found.mime_type, found.thumbnails, found.shared) == ("audio", mime_type, (), None)
    assert found.duration_seconds == pytest.approx(3.0, abs=0.15)
    assert found.waveform is not None
    assert len(found.waveform) == 100
    # The tone grows from silence to loud.
    assert found.waveform[2] < found.waveform[50] < found.waveform[90] <= 31
    assert max(found.waveform) == 31


def test_the_place_of_a_recorded_memo_is_removed(tmp_path: Path, look: Look) -> None:
    path = sound(tmp_path / "it", "ipod", "aac")
    path.write_bytes(path.read_bytes() + box(b"udta", box(b"\xa9xyz", PLACE)))
    found = look(path)
    assert found.shared is not None
    assert (found.shared.mime_type, PLACE in found.shared.path.read_bytes()) == ("audio/mp4", False)
    assert look(found.shared.path).duration_seconds == pytest.approx(2.0, abs=0.15)


@pytest.mark.parametrize(("kind", "codec", "mime_type"), _SOUNDS)
def test_what_a_sound_tells_of_its_place_is_removed_and_its_title_stays(
    kind: str, codec: str, mime_type: str, tmp_path: Path, look: Look
) -> None:
    path = tagged(sound(tmp_path / "it", kind, codec), kind, {"comment": PLACE.decode(), "title": "A tone"})
    assert PLACE in path.read_bytes()
    found = look(path)
    assert found.shared is not None
    assert (found.shared.mime_type, found.mime_type) == (mime_type, mime_type)
    content = found.shared.path.read_bytes()
    assert PLACE not in content
    assert packets(found.shared.path) == packets(path)
    assert b"A tone" in content or kind == "adts"
    again = look(found.shared.path)
    assert (again.kind, again.mime_type, again.shared) == ("audio", mime_type, None)
    assert again.duration_seconds == pytest.approx(2.0, abs=0.15)


@pytest.mark.parametrize("codec", ["libvpx", "libopus"])
def test_a_place_in_a_void_or_unknown_element_of_webm_is_removed(codec: str, tmp_path: Path, look: Look) -> None:
    path = tmp_path / "it"
    video(path, "webm", codec) if codec == "libvpx" else sound(path, "webm", codec)
    for element in (b"\xec", b"\x42\xf7"):
        hiding = tmp_path / "hiding"
        hiding.write_bytes(path.read_bytes() + element + bytes([0x80 | len(PLACE)]) + PLACE)
        found = look(hiding)
        assert found.shared is not None
        assert PLACE not in found.shared.path.read_bytes()
        assert packets(found.shared.path) == packets(path)


@pytest.mark.parametrize(("size", "is_copied"), [(1_000, False), (2_000_000, True)])
def test_only_a_little_padding_of_webm_stays(size: int, is_copied: bool, tmp_path: Path, look: Look) -> None:
    path = video(tmp_path / "it", "webm", "libvpx")
    path.write_bytes(path.read_bytes() + b"\xec\x01" + size.to_bytes(7, "big") + bytes(size))
    assert (look(path).shared is not None) == is_copied


@pytest.mark.parametrize(("kind", "codec"), [("wav", "pcm_s16le"), ("flac", "flac")])
def test_a_place_in_a_chunk_that_no_player_needs_is_removed(kind: str, codec: str, tmp_path: Path, look: Look) -> None:
    path = sound(tmp_path / "it", kind, codec)
    data = path.read_bytes()
    if kind == "wav":
        path.write_bytes(data[:12] + b"iXML" + (2 * len(PLACE)).to_bytes(4, "little") + 2 * PLACE + data[12:])
    else:
        first = 4 + 4 + 34  # After the mark of the format and the block that describes the stream.
        block = b"\x02" + len(b"home" + PLACE).to_bytes(3, "big") + b"home" + PLACE
        path.write_bytes(data[:first] + block + data[first:])
    found = look(path)
    assert found.shared is not None
    assert PLACE not in found.shared.path.read_bytes()


def test_notes_in_a_list_of_wav_are_removed_and_its_tags_stay(tmp_path: Path, look: Look) -> None:
    path = sound(tmp_path / "it", "wav", "pcm_s16le")
    note = b"note" + (4 + 2 * len(PLACE)).to_bytes(4, "little") + bytes(4) + 2 * PLACE
    notes = b"LIST" + (4 + len(note)).to_bytes(4, "little") + b"adtl" + note
    path.write_bytes(path.read_bytes() + notes)
    found = look(path)
    assert found.shared is not None
    content = found.shared.path.read_bytes()
    assert (PLACE in content, b"A tone" in content) == (False, True)


def tagged(path: Path, kind: str, tags: dict[str, str]) -> Path:
    """The sound with such tags."""
    copy = path.with_name("tagged")
    with av.open(str(path)) as source, av.open(str(copy), "w", format=kind) as target:
        stream = target.add_stream_from_template(source.streams[0])
        target.metadata.update(tags)
        for packet in source.demux(source.streams[0]):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    return copy


def packets(path: Path) -> list[bytes]:
    """What is coded in a file."""
    with av.open(str(path)) as opened:
        return [bytes(packet) for packet in opened.demux() if packet.size]


def test_silence_has_a_flat_waveform(tmp_path: Path, look: Look) -> None:
    found = look(sound(tmp_path / "it", "wav", "pcm_s16le", samples=array("h", bytes(48_000))))
    assert found.waveform == (0,) * 100


def test_a_click_is_sound_enough(tmp_path: Path, look: Look) -> None:
    found = look(sound(tmp_path / "it", "wav", "pcm_s16le", samples=array("h", [0, 9000] * 30)))
    assert found.waveform is not None
    assert len(found.waveform) == 100


def test_a_long_recording_has_a_duration_and_no_waveform(tmp_path: Path, look: Look) -> None:
    found = look(sound(tmp_path / "it", "flac", "flac", samples=array("h", bytes(2 * 24_000 * 960))))
    assert found.duration_seconds == pytest.approx(960, abs=1)
    assert found.waveform is None


def test_a_recording_of_a_browser_says_no_duration_and_gets_one(tmp_path: Path, look: Look) -> None:
    path = video(tmp_path / "it", "webm", "libvpx", options={"live": "1"})
    with av.open(str(path)) as opened:
        assert opened.duration is None
    assert look(path).duration_seconds == pytest.approx(2.0, abs=0.15)


def test_the_cover_of_an_album_makes_no_video(tmp_path: Path, look: Look) -> None:
    path = sound(tmp_path / "it", "flac", "flac")
    cover = tmp_path / "cover"
    Image.new("RGB", (50, 50)).save(cover, "PNG")
    picture = cover.read_bytes()
    block = b"".join(
        part.to_bytes(4, "big") if isinstance(part, int) else part
        for part in (3, 9, b"image/png", 0, 50, 50, 24, 0, len(picture), picture)
    )
    data = path.read_bytes()
    first = 4 + 4 + 34  # After the mark of the format and the block that describes the stream.
    header = bytes([data[4] & 0x7F]) + data[5:first]
    path.write_bytes(data[:4] + header + b"\x06" + len(block).to_bytes(3, "big") + block + data[first:])
    with av.open(str(path)) as opened:
        assert len(opened.streams.video) == 1
    found = look(path)
    assert (found.kind, found.mime_type) == ("audio", "audio/flac")
