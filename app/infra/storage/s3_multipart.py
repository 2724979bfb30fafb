"""An object that is sent to S3 in parts, and what it is known to have so far."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from app.errors import Unavailable
from app.infra.storage.protocol import NoSuchObject, NoSuchUpload
from app.infra.storage.s3_connection import Connection, s3_errors
from app.infra.storage.s3_objects import size_of
from app.infra.storage.spool import Spool


@dataclass(frozen=True, slots=True)
class Part:
    """A part that the server has; numbers begin with 1."""

    number: int
    size: int
    etag: str
    changed_at: datetime


class Multipart:
    """One multipart upload; `name` is the object's."""

    def __init__(self, connection: Connection, name: str, token: str) -> None:
        self._connection = connection
        self._name = name
        self.token = token

    @classmethod
    def begin(cls, connection: Connection, name: str, content_type: str) -> Multipart:
        """Begins it; nothing is visible before complete()."""
        with s3_errors():
            begun = connection.client.create_multipart_upload(
                Bucket=connection.bucket, Key=name, ContentType=content_type
            )
        return cls(connection, name, begun["UploadId"])

    def parts(self) -> list[Part]:
        """What the server has, in order. Raises NoSuchUpload."""
        pages = self._connection.client.get_paginator("list_parts").paginate(**self._itself())
        with s3_errors():
            return [
                Part(part["PartNumber"], part["Size"], part["ETag"], part["LastModified"])
                for page in pages
                for part in page.get("Parts", [])
            ]

    def send(self, number: int, body: Spool) -> Part:
        """Sends one part; sending the same number again replaces it. Raises NoSuchUpload."""
        body.seek(0)
        with s3_errors():
            sent = self._connection.client.upload_part(
                **self._itself(), PartNumber=number, Body=body, ContentLength=body.size
            )
        return Part(number, body.size, sent["ETag"], datetime.now(UTC))

    def complete(self, parts: list[Part]) -> None:
        """Makes the object appear. Raises NoSuchUpload where it neither is nor was just now completed."""
        listed: list[dict[str, Any]] = [{"PartNumber": part.number, "ETag": part.etag} for part in parts]
        try:
            with s3_errors():
                self._connection.client.complete_multipart_upload(**self._itself(), MultipartUpload={"Parts": listed})
        except NoSuchUpload:
            # The answer to a first try may have been lost on its way.
            with suppress(NoSuchObject):
                if size_of(self._connection, self._name) == sum(part.size for part in parts):
                    return
            raise

    def abort(self) -> None:
        """Removes all parts; an upload that is gone already is no error."""
        with suppress(NoSuchUpload), s3_errors():
            self._connection.client.abort_multipart_upload(**self._itself())

    def try_to_abort(self) -> None:
        """The same where something went wrong already; what stays is a leftover."""
        with suppress(Unavailable):
            self.abort()

    def _itself(self) -> dict[str, str]:
        return {"Bucket": self._connection.bucket, "Key": self._name, "UploadId": self.token}
