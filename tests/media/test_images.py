"""Images: what they are, thumbnails, and what others get."""

from __future__ import annotations

import base64
import random
import struct
import zlib
from pathlib import Path

import pytest
from PIL import Image, PngImagePlugin

from app.media.cleaning import CLEANERS
from app.media.outcome import Refusal, RefusedFile
from tests.media.conftest import Examine, Look
from tests.media.makers import PLACE, animation, corners, exif, picture, quarters, upright

_KINDS = {
    "JPEG": "image/jpeg",
    "PNG": "image/png",
    "WEBP": "image/webp",
    "GIF": "image/gif",
    "AVIF": "image/avif",
    "HEIF": "image/heic",
}
_UPRIGHT = ["red", "green", "blue", "white"]


@pytest.mark.parametrize("kind", _KINDS)
def test_every_kind_of_picture_gets_size_likeness_and_thumbnails(kind: str, tmp_path: Path, look: Look) -> None:
    found = look(picture(tmp_path / "picture.bin", kind, (2000, 1000)))
    assert (found.kind, found.mime_type, found.width, found.height) == ("image", _KINDS[kind], 2000, 1000)
    assert [(small.name, small.width, small.height) for small in found.thumbnails] == [
        ("small", 160, 80),
        ("medium", 480, 240),
        ("large", 1280, 640),
    ]
    for small in found.thumbnails:
        with Image.open(small.path) as opened:
            assert (opened.format, opened.size, corners(opened)) == ("WEBP", (small.width, small.height), _UPRIGHT)
        assert small.size == small.path.stat().st_size
    assert found.preview is not None
    assert len(base64.b64decode(found.preview)) > 5


@pytest.mark.parametrize(
    ("size", "names"),
    [
        ((100, 60), ["small"]),
        ((300, 200), ["small", "medium"]),
        ((1280, 900), ["small", "medium"]),
        ((1, 1), ["small"]),
    ],
)
def test_no_thumbnail_is_larger_than_its_original(
    size: tuple[int, int], names: list[str], tmp_path: Path, look: Look
) -> None:
    found = look(picture(tmp_path / "it", "PNG", size))
    assert [small.name for small in found.thumbnails] == names
    assert all(small.width <= size[0] and small.height <= size[1] for small in found.thumbnails)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied_to_thumbnails_and_to_what_others_get(
    kind: str, orientation: int, tmp_path: Path, look: Look
) -> None:
    path = picture(tmp_path / "it", kind, (640, 480), orientation)
    found = look(path)
    shown = upright(quarters(640, 480), orientation)
    assert (found.width, found.height) == shown.size
    with Image.open(found.thumbnails[-1].path) as thumbnail:
        assert corners(thumbnail) == corners(shown)
    assert found.shared is not None
    assert found.shared.mime_type == _KINDS[kind]
    with Image.open(found.shared.path) as shared:
        assert (shared.format, shared.size, corners(shared)) == (kind, shown.size, corners(shown))
        assert len(shared.getexif()) == 0
    assert PLACE not in found.shared.path.read_bytes()


@pytest.mark.parametrize("kind", ["AVIF", "HEIF"])
@pytest.mark.parametrize("orientation", [1, 6])
def test_place_is_removed_from_modern_pictures(kind: str, orientation: int, tmp_path: Path, look: Look) -> None:
    path = picture(tmp_path / "it", kind, (640, 480), orientation)
    assert PLACE in path.read_bytes()
    found = look(path)
    assert found.shared is not None
    assert found.shared.mime_type == ("image/avif" if kind == "AVIF" else "image/jpeg")
    shown = upright(quarters(640, 480), orientation)
    assert (found.width, found.height) == shown.size
    assert PLACE not in found.shared.path.read_bytes()
    with Image.open(found.thumbnails[-1].path) as thumbnail:
        assert corners(thumbnail) == corners(shown)
    with Image.open(found.shared.path) as shared:
        shared.load()
        turned = upright(shared, shared.getexif().get(0x0112, 1))
        assert (turned.size, corners(turned)) == (shown.size, corners(shown))
        assert dict(shared.getexif().get_ifd(0x8825)) == {}


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "AVIF"])
def test_a_picture_without_metadata_is_shared_as_it_is(kind: str, tmp_path: Path, look: Look) -> None:
    assert look(picture(tmp_path / "it", kind)).shared is None


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_an_upright_picture_is_cleaned_without_loss(kind: str, tmp_path: Path, look: Look) -> None:
    path = picture(tmp_path / "it", kind, orientation=1)
    found = look(path)
    assert found.shared is not None
    with Image.open(path) as original, Image.open(found.shared.path) as shared:
        assert original.tobytes() == shared.tobytes()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF"])
def test_what_was_cleaned_is_clean(kind: str, tmp_path: Path, look: Look) -> None:
    shared = look(picture(tmp_path / "it", kind, orientation=1)).shared
    assert shared is not None
    assert CLEANERS[kind](shared.path.read_bytes()) is None


