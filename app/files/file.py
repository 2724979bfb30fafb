"""How a file looks to clients, from a row; messages and whoever else shows files reads it by these columns."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal, NamedTuple

from typing_extensions import TypedDict

from app.infra.times import Timestamp, rfc3339
from app.web.links import file_link

Kind = Literal["image", "video", "audio", "file"]
Status = Literal["processing", "ready", "failed"]

_COLUMNS = (
    "id",
    "owner_id",
    "name",
    "size",
    "mime_type",
    "kind",
    "status",
    "width",
    "height",
    "duration_seconds",
    "preview",
    "waveform",
    "failure",
    "created_at",
)


class FileThumbnail(TypedDict):
    """A small picture of an image or a video; width and height in pixels."""

    name: Literal["small", "medium", "large"]
    width: int
    height: int
    mime_type: str
    url: str


class File(TypedDict):
    """A file. The links are signed for whoever was given them, and end within an hour.

    `size` in bytes and `mime_type` are those of the original; others than its owner get a copy without metadata, where
    there is something to remove, whose type is `mime_type` to them. `preview` is a ThumbHash in base64; `waveform` has
    100 peaks from 0 to 31. `failure` says why a file has `failed`.
    """

    id: str
    name: str
    size: int
    mime_type: str
    kind: Kind
    status: Status
    url: str
    thumbnails: list[FileThumbnail]
    width: int | None
    height: int | None
    duration_seconds: float | None
    preview: str | None
    waveform: list[int] | None
    failure: str | None
    created_at: Timestamp


class FileRow(NamedTuple):
    """The columns of a file, in the order of `columns`."""

    id: Any
    owner_id: int
    name: str
    size: int
    mime_type: str
    kind: Kind
    status: Status
    width: int | None
    height: int | None
    duration_seconds: float | None
    preview: str | None
    waveform: list[int] | None
    failure: str | None
    created_at: Any
    shared_type: str | None
    thumbnails: list[dict[str, Any]] | None


COLUMN_COUNT = len(FileRow._fields)


def columns(files: str) -> str:
    """The columns of FileRow for a SELECT; `files` is the table's alias. Its objects are looked up by their key."""
    own = ", ".join(f"{files}.{name}" for name in _COLUMNS)
    shared = f"SELECT o.mime_type FROM file_objects o WHERE o.file_id = {files}.id AND o.variant = 'shared'"
    thumbnails = f"""
      SELECT jsonb_agg(jsonb_build_object(
        'name', o.variant, 'width', o.width, 'height', o.height, 'mime_type', o.mime_type) ORDER BY o.width * o.height)
      FROM file_objects o WHERE o.file_id = {files}.id AND o.variant IN ('small', 'medium', 'large')"""
    return f"{own}, ({shared}), ({thumbnails})"


def json_column(file_id: str) -> str:
    """The columns of FileRow as one JSON array, for a SELECT of something that shows the file with this id.

    OFFSET 0 keeps it a look-up by the key: planned while there are no files, the index of all that are not deleted
    would look as good.
    """
    found = f"(SELECT * FROM files WHERE id = {file_id} OFFSET 0) f"
    return f"(SELECT jsonb_build_array({columns('f')}) FROM {found} WHERE f.deleted_at IS NULL)"


def present_json(values: list[Any]) -> File:
    """The file of a `json_column`, as everybody but its owner sees it, with links that are yet to be signed."""
    row = FileRow._make(values)
    duration = None if row.duration_seconds is None else float(row.duration_seconds)
    return present(row._replace(duration_seconds=duration, created_at=datetime.fromisoformat(row.created_at)), None)


def present(row: FileRow, viewer_id: int | None) -> File:
    """The file as a person sees it; for None, as everybody but its owner does, with links that are yet to be signed."""
    is_owner = viewer_id == row.owner_id
    file_id = str(row.id)
    return {
        "id": file_id,
        "name": row.name,
        "size": row.size,
        "mime_type": row.mime_type if is_owner or row.shared_type is None else row.shared_type,
        "kind": row.kind,
        "status": row.status,
        "url": file_link(file_id, viewer_id),
        "thumbnails": [
            {
                "name": each["name"],
                "width": each["width"],
                "height": each["height"],
                "mime_type": each["mime_type"],
                "url": file_link(file_id, viewer_id, each["name"]),
            }
            for each in row.thumbnails or ()
        ],
        "width": row.width,
        "height": row.height,
        "duration_seconds": row.duration_seconds,
        "preview": row.preview,
        "waveform": row.waveform,
        "failure": row.failure,
        "created_at": rfc3339(row.created_at),
    }
