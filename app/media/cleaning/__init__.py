"""Takes out of a picture what viewers need not know, without decoding it: place, camera, comments, what hides behind.

Each module has one `cleaned(data)`: the pieces of the clean file in order, or None where nothing is to be taken out.
All keep only what is known to be needed, so that kinds of metadata nobody thought of go too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from mmap import mmap

from app.media.cleaning import avif, gif, jpeg, png, webp

Data = bytes | mmap
CLEANERS: dict[str, Callable[[Data], Sequence[bytes] | None]] = {
    "JPEG": jpeg.cleaned,
    "PNG": png.cleaned,
    "GIF": gif.cleaned,
    "WEBP": webp.cleaned,
    "AVIF": avif.cleaned,
}