def test_comments_of_every_kind_are_removed(tmp_path: Path, look: Look) -> None:
    texts = PngImagePlugin.PngInfo()
    texts.add_text("Comment", PLACE.decode())
    texts.add_itxt("XML:com.adobe.xmp", PLACE.decode())
    image = quarters(64, 48)
    image.save(tmp_path / "png", "PNG", pnginfo=texts)
    image.save(tmp_path / "jpeg", "JPEG", comment=PLACE, xmp=PLACE)
    image.save(tmp_path / "webp", "WEBP", xmp=PLACE)
    image.save(tmp_path / "gif", "GIF", comment=PLACE)
    for name in ("png", "jpeg", "webp", "gif"):
        assert PLACE in (tmp_path / name).read_bytes()
        shared = look(tmp_path / name).shared
        assert shared is not None
        assert PLACE not in shared.path.read_bytes()
        with Image.open(shared.path) as opened:
            assert corners(opened) == _UPRIGHT


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF"])
def test_what_hides_behind_the_end_of_a_picture_is_removed(kind: str, tmp_path: Path, look: Look) -> None:
    path = picture(tmp_path / "it", kind)
    clean = path.read_bytes()
    path.write_bytes(clean + b"<script>alert(1)</script>" + PLACE)
    shared = look(path).shared
    assert shared is not None
    assert shared.path.read_bytes() == clean


def test_colours_keep_their_profile(tmp_path: Path, look: Look) -> None:
    from PIL import ImageCms

    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    quarters(2000, 1000).save(tmp_path / "it", "JPEG", icc_profile=profile, exif=exif(6))
    found = look(tmp_path / "it")
    assert found.shared is not None
    for path in (found.shared.path, *(small.path for small in found.thumbnails)):
        with Image.open(path) as opened:
            assert opened.info["icc_profile"] == profile


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_an_animation_keeps_all_frames_and_shows_its_first(kind: str, tmp_path: Path, look: Look) -> None:
    path = animation(tmp_path / "it", kind, **({} if kind == "GIF" else {"exif": exif(6)}))
    found = look(path)
    assert (found.width, found.height) == (320, 200)
    with Image.open(found.thumbnails[0].path) as thumbnail:
        assert set(corners(thumbnail)) == {"red"}
    with Image.open(found.shared.path if found.shared else path) as shared:
        assert getattr(shared, "n_frames", 1) == 3
    assert (found.shared is None) == (kind == "GIF")


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "I;16", "CMYK"])
def test_every_mode_of_colour_becomes_a_thumbnail(mode: str, tmp_path: Path, look: Look) -> None:
    kind = "JPEG" if mode == "CMYK" else "PNG"
    source = Image.linear_gradient("L").resize((400, 400))
    image = source.convert("I").point(lambda value: value * 256).convert("I;16") if mode == "I;16" else source
    (image if mode == "I;16" else source.convert(mode)).save(tmp_path / "it", kind)
    with Image.open(look(tmp_path / "it").thumbnails[0].path) as thumbnail:
        shades = thumbnail.convert("RGB").getpixel((80, 10)), thumbnail.convert("RGB").getpixel((80, 150))
    assert isinstance(shades[0], tuple)
    assert isinstance(shades[1], tuple)
    assert shades[0][0] < 60
    assert shades[1][0] > 190


def test_a_transparent_picture_stays_transparent(tmp_path: Path, look: Look) -> None:
    image = quarters(300, 300).convert("RGBA")
    image.putalpha(Image.new("L", (300, 300), 0))
    image.save(tmp_path / "it", "PNG")
    with Image.open(look(tmp_path / "it").thumbnails[0].path) as thumbnail:
        assert thumbnail.convert("RGBA").getpixel((10, 10))[3] == 0  # type: ignore[index]


def test_a_scan_that_is_sent_in_steps_is_cleaned_too(tmp_path: Path, look: Look) -> None:
    noise = Image.effect_noise((500, 400), 80).convert("RGB")
    noise.save(tmp_path / "it", "JPEG", progressive=True, exif=exif(1), quality=95)
    shared = look(tmp_path / "it").shared
    assert shared is not None
    assert PLACE not in shared.path.read_bytes()
    with Image.open(tmp_path / "it") as original, Image.open(shared.path) as opened:
        assert opened.tobytes() == original.tobytes()


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def test_a_picture_whose_copy_would_be_many_times_as_large_is_refused(tmp_path: Path, outcome: Examine) -> None:
    # What repeats itself along the rows does not do so along the columns.
    width, height = 1600, 1500
    row = 3 * width + 1
    pixels = bytearray((random.Random(1).randbytes(31_013) * 300)[: row * height])
    pixels[::row] = bytes(height)  # No row refers to the one above.
    parts = {
        b"IHDR": struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0),
        b"eXIf": exif(orientation=6).tobytes().removeprefix(b"Exif\0\0"),
        b"IDAT": zlib.compress(bytes(pixels), 9),
        b"IEND": b"",
    }
    path = tmp_path / "it.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*part) for part in parts.items()))
    assert path.stat().st_size < 500_000
    found = outcome(path)
    assert isinstance(found, RefusedFile)
    assert found.reason is Refusal.TOO_COSTLY
