"""Media as bytes, and files that are none of what they say."""

from __future__ import annotations

import io

from PIL import Image

from tests.media.makers import exif, quarters


def jpeg(width: int = 640, height: int = 480, orientation: int | None = None) -> bytes:
    """A photo; with the place where it was taken, where an orientation is given."""
    made = io.BytesIO()
    options = {"exif": exif(orientation).tobytes()} if orientation else {}
    quarters(width, height).save(made, "JPEG", **options)
    return made.getvalue()


def png(width: int = 640, height: int = 480) -> bytes:
    """A picture."""
    made = io.BytesIO()
    quarters(width, height).save(made, "PNG")
    return made.getvalue()


def gif_with_script() -> bytes:
    """A GIF that is a script as well."""
    made = io.BytesIO()
    Image.new("P", (10, 10)).save(made, "GIF")
    return made.getvalue() + b"/*" + b"*/=1;alert(document.cookie);//<script>alert(1)</script>"


HTML = b"<!DOCTYPE html><html><body><script>alert(document.cookie)</script></body></html>"
SVG = b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
PLAYLIST = b"#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:0\n#EXTINF:10.0,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n"


def truncated(content: bytes) -> bytes:
    """The first half."""
    return content[: len(content) // 2]
