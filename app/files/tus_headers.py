"""What tus 1.0 says in headers: read from requests, and written to answers."""

from __future__ import annotations

import base64
import binascii
from email.utils import format_datetime
from typing import Annotated
from uuid import UUID, uuid4

from pydantic import AfterValidator, Field

from app.errors import MalformedRequest, PreconditionFailed, ValidationFailed
from app.files.names import clean_name
from app.files.service import CHECKSUMS, Checksum, Progress, read_id
from app.web.input import LARGEST_ID, Headers, Text
from config import settings

VERSION = "1.0.0"
EXTENSIONS = "creation,creation-with-upload,expiration,checksum,termination"
PIECE_TYPE = "application/offset+octet-stream"


def _of_ours(version: str | None) -> str:
    """The version itself; raises PreconditionFailed for another one, before anything else is looked at."""
    if version != VERSION:
        raise PreconditionFailed
    return version


_Version = Annotated[
    Text | None,
    AfterValidator(_of_ours),
    Field(alias="Tus-Resumable", validate_default=True, description=f"`{VERSION}`."),
]
_Number = Annotated[int, Field(ge=0, le=LARGEST_ID)]


class TusHeaders(Headers):
    """Of every request. Reading them raises PreconditionFailed for another version."""

    version: _Version = None


class CreationHeaders(TusHeaders):
    """Of the beginning of an upload."""

    length: Annotated[_Number, Field(alias="Upload-Length", description="Bytes of the whole file.")]
    metadata: Annotated[
        Text,
        Field(
            alias="Upload-Metadata",
            max_length=4000,
            description="`filename` and, to make it repeatable, `id`, a UUID; the values in base64.",
        ),
    ] = ""


class PieceHeaders(TusHeaders):
    """Of a piece."""

    offset: Annotated[_Number, Field(alias="Upload-Offset", description="Where the piece belongs.")]
    checksum: Annotated[
        Text | None, Field(alias="Upload-Checksum", max_length=200, description="Algorithm and base64 of the digest.")
    ] = None


def read_metadata(given: str) -> tuple[str, UUID]:
    """The name and the id that an Upload-Metadata names, or ones of ours; raises ValidationFailed."""
    values = dict(_metadata_pair(pair) for pair in given.split(",") if pair.strip())
    name = values.get("filename", values.get("name", ""))
    return clean_name(name), read_id(values["id"]) if "id" in values else uuid4()


def _metadata_pair(pair: str) -> tuple[str, str]:
    name, _, value = pair.strip().partition(" ")
    try:
        return name, base64.b64decode(value.strip(), validate=True).decode()
    except (binascii.Error, ValueError):
        raise _refused("Upload-Metadata", "must hold names with values in base64, separated by commas") from None


def read_checksum(given: str | None) -> Checksum | None:
    """What an Upload-Checksum says; raises ValidationFailed, or MalformedRequest for an algorithm that is not known."""
    if given is None:
        return None
    algorithm, _, value = given.partition(" ")
    if algorithm not in CHECKSUMS:
        # tus wants a 400 for it.
        raise MalformedRequest(f"Upload-Checksum must begin with one of {', '.join(CHECKSUMS)}.")
    try:
        return Checksum(algorithm, base64.b64decode(value, validate=True))
    except (binascii.Error, ValueError):
        raise _refused("Upload-Checksum", "must hold a digest in base64") from None


def progress_headers(progress: Progress) -> dict[str, str]:
    """How far an upload has come."""
    headers = {"Tus-Resumable": VERSION, "Upload-Offset": str(progress.offset)}
    if progress.expires_at is not None:
        headers["Upload-Expires"] = format_datetime(progress.expires_at, usegmt=True)
    return headers


def abilities() -> dict[str, str]:
    """What this server can."""
    return {
        "Tus-Resumable": VERSION,
        "Tus-Version": VERSION,
        "Tus-Extension": EXTENSIONS,
        "Tus-Max-Size": str(int(settings().max_file_size)),
        "Tus-Checksum-Algorithm": ",".join(CHECKSUMS),
    }


def _refused(header: str, message: str) -> ValidationFailed:
    return ValidationFailed(errors=[{"field": header, "message": message}])
