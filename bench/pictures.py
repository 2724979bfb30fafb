"""The pictures of the benchmark of files, made on the spot, and the work on them without Paperplane around it.

Run with PATH REPEAT; prints how many files a second one process looks at, with the libraries loaded and no child.
"""

from __future__ import annotations

import sys
import tempfile
import time
from io import BytesIO
from pathlib import Path

from PIL import Image

from app.media.looking import Request, look

_MOST_PIXELS, _MOST_SECONDS = 32_000_000, 86_400


def photo(kind: str, width: int, height: int, grain: int, **options: int) -> bytes:
    """A picture with details of so many pixels, so that it compresses about as much as one that a camera made."""
    noise = Image.effect_noise((width // grain, height // grain), 80).resize((width, height), 3)
    slope = Image.linear_gradient("L").resize((width, height))
    content = BytesIO()
    Image.merge("RGB", [slope, noise, noise.rotate(180)]).save(content, kind, **options)
    return content.getvalue()


def pictures() -> dict[str, bytes]:
    """A PNG of about 1 MB, and a JPEG of 12 megapixels."""
    return {"1 MB PNG": photo("PNG", 900, 600, 3), "12 MP JPEG": photo("JPEG", 4000, 3000, 8, quality=88)}


def rate(path: Path, repeat: int) -> float:
    """Files a second that this process looks at."""
    with tempfile.TemporaryDirectory() as folder:
        request = Request(path=str(path), folder=folder, most_pixels=_MOST_PIXELS, most_seconds=_MOST_SECONDS)
        look(request)
        begun = time.perf_counter()
        for _ in range(repeat):
            look(request)
        return repeat / (time.perf_counter() - begun)


if __name__ == "__main__":
    print(rate(Path(sys.argv[1]), int(sys.argv[2])))
