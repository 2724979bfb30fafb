"""The HTTP door of uploads that go to the storage itself."""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint

from app.errors import (
    Conflict,
    DirectUploadUnavailable,
    FileIdReused,
    FilesWaiting,
    NotFound,
    QuotaExceeded,
    TooLarge,
    UploadBusy,
)
from app.files import service
from app.files.schemas import DirectUpload, File, NewDirectUpload
from app.web.authentication import Caller
from app.web.endpoint import Answer, operation

blueprint = Blueprint("direct_uploads", __name__, url_prefix="/files/direct")


@blueprint.post("")
@operation(
    answers=DirectUpload,
    status=201,
    raises=(DirectUploadUnavailable, FileIdReused, FilesWaiting, QuotaExceeded, TooLarge),
    action="uploads",
)
def offer(body: NewDirectUpload, caller: Caller) -> DirectUpload:
    """Get a form to send a file with to S3 itself.

    Post it within an hour, and say so here afterwards. A server that keeps files in a folder has none. With the same
    `id` and size the same form is given again. Its size counts for what you may have for two hours.
    """
    return service.offer_upload(caller.user_id, body)


@blueprint.post("/<uuid:file_id>")
@operation(answers=File, status=201, also=(200,), raises=(Conflict, NotFound, FilesWaiting, QuotaExceeded, UploadBusy))
def accept(file_id: UUID, caller: Caller) -> Answer:
    """Say that the file was sent with the form: it becomes a file of yours, and is looked at."""
    file, is_new = service.accept_upload(caller.user_id, file_id)
    return Answer(file, 201 if is_new else 200)
