"""Who gets which bytes of a file, under which type and name."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from app.errors import FileUnavailable, NotFound
from app.files.file import File, present
from app.files.queries import access, files
from app.infra.db import UnitOfWork
from app.infra.storage import ANY_TYPE

# What a browser may show in place. It runs nothing of these; whatever is not listed here is saved.
_INLINE = frozenset(
    {
        "image/jpeg",
        "image/png",
        "image/gif",
        "image/webp",
        "image/avif",
        "video/mp4",
        "video/webm",
        "video/quicktime",
        "audio/mp4",
        "audio/webm",
        "audio/ogg",
        "audio/flac",
        "audio/wav",
        "audio/mpeg",
    }
)
_ENDINGS = {"image/jpeg": ".jpg", "image/png": ".png", "image/webp": ".webp", "image/gif": ".gif"}


@dataclass(frozen=True, slots=True)
class Content:
    """An object as it is served; `size` in bytes. Not inline: only to be saved."""

    key: str
    size: int
    mime_type: str
    name: str
    is_inline: bool


def get_content(unit: UnitOfWork, user_id: int, file_id: UUID, thumbnail: str | None) -> Content:
    """The bytes of a file, or of one of its thumbnails, that a person gets.

    Before it was looked at, and where it was refused, a file is for its owner alone, and only to be saved. Raises
    NotFound, also for who may not see it, or FileUnavailable.
    """
    found = access.served(unit, user_id, file_id, thumbnail)
    if found is None:
        raise NotFound("There is no such file, or it is not in a chat of yours.")
    if found.status != "ready" and not found.is_owner:
        raise FileUnavailable
    if found.key is None or found.size is None or found.mime_type is None:
        raise NotFound("There is no such thumbnail of this file.")
    if found.status != "ready" and thumbnail is None:
        return Content(found.key, found.size, ANY_TYPE, found.name, is_inline=False)
    if found.variant == "original":
        return Content(found.key, found.size, found.file_type, found.name, found.file_type in _INLINE)
    name = found.name if found.mime_type == found.file_type else _renamed(found.name, found.mime_type)
    return Content(found.key, found.size, found.mime_type, name, found.mime_type in _INLINE)


def get_file(unit: UnitOfWork, user_id: int, file_id: UUID) -> File:
    """A file as a person sees it, with fresh links; raises NotFound."""
    row = files.find(unit, file_id) if access.may_see(unit, user_id, file_id) else None
    if row is None:
        raise NotFound("There is no such file, or it is not in a chat of yours.")
    return present(row, user_id)


def _renamed(name: str, mime_type: str) -> str:
    """The name with the ending of what a copy or thumbnail has become."""
    ending = _ENDINGS.get(mime_type, "")
    stem = name.rpartition(".")[0] or name
    return stem + ending if ending else name
