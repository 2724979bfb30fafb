"""Looks at an image: its size upright, thumbnails, and a copy without metadata. Runs in the child."""

from __future__ import annotations

import mmap
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.media.cleaning import CLEANERS, png, webp
from app.media.outcome import Refusal, Refused
from app.media.pictures import FILTER, SIZES, check_pixels, decoding, within, write_thumbnails
from app.media.sniffing import Format

if TYPE_CHECKING:
    from PIL import Image

_ORIENTATION = 0x0112
_UPRIGHT = 1
_QUALITY = 92
_LARGEST_WEBP = 12_000_000  # Pixels; beyond, its encoder needs more memory than the child has.
# A copy that is written anew may be so many times as large as the original, and some bytes more. Pictures that only
# compress well one way round would else take much more room than was sent.
_MOST_GROWTH = 4
_LEAST_ROOM = 4_000_000
# How an orientation of EXIF is undone, in the numbers of Pillow's Transpose.
_TURNS = {2: 0, 3: 3, 4: 1, 5: 5, 6: 4, 7: 6, 8: 2}
_SIDEWAYS = (5, 6, 7, 8)


def look_at_image(form: Format, path: Path, folder: Path, most_pixels: int) -> dict[str, Any]:
    """The findings about an image; writes thumbnails and the shared copy into the folder. Raises Refused."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        with decoding():
            image = _opened(form, path)
            check_pixels(*image.size, most_pixels)
            orientation = _orientation(form, image, data)
            width, height = image.size
            if form.decoder == "JPEG":  # Decodes at a half, a quarter or an eighth, as long as that is large enough.
                image.draft(None, within(image.size, SIZES[0][1]))
            image.load()
            findings = write_thumbnails(_small(image, orientation), max(width, height), folder)
        del image
        findings |= {"kind": "image", "mime_type": form.mime_type}
        findings |= dict(zip(("width", "height"), _turned_size((width, height), orientation), strict=True))
        with decoding():
            shared = _write_shared(form, path, data, orientation, folder / "shared")
    return findings | ({"shared": shared} if shared else {})


def _opened(form: Format, path: Path) -> Image.Image:
    from PIL import Image

    Image.MAX_IMAGE_PIXELS = None  # Ours is checked instead; Pillow's only warns.
    if form.decoder == "HEIF":
        import pillow_heif

        pillow_heif.options.DECODE_THREADS = 1
        pillow_heif.options.THUMBNAILS = False
        pillow_heif.register_heif_opener()
    elif form.decoder == "AVIF":
        from PIL import AvifImagePlugin

        AvifImagePlugin.DEFAULT_MAX_THREADS = 1
    return Image.open(path, formats=[form.decoder])


def _orientation(form: Format, image: Image.Image, data: mmap.mmap) -> int:
    """How the picture is to be turned, 1 to 8 as in EXIF; animations are shown as they are."""
    is_animated = (form.decoder == "PNG" and png.is_animated(data)) or (
        form.decoder == "WEBP" and webp.is_animated(data)
    )
    if is_animated or form.decoder in {"GIF", "HEIF"}:  # HEIC is turned by its decoder.
        return _UPRIGHT
    try:
        orientation = image.getexif().get(_ORIENTATION, _UPRIGHT)
    except (Refused, MemoryError):
        raise
    except Exception:  # Whatever is wrong with metadata, it is no reason to refuse the picture.
        return _UPRIGHT
    return orientation if orientation in _TURNS else _UPRIGHT


def _turned_size(size: tuple[int, int], orientation: int) -> tuple[int, int]:
    return (size[1], size[0]) if orientation in _SIDEWAYS else size


def _turned(image: Image.Image, orientation: int) -> Image.Image:
    from PIL import Image

    return image.transpose(Image.Transpose(_TURNS[orientation])) if orientation in _TURNS else image


def _plain(image: Image.Image) -> Image.Image:
    """The image in RGB or RGBA, which all that we write can hold."""
    if image.mode.startswith("I;16"):
        image = image.convert("I")
    if image.mode == "I":
        image = image.point(lambda value: value * (1 / 256)).convert("L")
    if image.mode in {"RGB", "RGBA"}:
        return image
    return image.convert("RGBA" if image.has_transparency_data else "RGB")


def _small(image: Image.Image, orientation: int) -> Image.Image:
    """The image at the size of the largest thumbnail, upright."""
    info = image.info
    if image.mode in {"P", "1"} or image.mode.startswith("I"):  # These would be resized badly.
        image = _plain(image)
    target = within(image.size, SIZES[0][1])
    image = image if image.size == target else image.resize(target, FILTER, reducing_gap=2.0)
    image = _turned(_plain(image), orientation)
    image.info = {"icc_profile": info.get("icc_profile")}
    return image


def _write_shared(form: Format, path: Path, data: mmap.mmap, orientation: int, target: Path) -> str | None:
    """Writes the copy for others where they must not get, or cannot show, the original; gives its type."""
    if form.decoder == "HEIF":
        return _write_anew(form, path, orientation, target, "JPEG")
    if form.decoder == "AVIF":
        orientation = _UPRIGHT  # Of AVIF it is no metadata but a property of the picture, and stays.
    if orientation != _UPRIGHT:
        return _write_anew(form, path, orientation, target, form.decoder, lossless=webp.is_lossless(data))
    pieces = CLEANERS[form.decoder](data)
    if pieces is None:
        return None
    with target.open("wb") as file:
        file.writelines(pieces)
    return form.mime_type


def _write_anew(
    form: Format, path: Path, orientation: int, target: Path, encoder: str, *, lossless: bool = False
) -> str:
    image = _opened(form, path)
    profile = image.info.get("icc_profile") or b""
    upright = _turned(image, orientation)
    if encoder == "WEBP" and upright.mode == "RGB" and upright.width * upright.height > _LARGEST_WEBP:
        encoder = "JPEG"
    options: dict[str, Any] = {"icc_profile": profile} if profile else {}
    if encoder == "JPEG":
        if upright.mode not in {"RGB", "L", "CMYK"}:
            upright = upright.convert("RGB")
        options |= {"quality": _QUALITY, "subsampling": "4:2:0"}
    elif encoder == "WEBP":
        options |= {"quality": _QUALITY, "method": 1, "lossless": lossless}
    elif encoder == "PNG":
        options |= {"compress_level": 2}  # A fifth of the time, for some more bytes.
    upright.info = {key: value for key, value in image.info.items() if key == "transparency"}
    upright.save(target, encoder, **options)
    if target.stat().st_size > _MOST_GROWTH * path.stat().st_size + _LEAST_ROOM:
        raise Refused(Refusal.TOO_COSTLY)
    return {"JPEG": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp"}[encoder]
