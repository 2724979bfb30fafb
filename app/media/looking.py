"""The child's work: from a path to findings that JSON can hold."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypedDict

from app.media.images import look_at_image
from app.media.recordings import Bounds, look_at_recording
from app.media.sniffing import HEAD, sniffed


class Request(TypedDict):
    """What the parent asks: the file, the folder to write to, most pixels and most seconds."""

    path: str
    folder: str
    most_pixels: int
    most_seconds: int


def look(request: Request) -> dict[str, Any]:
    """The findings about the file. Raises Refused."""
    path, folder = Path(request["path"]), Path(request["folder"])
    with path.open("rb") as file:
        form = sniffed(file.read(HEAD))
    if form.family == "image":
        return look_at_image(form, path, folder, request["most_pixels"])
    if form.family == "recording":
        return look_at_recording(form, path, folder, Bounds(request["most_pixels"], request["most_seconds"]))
    return {"kind": "file", "mime_type": form.mime_type}
