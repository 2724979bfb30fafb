"""Uploads that go to the storage itself, by a form that it has signed."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from uuid import UUID, uuid4

from app.errors import Conflict, DirectUploadUnavailable, FileIdReused, NotFound, TooLarge, Unavailable
from app.files.file import File, present
from app.files.names import clean_name
from app.files.queries import files, objects, uploads
from app.files.schemas import DirectUpload, NewDirectUpload
from app.files.service import storing
from app.files.service.leases import leased
from app.infra.db import reading, unit_of_work
from app.infra.storage import ANY_TYPE, NoSuchObject, new_key, storage
from app.infra.times import rfc3339
from config import settings

# How long the form may be posted, and how much longer what was posted is kept for who says so.
_FORM_SECONDS = 3600
_GRACE = 3600


def offer_upload(owner_id: int, wanted: NewDirectUpload) -> DirectUpload:
    """A form for one file, the same one where it is asked for again with the same id and size.

    Raises DirectUploadUnavailable, TooLarge, QuotaExceeded, FilesWaiting or FileIdReused.
    """
    if wanted.size > settings().max_file_size:
        raise TooLarge("The file is larger than this server accepts.")
    row = _offered(owner_id, wanted)
    key, seconds = (new_key(), _FORM_SECONDS) if row is None else (row.key, _seconds_left(row))
    form = storage().upload_form(key, ANY_TYPE, wanted.size, seconds)
    if form is None:
        raise DirectUploadUnavailable
    if row is None:
        try:
            row = _noted(owner_id, wanted, key)
        except FileIdReused:
            # The same request at the same moment may have been first; then that one's form is given.
            if _offered(owner_id, wanted) is None:
                raise
            return offer_upload(owner_id, wanted)
    return {"id": str(row.id), "url": form.url, "fields": form.fields, "expires_at": rfc3339(row.expires_at)}


def accept_upload(owner_id: int, file_id: UUID) -> tuple[File, bool]:
    """Makes a file of what was posted with a form, and tells whether it is new: doing it again gives the same file.

    Raises NotFound, Conflict where nothing was posted yet, QuotaExceeded, FilesWaiting or UploadBusy.
    """
    with reading() as unit:
        row = uploads.find(unit, owner_id, file_id, "form")
    file = None
    if row is not None:
        with leased(row.id):
            file = _accept(row)
    if file is not None:
        return file, True
    with reading() as unit:
        found = files.find(unit, file_id)
    if found is None or found.owner_id != owner_id:
        raise NotFound("There is no such upload of yours, or it has expired.")
    return present(found, owner_id), False


def _noted(owner_id: int, wanted: NewDirectUpload, key: str) -> uploads.UploadRow:
    seconds = _FORM_SECONDS + _GRACE
    with unit_of_work() as unit:
        objects.expect(unit, key, seconds + _GRACE)
    name = clean_name(wanted.name)
    try:
        return storing.add_upload(
            uploads.NewUpload(wanted.id or uuid4(), owner_id, "form", key, "", name, wanted.size, "", seconds)
        )
    except BaseException:
        storing.discard([key])
        raise


def _offered(owner_id: int, wanted: NewDirectUpload) -> uploads.UploadRow | None:
    """The offer that the same request was answered with before, if it can still be used."""
    if wanted.id is None:
        return None
    with reading() as unit:
        row = uploads.find(unit, owner_id, wanted.id, "form")
    return row if row is not None and row.size == wanted.size and _seconds_left(row) > 0 else None


def _seconds_left(row: uploads.UploadRow) -> int:
    """For how long the form may be posted."""
    return int((row.expires_at - datetime.now(UTC)).total_seconds()) - _GRACE


def _accept(row: uploads.UploadRow) -> File | None:
    """Makes a file of a copy, since the form may be posted again; None where another request has made one.

    The form's key stays noted and its row counts until the form is dead, so that what is posted later is removed too.
    """
    key, file = new_key(), None
    with unit_of_work() as unit:
        storing.check_waiting(unit, row.owner_id)
        objects.expect(unit, key, _GRACE)
    try:
        size = storage().accept_posted(row.key, key)
        file = storing.finish(row, key, size)
    except NoSuchObject:
        raise Conflict("Nothing has been sent with the form yet.") from None
    finally:
        if file is None:
            storing.discard([key])
    with suppress(Unavailable):
        storage().delete([row.key])
    return file
