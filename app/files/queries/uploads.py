"""SQL of uploads that go on later, and of those by forms."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, NamedTuple
from uuid import UUID

from sqlalchemy import text

from app.infra.db import UnitOfWork

Method = Literal["tus", "form"]

_COLUMNS = "id, owner_id, method, key, token, name, size, metadata, expires_at"

_INSERT = text(f"""
    INSERT INTO uploads (id, owner_id, method, key, token, name, size, metadata, expires_at)
    VALUES (:id, :owner_id, :method, :key, :token, :name, :size, :metadata, now() + make_interval(secs => :seconds))
    ON CONFLICT DO NOTHING RETURNING {_COLUMNS}""")

_FIND = text(f"""
    SELECT {_COLUMNS} FROM uploads
    WHERE id = :id AND owner_id = :owner_id AND method = :method AND expires_at > now()""")
_EXPIRED = text(f"""
    SELECT {_COLUMNS} FROM uploads
    WHERE expires_at < now() AND (leased_until IS NULL OR leased_until < now()) ORDER BY expires_at LIMIT :batch""")
# Forms are bounded by how often one is offered, and cost storage nothing in the end.
_UNFINISHED = text("SELECT count(*) FROM uploads WHERE owner_id = :owner_id AND method = 'tus'")
_TAKEN = text("SELECT owner_id FROM uploads WHERE id = :id")

# Whoever died with a lease loses it by the clock.
_LEASE = text("""
    UPDATE uploads SET lease = :lease, leased_until = now() + make_interval(secs => :seconds)
    WHERE id = :id AND (leased_until IS NULL OR leased_until < now())""")
_RENEW = text("""
    UPDATE uploads SET leased_until = now() + make_interval(secs => :seconds) WHERE id = :id AND lease = :lease""")
_RELEASE = text("UPDATE uploads SET lease = NULL, leased_until = NULL WHERE id = :id AND lease = :lease")

_DELETE = text("DELETE FROM uploads WHERE id = :id AND key = :key")
# Under an id that nobody knows.
_RETIRE = text("""
    UPDATE uploads SET id = gen_random_uuid(), lease = NULL, leased_until = NULL WHERE id = :id AND key = :key""")


class NewUpload(NamedTuple):
    """An upload that begins; it expires in so many seconds."""

    id: UUID
    owner_id: int
    method: Method
    key: str
    token: str
    name: str
    size: int
    metadata: str
    seconds: int


class UploadRow(NamedTuple):
    """An upload that is not finished."""

    id: UUID
    owner_id: int
    method: Method
    key: str
    token: str
    name: str
    size: int
    metadata: str
    expires_at: datetime

    @property
    def counts_on(self) -> int:
        """The bytes that count for its owner's quota once it has ended: a form may be posted again until it is dead."""
        return self.size if self.method == "form" else 0


def insert(unit: UnitOfWork, new: NewUpload) -> UploadRow | None:
    """Stores an upload; None where there is one with this id."""
    row = unit.execute(_INSERT, new._asdict()).one_or_none()
    return None if row is None else UploadRow._make(row)


def find(unit: UnitOfWork, owner_id: int, upload_id: UUID, method: Method) -> UploadRow | None:
    """A person's upload that has not expired."""
    row = unit.execute(_FIND, {"id": upload_id, "owner_id": owner_id, "method": method}).one_or_none()
    return None if row is None else UploadRow._make(row)


def expired(unit: UnitOfWork, batch: int) -> list[UploadRow]:
    """Uploads whose time is over and that are nobody's at this moment, oldest first."""
    return [UploadRow._make(row) for row in unit.execute(_EXPIRED, {"batch": batch})]


def unfinished(unit: UnitOfWork, owner_id: int) -> int:
    """How many uploads in pieces a person has begun that are not finished."""
    return int(unit.execute(_UNFINISHED, {"owner_id": owner_id}).scalar_one())


def is_taken(unit: UnitOfWork, upload_id: UUID) -> bool:
    """Whether there is an upload with this id, whoever's it is."""
    return unit.execute(_TAKEN, {"id": upload_id}).one_or_none() is not None


def lease(unit: UnitOfWork, upload_id: UUID, holder: UUID, seconds: int) -> bool:
    """Takes the upload for one request; False where another has it."""
    return unit.execute(_LEASE, {"id": upload_id, "lease": holder, "seconds": seconds}).rowcount == 1


def renew(unit: UnitOfWork, upload_id: UUID, holder: UUID, seconds: int) -> bool:
    """Keeps the upload for longer; False where another has it by now, or it is gone."""
    return unit.execute(_RENEW, {"id": upload_id, "lease": holder, "seconds": seconds}).rowcount == 1


def release(unit: UnitOfWork, upload_id: UUID, holder: UUID) -> None:
    """Gives the upload back."""
    unit.execute(_RELEASE, {"id": upload_id, "lease": holder})


def end(unit: UnitOfWork, upload: UploadRow) -> bool:
    """Ends an upload, so that its id is free; False where it has ended already.

    The row of a form stays until it expires: its bytes are counted as long as somebody can post it, and then removed.
    """
    statement = _RETIRE if upload.method == "form" else _DELETE
    return unit.execute(statement, {"id": upload.id, "key": upload.key}).rowcount == 1


def delete(unit: UnitOfWork, upload: UploadRow) -> bool:
    """Deletes an upload; False where it is gone already."""
    return unit.execute(_DELETE, {"id": upload.id, "key": upload.key}).rowcount == 1
