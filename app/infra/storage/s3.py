"""Files in a bucket of S3, or of any server that speaks like it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from itertools import islice
from pathlib import Path

from botocore.exceptions import ClientError

from app.errors import Unavailable
from app.infra.storage.keys import checked, checked_beginning, is_key
from app.infra.storage.protocol import ANY_TYPE, NoSuchUpload, Stored, Upload, UploadForm, nothing
from app.infra.storage.s3_connection import Connection, Server, error_code, s3_errors
from app.infra.storage.s3_multipart import Multipart, Part
from app.infra.storage.s3_objects import OBJECTS, POSTED, listed, remove, remove_old, size_of
from app.infra.storage.s3_reading import S3Reading
from app.infra.storage.s3_uploads import S3Uploads
from app.infra.storage.spool import Spool, gathered

# What is larger is sent in parts of this size.
_PART = 16 << 20


class S3Storage:
    """Keeps objects in a bucket; see Storage for what each call does."""

    def __init__(self, server: Server, spool_folder: Path) -> None:
        """`spool_folder` takes up to 16 MiB for each object on its way, in files without names."""
        self._connection = Connection(server)
        self._spool_folder = spool_folder
        self._uploads = S3Uploads(self._connection, spool_folder)

    def store(self, key: str, chunks: Iterable[bytes], content_type: str) -> None:
        """Sends small objects in one request and larger ones in parts, which are removed again where that fails."""
        name = OBJECTS + checked(key)
        multipart: Multipart | None = None
        parts: list[Part] = []
        with Spool(self._spool_folder) as spool:
            try:
                for piece in gathered(chunks):
                    if spool.size >= _PART:
                        multipart = multipart or Multipart.begin(self._connection, name, content_type)
                        parts.append(multipart.send(len(parts) + 1, spool))
                        spool.clear()
                    spool.write(piece)
                if multipart is None:
                    self._put(name, spool, content_type)
                else:
                    multipart.complete([*parts, multipart.send(len(parts) + 1, spool)])
            except BaseException as error:
                if multipart:
                    multipart.try_to_abort()
                if isinstance(error, NoSuchUpload):
                    raise Unavailable from error
                raise

    def read(self, key: str, start: int = 0, stop: int | None = None) -> S3Reading:
        """Asks for the range; the answer is read as it is needed."""
        if stop is not None and stop <= start:
            self.size(key)
            return S3Reading(None)
        wanted = {"Bucket": self._connection.bucket, "Key": OBJECTS + checked(key)}
        if start or stop is not None:
            wanted["Range"] = f"bytes={start}-{'' if stop is None else stop - 1}"
        with s3_errors():
            try:
                return S3Reading(self._connection.client.get_object(**wanted)["Body"])
            except ClientError as error:
                if error_code(error) == "InvalidRange":
                    return S3Reading(None)
                raise

    def size(self, key: str) -> int:
        """Asks for the object's headers."""
        return size_of(self._connection, OBJECTS + checked(key))

    def delete(self, keys: Sequence[str]) -> None:
        """Deletes 1,000 names with one request; what was posted with the form of a key goes with it."""
        remove(self._connection, [beginning + checked(key) for key in keys for beginning in (OBJECTS, POSTED)])

    def keys(self, prefix: str = "", after: str = "", limit: int = 1000) -> list[Stored]:
        """Asks for the bucket's list, 1,000 with one request."""
        beginning = OBJECTS + checked_beginning(prefix)
        found = listed(self._connection, beginning, OBJECTS + checked_beginning(after), limit)
        ours = ((named.name.removeprefix(OBJECTS), named) for named in found)
        return list(islice((Stored(key, named.size, named.changed_at) for key, named in ours if is_key(key)), limit))

    def begin_upload(self, key: str, content_type: str = ANY_TYPE) -> Upload:
        """Begins a multipart upload."""
        return self._uploads.begin(key, content_type)

    def length(self, upload: Upload) -> int:
        """Asks for the list of parts."""
        return self._uploads.length(upload)

    def append(
        self,
        upload: Upload,
        offset: int,
        chunks: Iterable[bytes],
        *,
        whole: bool = False,
        meanwhile: Callable[[], object] = nothing,
    ) -> int:
        """Sends parts, and keeps the rest. Two at once are not noticed: the caller's lock keeps them apart."""
        return self._uploads.append(upload, offset, chunks, whole=whole, meanwhile=meanwhile)

    def finish_upload(self, upload: Upload) -> int:
        """Completes the multipart upload."""
        return self._uploads.finish(upload)

    def abandon_upload(self, upload: Upload) -> None:
        """Aborts the multipart upload."""
        self._uploads.abandon(upload)

    def download_link(self, key: str, content_type: str, disposition: str, seconds: int) -> str | None:
        """A signed link straight to the server."""
        link: str = self._connection.signer.generate_presigned_url(
            "get_object",
            Params={
                "Bucket": self._connection.bucket,
                "Key": OBJECTS + checked(key),
                "ResponseContentType": content_type,
                "ResponseContentDisposition": disposition,
            },
            ExpiresIn=seconds,
        )
        return link

    def upload_form(self, key: str, content_type: str, largest: int, seconds: int) -> UploadForm | None:
        """A signed form; the server itself refuses another type and more bytes."""
        form = self._connection.signer.generate_presigned_post(
            self._connection.bucket,
            POSTED + checked(key),
            Fields={"Content-Type": content_type},
            Conditions=[{"Content-Type": content_type}, ["content-length-range", 0, largest]],
            ExpiresIn=seconds,
        )
        return UploadForm(form["url"], form["fields"])

    def accept_posted(self, key: str, target: str) -> int:
        """Has the server copy it."""
        bucket, name = self._connection.bucket, OBJECTS + checked(target)
        with s3_errors():
            self._connection.client.copy_object(
                Bucket=bucket, Key=name, CopySource={"Bucket": bucket, "Key": POSTED + checked(key)}
            )
        return size_of(self._connection, name)

    def internal_path(self, key: str) -> str | None:
        """None: it lies on no disk of ours."""
        checked(key)
        return None

    def remove_leftovers(self, before: datetime, posted_before: datetime) -> int:
        """Aborts multipart uploads, and removes ends and what was posted."""
        return self._uploads.remove_leftovers(before) + remove_old(self._connection, POSTED, posted_before)

    def _put(self, name: str, body: Spool, content_type: str) -> None:
        body.seek(0)
        with s3_errors():
            self._connection.client.put_object(
                Bucket=self._connection.bucket,
                Key=name,
                Body=body,
                ContentLength=body.size,
                ContentType=content_type,
            )
