"""Objects that are stored before their file is: noted first, so that none is left, whatever dies."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from app.errors import FileIdReused, FilesWaiting, QuotaExceeded, RateLimited, Unavailable
from app.files.file import File, present
from app.files.queries import files, objects, uploads
from app.infra import jobs
from app.infra.db import UnitOfWork, unit_of_work
from app.infra.storage import storage
from config import settings

# After how many seconds it is worth asking again whether files were looked at.
_WAITING_SECONDS = 10
# The same for uploads that are not finished, which clients finish or end, or their time does.
_UNFINISHED_SECONDS = 60


def check_room(unit: UnitOfWork, owner_id: int, size: int = 0) -> None:
    """Raises QuotaExceeded where a person's files and so many more bytes are more than FILE_QUOTA."""
    if files.bytes_used(unit, owner_id) + size > settings().file_quota:
        raise QuotaExceeded


def check_waiting(unit: UnitOfWork, owner_id: int) -> None:
    """Raises FilesWaiting where a person has enough files that are yet to be looked at: others wait behind them."""
    if files.waiting(unit, owner_id) >= settings().files_waiting:
        raise FilesWaiting(retry_after=_WAITING_SECONDS)


def add_file(unit: UnitOfWork, new: files.NewFile, counted: int = 0) -> tuple[File, bool]:
    """Makes a file of an object that was expected, and has it looked at; tells whether it is new.

    So many of its bytes are `counted` for the quota already. Where the person has the same file under this id that one
    is given, and the object is not needed. Raises FileIdReused, QuotaExceeded, or Unavailable where storing took so
    long that the object may be gone.
    """
    files.lock_owner(unit, new.owner_id)
    is_new = not uploads.is_taken(unit, new.id) and files.insert(unit, new)
    if is_new:
        if not objects.claim(unit, new.key):
            raise Unavailable("Storing the file took too long: please try again.")
        check_room(unit, new.owner_id, -counted)
        jobs.enqueue(unit, jobs.PROCESS_FILE, file_id=str(new.id))
    elif not _is_same(new, files.known(unit, new.id)):
        raise FileIdReused
    row = files.find(unit, new.id)
    if row is None:
        # Its owner has deleted it in this moment.
        raise FileIdReused
    return present(row, new.owner_id), is_new


def add_upload(new: uploads.NewUpload) -> uploads.UploadRow:
    """Notes an upload that begins; raises FileIdReused, FilesWaiting, RateLimited, or QuotaExceeded: it would not fit
    once whole.
    """
    with unit_of_work() as unit:
        files.lock_owner(unit, new.owner_id)
        row = None if files.known(unit, new.id) is not None else uploads.insert(unit, new)
        if row is None:
            raise FileIdReused
        check_room(unit, new.owner_id)
        check_waiting(unit, new.owner_id)
        _check_unfinished(unit, new)
    return row


def finish(upload: uploads.UploadRow, key: str, size: int) -> File | None:
    """Makes a file of an upload whose object is there whole under `key`; None where that was done already.

    Raises FilesWaiting, and then it may be done again; QuotaExceeded or FileIdReused, and then the upload and the
    object are given up.
    """
    new = files.NewFile(upload.id, upload.owner_id, upload.name, size, None, key)
    try:
        with unit_of_work() as unit:
            files.lock_owner(unit, upload.owner_id)
            if not uploads.end(unit, upload):
                return None
            check_waiting(unit, upload.owner_id)
            return add_file(unit, new, upload.counts_on)[0]
    except (QuotaExceeded, FileIdReused):
        with unit_of_work() as unit:
            uploads.end(unit, upload)
        discard([key])
        raise


def discard(keys: Sequence[str]) -> None:
    """Removes objects that no file needs; what cannot be removed now, a sweep removes."""
    with suppress(Unavailable):
        with unit_of_work() as unit:
            objects.give_up(unit, keys)
        remove_now(keys)


def remove_now(keys: Sequence[str]) -> None:
    """Removes objects whose keys are due; raises Unavailable, and then a sweep removes them."""
    storage().delete(keys)
    with unit_of_work() as unit:
        objects.forget(unit, keys)


def _check_unfinished(unit: UnitOfWork, new: uploads.NewUpload) -> None:
    """For an upload that is noted already; raises RateLimited where that is more than UPLOADS_UNFINISHED."""
    if new.method == "tus" and uploads.unfinished(unit, new.owner_id) > settings().uploads_unfinished:
        raise RateLimited(
            "Too many of your uploads are not finished: finish or end some first.", retry_after=_UNFINISHED_SECONDS
        )


def _is_same(new: files.NewFile, known: files.Known | None) -> bool:
    if known is None or known.is_deleted or (known.owner_id, known.size) != (new.owner_id, new.size):
        return False
    return known.sha256 is None or known.sha256 == new.sha256
