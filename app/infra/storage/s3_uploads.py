"""Uploads to S3 that go on later.

S3 takes parts of 5 MiB at least, the last one excepted. What is received is sent as parts of 8 MiB; the end that is too
short for a part is an object of its own, `uploads/KEY/NUMBER`, where NUMBER says behind how many parts it belongs. So
an end counts only as long as no further part, which contains it, has come: sending that part is the one step that takes
the upload on, and after a crash in any moment parts and end give the length. Nothing of this is known elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from app.errors import Unavailable
from app.infra.storage.keys import checked
from app.infra.storage.protocol import ANY_TYPE, NoSuchObject, NoSuchUpload, Upload, WrongOffset
from app.infra.storage.s3_connection import Connection, s3_errors
from app.infra.storage.s3_multipart import Multipart, Part
from app.infra.storage.s3_objects import ENDS, OBJECTS, listed, remove, remove_old, size_of
from app.infra.storage.s3_reading import S3Reading
from app.infra.storage.spool import Spool, gathered

_LEAST_PART = 5 << 20
_PART = 8 << 20


@dataclass(frozen=True, slots=True)
class _State:
    """What the server has of an upload: parts, and the size of the end behind them."""

    parts: list[Part]
    end: int

    @property
    def length(self) -> int:
        return sum(part.size for part in self.parts) + self.end


class S3Uploads:
    """The calls of Storage that are about uploads in pieces."""

    def __init__(self, connection: Connection, spool_folder: Path) -> None:
        self._connection = connection
        self._spool_folder = spool_folder

    def begin(self, key: str, content_type: str) -> Upload:
        """Begins a multipart upload; its id is the token."""
        begun = Multipart.begin(self._connection, OBJECTS + checked(key), content_type)
        return Upload(key, begun.token)

    def length(self, upload: Upload) -> int:
        """Parts and end together."""
        return self._state(upload).length

    def append(
        self, upload: Upload, offset: int, chunks: Iterable[bytes], *, whole: bool, meanwhile: Callable[[], object]
    ) -> int:
        """Sends what makes parts, and keeps the rest as the new end."""
        state = self._state(upload)
        if state.length != offset:
            raise WrongOffset(state.length)
        if not whole:
            return self._append(upload, state, chunks)
        with Spool(self._spool_folder) as everything:
            for piece in gathered(chunks):
                everything.write(piece)
            return self._append(upload, state, everything.pieces(meanwhile))

    def finish(self, upload: Upload) -> int:
        """Sends the end as the last part, and completes."""
        name = OBJECTS + checked(upload.key)
        try:
            size = self._complete(upload)
        except NoSuchUpload:
            try:
                size = size_of(self._connection, name)
            except NoSuchObject:
                raise NoSuchUpload from None
        self._remove_ends(upload.key)
        return size

    def abandon(self, upload: Upload) -> None:
        """Removes parts and ends."""
        _multipart(self._connection, upload).abort()
        self._remove_ends(upload.key)

    def remove_leftovers(self, before: datetime) -> int:
        """Aborts multipart uploads that have not grown since, and removes what has no upload any more."""
        pages = self._connection.client.get_paginator("list_multipart_uploads").paginate(
            Bucket=self._connection.bucket, Prefix=OBJECTS
        )
        with s3_errors():
            begun = [item for page in pages for item in page.get("Uploads", []) if item["Initiated"] < before]
        aborted = sum(self._abort_if_left(item["Key"], item["UploadId"], before) for item in begun)
        return aborted + remove_old(self._connection, ENDS, before)

    def _append(self, upload: Upload, state: _State, chunks: Iterable[bytes]) -> int:
        pieces = gathered(chunks)
        with Spool(self._spool_folder) as spool:
            growing = _Growing(self._connection, upload, state, spool)
            while True:
                try:
                    piece = next(pieces, None)
                except BaseException:
                    growing.keep()
                    raise
                if piece is None:
                    break
                growing.add(piece)
            growing.keep()
            return growing.length

    def _complete(self, upload: Upload) -> int:
        state, multipart = self._state(upload), _multipart(self._connection, upload)
        if not state.length:
            with s3_errors():
                self._connection.client.put_object(
                    Bucket=self._connection.bucket, Key=OBJECTS + upload.key, Body=b"", ContentType=ANY_TYPE
                )
            multipart.abort()
            return 0
        parts = state.parts
        if state.end:
            with Spool(self._spool_folder) as spool:
                _fetch(self._connection, _end_name(upload.key, len(parts)), spool)
                parts = [*parts, multipart.send(len(parts) + 1, spool)]
        multipart.complete(parts)
        return state.length

    def _state(self, upload: Upload) -> _State:
        parts = _multipart(self._connection, upload).parts()
        wanted = _end_name(upload.key, len(parts))
        ends = {found.name: found.size for found in listed(self._connection, f"{ENDS}{upload.key}/")}
        return _State(parts, ends.get(wanted, 0))

    def _abort_if_left(self, name: str, token: str, before: datetime) -> bool:
        multipart = Multipart(self._connection, name, token)
        ends = listed(self._connection, ENDS + name.removeprefix(OBJECTS) + "/")
        try:
            changes = [part.changed_at for part in multipart.parts()] + [end.changed_at for end in ends]
        except NoSuchUpload:
            return False
        if any(changed_at >= before for changed_at in changes):
            return False
        multipart.abort()
        return True

    def _remove_ends(self, key: str) -> None:
        remove(self._connection, [end.name for end in listed(self._connection, f"{ENDS}{key}/")])


class _Growing:
    """An upload while bytes are added: what waits in the spool follows all that the server has in parts."""

    def __init__(self, connection: Connection, upload: Upload, state: _State, spool: Spool) -> None:
        self._connection = connection
        self._multipart = _multipart(connection, upload)
        self._key = upload.key
        self._spool = spool
        self._count = len(state.parts)
        self._in_parts = state.length - state.end
        self._end = state.end

    @property
    def length(self) -> int:
        """What the server has, in parts and as the end."""
        return self._in_parts + self._end

    def add(self, piece: bytes) -> None:
        """Takes bytes, and sends a part when there are enough."""
        if self._end and not self._spool.size:
            _fetch(self._connection, _end_name(self._key, self._count), self._spool)
        self._spool.write(piece)
        if self._spool.size >= _PART:
            self._send()

    def keep(self) -> None:
        """Sends the rest, as a part or as the end."""
        if self._spool.size >= _LEAST_PART:
            self._send()
        elif self._spool.size > self._end:
            self._spool.seek(0)
            with s3_errors():
                self._connection.client.put_object(
                    Bucket=self._connection.bucket,
                    Key=_end_name(self._key, self._count),
                    Body=self._spool,
                    ContentLength=self._spool.size,
                )
            self._end = self._spool.size

    def _send(self) -> None:
        sent = self._multipart.send(self._count + 1, self._spool)
        former = _end_name(self._key, self._count) if self._end else None
        self._count += 1
        self._in_parts += sent.size
        self._end = 0
        self._spool.clear()
        if former:
            with suppress(Unavailable):  # It does not count any more, and goes with the upload at the latest.
                remove(self._connection, [former])


def _multipart(connection: Connection, upload: Upload) -> Multipart:
    return Multipart(connection, OBJECTS + checked(upload.key), upload.token)


def _end_name(key: str, parts: int) -> str:
    return f"{ENDS}{key}/{parts:05d}"


def _fetch(connection: Connection, name: str, spool: Spool) -> None:
    with s3_errors():
        body = connection.client.get_object(Bucket=connection.bucket, Key=name)["Body"]
    with S3Reading(body) as pieces:
        for piece in pieces:
            spool.write(piece)
