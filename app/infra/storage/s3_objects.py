"""The names in a bucket, and what is done alike with all of them.

    files/KEY           the objects; unfinished ones are multipart uploads of this name
    uploads/KEY/NUMBER  the end of an upload that goes on later, as long as it is too short for a part
    posted/KEY          what clients posted with a form, from which an accepted object of another key was copied

Keys begin with random digits, so requests spread over a server's partitions.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

import structlog

from app.errors import Unavailable
from app.infra.storage.s3_connection import Connection, s3_errors

log = structlog.get_logger(__name__)

OBJECTS = "files/"
ENDS = "uploads/"
POSTED = "posted/"
_PAGE = 1000


@dataclass(frozen=True, slots=True)
class Named:
    """What a bucket's list says; the name is the whole one."""

    name: str
    size: int
    changed_at: datetime


def size_of(connection: Connection, name: str) -> int:
    """The size in bytes; raises NoSuchObject."""
    with s3_errors():
        size: int = connection.client.head_object(Bucket=connection.bucket, Key=name)["ContentLength"]
    return size


def listed(connection: Connection, beginning: str, after: str = "", limit: int | None = None) -> Iterator[Named]:
    """What begins so, in the order of names; asks for pages as they are needed."""
    page_size = _PAGE if limit is None else max(1, min(_PAGE, limit))
    while True:
        with s3_errors():
            page = connection.client.list_objects_v2(
                Bucket=connection.bucket, Prefix=beginning, StartAfter=after, MaxKeys=page_size
            )
        found = page.get("Contents", [])
        for item in found:
            yield Named(item["Key"], item["Size"], item["LastModified"])
        if not found or not page.get("IsTruncated"):
            return
        after = found[-1]["Key"]


def remove(connection: Connection, names: Sequence[str]) -> None:
    """Deletes in batches; what is gone already is no error."""
    for first in range(0, len(names), _PAGE):
        objects = [{"Key": name} for name in names[first : first + _PAGE]]
        with s3_errors():
            answer = connection.client.delete_objects(
                Bucket=connection.bucket, Delete={"Objects": objects, "Quiet": True}
            )
        errors = [error for error in answer.get("Errors", []) if error.get("Code") != "NoSuchKey"]
        if errors:
            log.error("storage_failed", error=f"DeleteObjects: {errors[0].get('Code')}", objects=len(errors))
            raise Unavailable("Files are temporarily unavailable: please try again.", retry_after=5)


def remove_old(connection: Connection, beginning: str, before: datetime) -> int:
    """Deletes what begins so and has not changed since, while it is listed; gives how many."""
    old = (found.name for found in listed(connection, beginning) if found.changed_at < before)
    removed = 0
    while names := list(islice(old, _PAGE)):
        remove(connection, names)
        removed += len(names)
    return removed
