"""The HTTP door of files."""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint, Response, request

from app.errors import (
    FileIdReused,
    FilesWaiting,
    FileUnavailable,
    Forbidden,
    InvalidLink,
    LinkExpired,
    MalformedRequest,
    NotFound,
    QuotaExceeded,
    RangeNotSatisfiable,
    UnsupportedMediaType,
    ValidationFailed,
)
from app.files import service
from app.files.answers import answer
from app.files.multipart import LARGEST_SURROUNDINGS, MultipartForm
from app.files.schemas import File, FileQuery
from app.infra.db import UnitOfWork, reading, unit_of_work
from app.web.authentication import Caller, require_live_session
from app.web.body import incoming
from app.web.endpoint import Answer, Bytes, RawBody, operation
from config import settings

blueprint = Blueprint("files", __name__, url_prefix="/files")

_FORM = RawBody(
    "multipart/form-data",
    {
        "type": "object",
        "properties": {
            "file": {"type": "string", "format": "binary"},
            "id": {"type": "string", "format": "uuid", "description": "Repeating an upload gives the same file."},
        },
        "required": ["file"],
        "additionalProperties": False,
    },
)


@blueprint.post("/upload")
@operation(
    answers=File,
    status=201,
    also=(200,),
    takes=_FORM,
    raises=(FileIdReused, FilesWaiting, QuotaExceeded, ValidationFailed),
    action="uploads",
)
def upload(caller: Caller) -> Answer:
    """Upload a file.

    It is `processing` until it was looked at; `file_updated` tells when. With an `id` of yours it may be repeated:
    the same file is answered with 200.
    """
    if request.mimetype != "multipart/form-data":
        raise UnsupportedMediaType("Send the file as multipart/form-data.")
    boundary = request.mimetype_params.get("boundary", "")
    if not boundary or not boundary.isascii() or len(boundary) > 200:
        raise MalformedRequest("The form has no boundary.")
    chunks = incoming(settings().max_file_size + LARGEST_SURROUNDINGS)
    form = MultipartForm(chunks, boundary, service.FORM_FIELDS)
    declared = max(0, (request.content_length or 0) - LARGEST_SURROUNDINGS)
    file, is_new = service.receive_file(caller.user_id, form, declared, lambda unit: require_live_session(unit, caller))
    return Answer(file, 201 if is_new else 200)


@blueprint.get("/<uuid:file_id>")
@operation(
    answers=Bytes,
    also=(206,),
    raises=(FileUnavailable, Forbidden, InvalidLink, LinkExpired, RangeNotSatisfiable),
    authentication="link",
    action="downloads",
)
def download(file_id: UUID, query: FileQuery, caller: Caller) -> Response:
    """The bytes of a file, or of one of its thumbnails.

    For its owner, and for members of chats where they see a message that shows it; avatars of people and of public
    chats for everybody, those of other chats for their members. Takes Range, If-Range and If-None-Match. Where files
    are kept in S3 the answer is a redirect (302) to them.
    """
    with reading() as unit:
        content = service.get_content(unit, caller.user_id, file_id, query.thumbnail)
    return answer(content, query.download)


@blueprint.get("/<uuid:file_id>/info")
@operation(answers=File, raises=(NotFound,))
def describe(file_id: UUID, caller: Caller, unit: UnitOfWork) -> File:
    """What is known of a file, with fresh links."""
    return service.get_file(unit, caller.user_id, file_id)


@blueprint.delete("/<uuid:file_id>")
@operation(raises=(Forbidden, NotFound))
def delete(file_id: UUID, caller: Caller) -> None:
    """Delete a file of yours, wherever it is shown.

    It is gone at once, from storage too. Messages that show it lose it, and stay.
    """
    with unit_of_work() as unit:
        keys = service.delete_file(unit, caller.user_id, file_id)
    service.discard(keys)
