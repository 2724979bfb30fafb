"""Uploads that go on later. Storage knows how far each has come; the last piece makes it a file of the same id."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import structlog

from app.errors import ChecksumMismatch, FileIdReused, NotFound, TooLarge, UploadBusy, WrongOffset
from app.files.queries import files, objects, uploads
from app.files.service import storing
from app.files.service.ending import abandon
from app.files.service.leases import Lease, leased
from app.infra import storage as kept
from app.infra.db import UnitOfWork, reading, unit_of_work
from app.infra.storage import new_key, storage
from config import settings

log = structlog.get_logger(__name__)

CHECKSUMS = ("sha1", "sha256", "md5")
# How long the bytes of an upload that has expired are kept from a request that just finishes it.
_GRACE = 3600


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an upload has come, in bytes; a finished one does not expire."""

    id: UUID
    offset: int
    size: int
    metadata: str
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class Checksum:
    """What a piece must hash to."""

    algorithm: str
    digest: bytes


def begin_upload(owner_id: int, file_id: UUID, name: str, size: int, metadata: str) -> tuple[Progress, bool]:
    """Begins an upload, and tells whether it is new: with the same id and size the same one goes on.

    One of no bytes is a file at once. Raises TooLarge, QuotaExceeded, FileIdReused, FilesWaiting, UploadBusy, or
    RateLimited where the person has too many that are not finished.
    """
    if size > settings().max_file_size:
        raise TooLarge("The file is larger than this server accepts.")
    found = _known(owner_id, file_id)
    if found is not None:
        if found.size != size:
            raise FileIdReused
        return found, False
    key, seconds = new_key(), settings().upload_expiry
    with unit_of_work() as unit:
        objects.expect(unit, key, seconds + _GRACE)
    begun = storage().begin_upload(key)
    try:
        new = uploads.NewUpload(file_id, owner_id, "tus", key, begun.token, name, size, metadata, seconds)
        row = storing.add_upload(new)
    except BaseException as error:
        storage().abandon_upload(begun)
        storing.discard([key])
        # The same beginning, sent twice, may have been quicker.
        found = _known(owner_id, file_id) if isinstance(error, FileIdReused) else None
        if found is not None and found.size == size:
            return found, False
        raise
    if not size:
        _finish(row)
    return Progress(file_id, 0, size, metadata, row.expires_at if size else None), True


def get_progress(owner_id: int, file_id: UUID) -> Progress:
    """How far an upload has come; raises NotFound for what is not the person's, or has expired, or UploadBusy."""
    found = _known(owner_id, file_id)
    if found is None:
        raise NotFound("There is no such upload of yours, or it has expired.")
    return found


def append(
    owner_id: int,
    file_id: UUID,
    offset: int,
    chunks: Iterator[bytes],
    allowed: Callable[[UnitOfWork], None],
    checksum: Checksum | None = None,
) -> Progress:
    """Adds bytes at `offset`; those that came before the client went away are kept.

    `allowed` is asked before the last of them make a file, since bytes come as slowly as the client likes.
    Raises NotFound, WrongOffset, UploadBusy, TooLarge (more than the upload's size), ChecksumMismatch (then nothing of
    them is kept), and what reading the chunks and `allowed` raise.
    """
    row = _find(owner_id, file_id)
    if row is None:
        done = get_progress(owner_id, file_id)
        if offset != done.offset or next(chunks, None) is not None:
            raise WrongOffset
        return done
    with leased(row.id) as lease:
        checked = _Checked(chunks, row.size - offset, checksum, lease)
        try:
            is_checked = checksum is not None
            length = storage().append(_upload(row), offset, checked, whole=is_checked, meanwhile=lease.renew)
            if length == row.size:
                with reading() as unit:
                    allowed(unit)
                _finish(row)
                return _finished(row)
        except kept.WrongOffset as error:
            raise WrongOffset(f"The upload goes on at {error.length}.") from None
        except kept.UploadBusy:
            raise UploadBusy(retry_after=1) from None
        except kept.NoSuchUpload:
            raise NotFound("There is no such upload of yours, or it has expired.") from None
    return Progress(row.id, length, row.size, row.metadata, row.expires_at)


def end_upload(owner_id: int, file_id: UUID) -> None:
    """Ends an upload that is not finished, and removes what was kept of it; raises NotFound or UploadBusy."""
    row = _find(owner_id, file_id)
    if row is None:
        raise NotFound("There is no such upload of yours, or it is finished.")
    with leased(row.id):
        abandon(row)


def _known(owner_id: int, file_id: UUID) -> Progress | None:
    """What is there under this id: an upload, or the file that it has become. Raises UploadBusy."""
    row = _find(owner_id, file_id)
    if row is not None:
        try:
            length = storage().length(_upload(row))
        except kept.NoSuchUpload:
            return _found_dead(row)
        if length < row.size:
            return Progress(row.id, length, row.size, row.metadata, row.expires_at)
        # It died before it was made a file. Who hears that all is there asks for nothing more.
        with leased(row.id):
            _finish(row)
        return _finished(row)
    with reading() as unit:
        file = files.known(unit, file_id)
    if file is None or file.owner_id != owner_id or file.is_deleted:
        return None
    return Progress(file_id, file.size, file.size, "", None)


def _found_dead(row: uploads.UploadRow) -> Progress | None:
    """An upload that storage knows nothing of: finished but for the file, or lost, and then its id is free again."""
    if _is_whole(row):
        _finish(row)
        return _finished(row)
    with leased(row.id):
        abandon(row)
    return None


def _finished(row: uploads.UploadRow) -> Progress:
    return Progress(row.id, row.size, row.size, row.metadata, None)


def _find(owner_id: int, file_id: UUID) -> uploads.UploadRow | None:
    with reading() as unit:
        return uploads.find(unit, owner_id, file_id, "tus")


def _upload(row: uploads.UploadRow) -> kept.Upload:
    return kept.Upload(row.key, row.token)


def _is_whole(row: uploads.UploadRow) -> bool:
    try:
        return storage().size(row.key) == row.size
    except kept.NoSuchObject:
        return False


def _finish(row: uploads.UploadRow) -> None:
    """Makes the object appear, and then the file; safe to do again. Raises NotFound where others added bytes to it."""
    size = storage().finish_upload(_upload(row))
    if size != row.size:
        log.error("upload_damaged", file_id=str(row.id), size=size)
        abandon(row)
        raise NotFound("The upload was damaged on its way and is gone: send it again.")
    storing.finish(row, row.key, size)


class _Checked:
    """The chunks, counted and hashed on their way, and the lease kept meanwhile."""

    def __init__(self, chunks: Iterator[bytes], most: int, checksum: Checksum | None, lease: Lease) -> None:
        self._chunks = chunks
        self._left = most
        self._checksum = checksum
        self._lease = lease

    def __iter__(self) -> Iterator[bytes]:
        digest = hashlib.new(self._checksum.algorithm, usedforsecurity=False) if self._checksum else None
        for chunk in self._chunks:
            self._left -= len(chunk)
            if self._left < 0:
                raise TooLarge("More bytes came than the upload is to have.")
            if digest is not None:
                digest.update(chunk)
            self._lease.renew()
            yield chunk
        if digest is not None and self._checksum and not hmac.compare_digest(digest.digest(), self._checksum.digest):
            raise ChecksumMismatch
