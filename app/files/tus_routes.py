"""The HTTP door of uploads that go on later: tus 1.0 (https://tus.io/protocols/resumable-upload)."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from flask import Blueprint, Response, request

from app.errors import (
    ChecksumMismatch,
    FileIdReused,
    FilesWaiting,
    NotFound,
    PreconditionFailed,
    QuotaExceeded,
    TooLarge,
    UnsupportedMediaType,
    UploadBusy,
    WrongOffset,
)
from app.files import service
from app.files.tus_headers import (
    PIECE_TYPE,
    VERSION,
    CreationHeaders,
    PieceHeaders,
    TusHeaders,
    abilities,
    progress_headers,
    read_checksum,
    read_metadata,
)
from app.infra.db import UnitOfWork
from app.web.authentication import Caller, require_live_session
from app.web.body import incoming
from app.web.endpoint import RawBody, operation
from config import settings

blueprint = Blueprint("tus", __name__, url_prefix="/files/tus")


@blueprint.after_request
def name_version(response: Response) -> Response:
    """Errors name the version too, as tus asks for."""
    response.headers.setdefault("Tus-Resumable", VERSION)
    if response.status_code == PreconditionFailed.status:
        response.headers["Tus-Version"] = VERSION
    return response


def _still(caller: Caller) -> Callable[[UnitOfWork], None]:
    """Raises SessionRevoked where the caller was signed out meanwhile."""
    return lambda unit: require_live_session(unit, caller)


_PIECE = {"type": "string", "format": "binary"}


@blueprint.route("", methods=["OPTIONS"], provide_automatic_options=False)
@operation(authentication="none")
def describe() -> Response:
    """What this server can of tus."""
    return Response(status=204, headers=abilities())


@blueprint.post("", provide_automatic_options=False)
@operation(
    status=201,
    also=(200,),
    takes=RawBody(PIECE_TYPE, _PIECE, is_required=False),
    raises=(PreconditionFailed, FileIdReused, FilesWaiting, QuotaExceeded, UploadBusy, WrongOffset),
    action="uploads",
)
def begin(headers: CreationHeaders, caller: Caller) -> Response:
    """Begin an upload that may go on later; where it is to be sent says `Location`.

    The file gets the `id` of the metadata, if there is one: beginning it once more goes on with the same upload (200).
    With a body of the type of pieces, that is the first piece.
    """
    name, file_id = read_metadata(headers.metadata)
    has_piece = request.mimetype == PIECE_TYPE
    if request.mimetype and not has_piece:
        raise UnsupportedMediaType(f"Send pieces as {PIECE_TYPE}.")
    progress, is_new = service.begin_upload(caller.user_id, file_id, name, headers.length, headers.metadata)
    if has_piece and is_new:
        progress = service.append(caller.user_id, file_id, 0, incoming(headers.length), _still(caller))
    location = {"Location": f"/api/files/tus/{file_id}"}
    return Response(status=201 if is_new else 200, headers=location | progress_headers(progress))


@blueprint.route("/<uuid:file_id>", methods=["HEAD"], provide_automatic_options=False)
@operation(status=200, raises=(NotFound, PreconditionFailed, FilesWaiting, QuotaExceeded, UploadBusy))
def progress(file_id: UUID, headers: TusHeaders, caller: Caller) -> Response:  # noqa: ARG001 - read for the version.
    """How far an upload has come."""
    found = service.get_progress(caller.user_id, file_id)
    about = {"Upload-Length": str(found.size), "Cache-Control": "no-store"}
    if found.metadata:
        about["Upload-Metadata"] = found.metadata
    return Response(status=200, headers=about | progress_headers(found))


@blueprint.patch("/<uuid:file_id>", provide_automatic_options=False)
@operation(
    takes=RawBody(PIECE_TYPE, _PIECE),
    raises=(
        ChecksumMismatch,
        NotFound,
        PreconditionFailed,
        FilesWaiting,
        QuotaExceeded,
        TooLarge,
        UploadBusy,
        WrongOffset,
    ),
)
def add(file_id: UUID, headers: PieceHeaders, caller: Caller) -> Response:
    """Add a piece to an upload; the last one makes it a file, which is then looked at.

    With a checksum all of the piece is kept or nothing.
    """
    if request.mimetype != PIECE_TYPE:
        raise UnsupportedMediaType(f"Send pieces as {PIECE_TYPE}.")
    chunks, checksum = incoming(settings().max_file_size), read_checksum(headers.checksum)
    found = service.append(caller.user_id, file_id, headers.offset, chunks, _still(caller), checksum)
    return Response(status=204, headers=progress_headers(found))


@blueprint.delete("/<uuid:file_id>", provide_automatic_options=False)
@operation(raises=(NotFound, PreconditionFailed, UploadBusy))
def end(file_id: UUID, headers: TusHeaders, caller: Caller) -> Response:  # noqa: ARG001 - read for the version.
    """End an upload that is not finished; what came of it is removed."""
    service.end_upload(caller.user_id, file_id)
    return Response(status=204, headers={"Tus-Resumable": VERSION})


@blueprint.route("/<uuid:file_id>", methods=["OPTIONS"], provide_automatic_options=False)
@operation(authentication="none")
def describe_upload(file_id: UUID) -> Response:  # noqa: ARG001 - what the server can is the same for each.
    """What this server can of tus."""
    return Response(status=204, headers=abilities())
