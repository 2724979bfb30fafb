"""What every storage of files offers, and how it says no.

An object is a row of bytes under a random key (`keys.new_key()`). It is there whole or not at all, whatever dies.
Everything here raises BadKey for a key that is not of our shape, and `app.errors.Unavailable` where the disk or the
server fails. What the caller's own `chunks` raise comes out as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, Self

# Bytes of one piece that is read, and about those of one that is written.
PIECE = 131_072
# The content type of what nobody has looked at.
ANY_TYPE = "application/octet-stream"


class NoSuchObject(Exception):
    """There is no object under the key."""


class NoSuchUpload(Exception):
    """The upload was never begun, or was abandoned or removed."""


class WrongOffset(Exception):
    """Bytes came for another place than the end; `length` is where the upload goes on."""

    def __init__(self, length: int) -> None:
        self.length = length
        super().__init__(f"the upload goes on at {length}")


class UploadBusy(Exception):
    """Somebody else appends to the upload at this moment."""


@dataclass(frozen=True, slots=True)
class Stored:
    """An object as it is listed; `size` is in bytes."""

    key: str
    size: int
    changed_at: datetime


@dataclass(frozen=True, slots=True)
class Upload:
    """An upload that goes on later. Whoever began it keeps both; the token is at most 1,024 characters."""

    key: str
    token: str


@dataclass(frozen=True, slots=True)
class UploadForm:
    """A form that a browser may post, with the file as its last field `file`, to the storage itself."""

    url: str
    fields: dict[str, str]


class Reading(Protocol):
    """The pieces of an object, one after the other. Holds a file or connection until its end or `close()`."""

    def __iter__(self) -> Iterator[bytes]: ...
    def __next__(self) -> bytes: ...
    def __enter__(self) -> Self: ...
    def __exit__(self, *_: object) -> None: ...
    def close(self) -> None:
        """Gives back what it holds; may be called at any time, and again."""


def nothing() -> None:
    """What is to be done meanwhile where there is nothing."""


class Storage(Protocol):
    """Keeps objects."""

    def store(self, key: str, chunks: Iterable[bytes], content_type: str) -> None:
        """Keeps the chunks as one object, without holding them in memory; replaces what the key held.

        Where `chunks` raises, nothing is kept.
        """

    def read(self, key: str, start: int = 0, stop: int | None = None) -> Reading:
        """Opens the bytes from `start` up to, not with, `stop`; those past the end are none. Raises NoSuchObject."""

    def size(self, key: str) -> int:
        """The bytes of an object; raises NoSuchObject."""

    def delete(self, keys: Sequence[str]) -> None:
        """Removes objects, and what was posted for them; those that are gone already are no error. Where it fails, some
        may be gone.
        """

    def keys(self, prefix: str = "", after: str = "", limit: int = 1000) -> list[Stored]:
        """Up to `limit` objects, in the order of their keys: those that begin with `prefix` and come after `after`.

        One that is deleted meanwhile may be left out or shown.
        """

    def begin_upload(self, key: str, content_type: str = ANY_TYPE) -> Upload:
        """Begins an object that comes in pieces; it is not there before finish_upload()."""

    def length(self, upload: Upload) -> int:
        """How many bytes of the upload are kept: where it goes on, also after a crash. Raises NoSuchUpload."""

    def append(
        self,
        upload: Upload,
        offset: int,
        chunks: Iterable[bytes],
        *,
        whole: bool = False,
        meanwhile: Callable[[], object] = nothing,
    ) -> int:
        """Adds the chunks at `offset`, which must be the present length; gives the new length.

        Where `chunks` raises, what came before is kept; with `whole` (for bytes that are only good once their checksum
        was seen) nothing is. One at a time: the caller holds a lock on the upload, since not every storage can see a
        second one; with `whole`, `meanwhile` is called while the bytes are kept that were seen. Raises NoSuchUpload,
        WrongOffset, UploadBusy.
        """

    def finish_upload(self, upload: Upload) -> int:
        """Makes the object appear; gives its size. Doing it again is no error. Raises NoSuchUpload, UploadBusy."""

    def abandon_upload(self, upload: Upload) -> None:
        """Removes what was kept of an unfinished upload; one that is gone already is no error."""

    def download_link(self, key: str, content_type: str, disposition: str, seconds: int) -> str | None:
        """A link to the bytes, good for so long, with these headers; None where this storage has none to give.

        Does not look whether the object is there.
        """

    def upload_form(self, key: str, content_type: str, largest: int, seconds: int) -> UploadForm | None:
        """A form for up to `largest` bytes, good for so long; None where this storage takes none.

        What is posted is no object before accept_posted(): a form may be posted again, and would else replace what was
        looked at already.
        """

    def accept_posted(self, key: str, target: str) -> int:
        """Makes an object under the key `target` of what was posted with the form of `key`; gives its size.

        What was posted stays, and whoever has the form may post again, until `key` is deleted and the form is dead.
        Raises NoSuchObject where nothing was posted.
        """

    def internal_path(self, key: str) -> str | None:
        """Where the object lies inside UPLOAD_DIR, for a web server that sends it; None where it is not on a disk."""

    def remove_leftovers(self, before: datetime, posted_before: datetime) -> int:
        """Removes what nobody has touched since: unfinished uploads, and what killed processes were storing; and what
        was posted before another moment, with forms that are dead.

        Gives how many. Objects are never touched.
        """
