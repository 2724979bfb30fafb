"""SQL of files: storing one, finding it, what its owner has in all."""

from __future__ import annotations

from typing import NamedTuple
from uuid import UUID

from sqlalchemy import text

from app.files.file import COLUMN_COUNT, FileRow, columns
from app.infra.db import Prepared, UnitOfWork

# Until the transaction ends nobody else adds to this person's files: sums stay what they were. The key is one of ours
# for files; other locks of this kind have one number instead of two.
_LOCK_OWNER = text("SELECT pg_advisory_xact_lock(hashtext('files of'), hashint8(:owner_id))")

_USED = Prepared(
    "file_bytes_used",
    ("bigint",),
    """
    SELECT ((SELECT coalesce(sum(size + copies_size), 0) FROM files WHERE owner_id = $1 AND deleted_at IS NULL)
         + (SELECT coalesce(sum(size), 0) FROM uploads WHERE owner_id = $1))::bigint""",
)

# By the index of those that wait, which is small.
_WAITING = Prepared(
    "files_waiting",
    ("bigint",),
    "SELECT count(*) FROM files WHERE owner_id = $1 AND status = 'processing' AND deleted_at IS NULL",
)

_BY_ID = Prepared(
    "file_by_id", ("uuid",), f"SELECT {columns('f')} FROM files f WHERE f.id = $1 AND f.deleted_at IS NULL"
)

# What an upload with the same id is compared with; those that are being removed too.
_KNOWN = Prepared(
    "file_known", ("uuid",), "SELECT owner_id, size, sha256, deleted_at IS NOT NULL FROM files WHERE id = $1"
)

_INSERT = text("""
    INSERT INTO files (id, owner_id, name, size, sha256, try_after)
    VALUES (:id, :owner_id, :name, :size, :sha256, now() + interval '30 seconds') ON CONFLICT DO NOTHING""")
_INSERT_ORIGINAL = text("""
    INSERT INTO file_objects (file_id, variant, key, mime_type, size)
    VALUES (:id, 'original', :key, 'application/octet-stream', :size)""")


class NewFile(NamedTuple):
    """A file that is stored whole under `key`; `sha256` is None where nobody has seen its bytes in a row."""

    id: UUID
    owner_id: int
    name: str
    size: int
    sha256: bytes | None
    key: str


class Known(NamedTuple):
    """What tells whether an upload is the same as before."""

    owner_id: int
    size: int
    sha256: bytes | None
    is_deleted: bool


def lock_owner(unit: UnitOfWork, owner_id: int) -> None:
    """Nobody else adds a file or an upload of this person until the transaction ends."""
    unit.execute(_LOCK_OWNER, {"owner_id": owner_id})


def bytes_used(unit: UnitOfWork, owner_id: int) -> int:
    """The bytes of a person's files, of what was made of them, and of the uploads that may become some."""
    row = _USED.row(unit.connection, owner_id)
    assert row is not None
    return int(row[0])


def waiting(unit: UnitOfWork, owner_id: int) -> int:
    """How many files of a person have not been looked at yet."""
    row = _WAITING.row(unit.connection, owner_id)
    assert row is not None
    return int(row[0])


def find(unit: UnitOfWork, file_id: UUID) -> FileRow | None:
    """A file that is not deleted."""
    row = _BY_ID.row(unit.connection, str(file_id))
    return None if row is None else FileRow._make(row[:COLUMN_COUNT])


def known(unit: UnitOfWork, file_id: UUID) -> Known | None:
    """What is known of the file with this id, whoever's it is."""
    row = _KNOWN.row(unit.connection, str(file_id))
    if row is None:
        return None
    return Known(row[0], row[1], None if row[2] is None else bytes(row[2]), row[3])


def insert(unit: UnitOfWork, new: NewFile) -> bool:
    """Stores a file that is to be looked at; False where there is one with this id."""
    values = new._asdict()
    if unit.execute(_INSERT, values).rowcount == 0:
        return False
    unit.execute(_INSERT_ORIGINAL, values)
    return True
