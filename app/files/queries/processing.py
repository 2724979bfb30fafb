"""SQL of looking at files: whose turn it is, and what was found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from uuid import UUID

import orjson
from sqlalchemy import text

from app.infra.db import UnitOfWork

# Whoever takes it counts the attempt before it begins, so that a file which ends the whole worker is counted too. The
# first one is taken by its job at once; `try_after` is then only when a sweep misses it. CASE keeps PostgreSQL from
# going through the index of all that wait.
_CLAIM = text("""
    UPDATE files f SET attempts = f.attempts + 1, try_after = now() + make_interval(secs => :seconds)
    FROM file_objects o
    WHERE f.id = :file_id
      AND CASE WHEN f.status = 'processing' AND f.deleted_at IS NULL THEN f.attempts = 0 OR f.try_after <= now() END
      AND o.file_id = f.id AND o.variant = 'original'
    RETURNING f.id, f.owner_id, f.size, f.attempts, f.sha256 IS NULL, o.key""")

# Nobody else has finished it meanwhile, or taken it because this attempt took too long.
_HOLD = text("""
    SELECT 1 FROM files
    WHERE id = :file_id AND status = 'processing' AND deleted_at IS NULL AND attempts = :attempts
    FOR NO KEY UPDATE""")

_AGAIN = text("""
    UPDATE files SET attempts = attempts - CASE WHEN :counts THEN 0 ELSE 1 END,
      try_after = now() + make_interval(secs => :seconds)
    WHERE id = :file_id AND status = 'processing' AND attempts = :attempts""")

_DUE = text("""
    SELECT id FROM files WHERE status = 'processing' AND deleted_at IS NULL AND try_after <= now()
    ORDER BY try_after LIMIT :batch""")

_FINISH = text("""
    UPDATE files SET status = :status, failure = :failure, kind = coalesce(:kind, kind),
      mime_type = coalesce(:mime_type, mime_type), width = :width, height = :height,
      duration_seconds = :duration_seconds, preview = :preview, waveform = CAST(:waveform AS smallint[]),
      sha256 = coalesce(:sha256, sha256), copies_size = :copies_size, processed_at = now()
    WHERE id = :file_id""")
_RETYPE = text("UPDATE file_objects SET mime_type = :mime_type WHERE file_id = :file_id AND variant = 'original'")

# By the primary key; 0 is before all chats and messages.
_NOTE_UNTOLD = text("""
    INSERT INTO untold_files (file_id, chat_id, message_id)
    SELECT :file_id, 0, 0 WHERE EXISTS (SELECT FROM message_files WHERE file_id = :file_id OFFSET 0)""")

_EXPECT = text("""
    INSERT INTO removed_objects (key, due_at)
    SELECT key, now() + make_interval(secs => :seconds) FROM unnest(CAST(:keys AS text[])) AS key""")
# One that is due soon may be removed at this moment.
_KEEP = text("""
    DELETE FROM removed_objects
    WHERE key = ANY (CAST(:keys AS text[])) AND due_at > clock_timestamp() + interval '5 minutes'""")
_ADD = text("""
    INSERT INTO file_objects (file_id, variant, key, mime_type, size, width, height)
    SELECT :file_id, variant, key, mime_type, size, width, height
    FROM jsonb_to_recordset(CAST(:objects AS jsonb))
      AS o (variant text, key text, mime_type text, size bigint, width integer, height integer)""")


class Claim(NamedTuple):
    """A file that is this worker's to look at; `attempt` counts from 1."""

    file_id: UUID
    owner_id: int
    size: int
    attempt: int
    needs_hash: bool
    key: str


class NewObject(NamedTuple):
    """Something made of a file, stored under a key."""

    variant: str
    key: str
    mime_type: str
    size: int
    width: int | None = None
    height: int | None = None


def claim(unit: UnitOfWork, file_id: UUID, seconds: int) -> Claim | None:
    """Takes a file for so long; None where it is not due, somebody else has it, or nobody needs it."""
    row = unit.execute(_CLAIM, {"file_id": file_id, "seconds": seconds}).one_or_none()
    return None if row is None else Claim._make(row)


def hold(unit: UnitOfWork, claimed: Claim) -> bool:
    """Locks the file's row; False where the claim is over."""
    found = unit.execute(_HOLD, {"file_id": claimed.file_id, "attempts": claimed.attempt})
    return found.one_or_none() is not None


def again(unit: UnitOfWork, claimed: Claim, seconds: int, counts: bool) -> bool:
    """Lets another attempt begin after so many seconds; whether this one `counts`. False where the claim is over."""
    parameters = {"file_id": claimed.file_id, "attempts": claimed.attempt, "seconds": seconds, "counts": counts}
    return unit.execute(_AGAIN, parameters).rowcount == 1


def due(unit: UnitOfWork, batch: int) -> list[UUID]:
    """Files that nobody has looked at in time, those that wait longest first."""
    return list(unit.execute(_DUE, {"batch": batch}).scalars())


def finish(unit: UnitOfWork, file_id: UUID, found: Mapping[str, Any], copies_size: int) -> None:
    """Writes what was found, and how many bytes what was made of the file has; the row is held."""
    unit.execute(_FINISH, {"file_id": file_id, "copies_size": copies_size, **found})
    if found["mime_type"] is not None:
        unit.execute(_RETYPE, {"file_id": file_id, "mime_type": found["mime_type"]})


def note_untold(unit: UnitOfWork, file_id: UUID) -> bool:
    """Notes that messages show a held file and are to be told what it is; False where none does."""
    return unit.execute(_NOTE_UNTOLD, {"file_id": file_id}).rowcount == 1


def expect(unit: UnitOfWork, keys: Sequence[str], seconds: int) -> None:
    """Notes keys before anything is stored under them: what is not kept within so long is removed."""
    unit.execute(_EXPECT, {"keys": list(keys), "seconds": seconds})


def keep(unit: UnitOfWork, file_id: UUID, objects: Sequence[NewObject]) -> bool:
    """Makes objects part of the file; False where one of them may be removed already, and then the unit is given up."""
    keys = [each.key for each in objects]
    if unit.execute(_KEEP, {"keys": keys}).rowcount != len(keys):
        return False
    content = orjson.dumps([each._asdict() for each in objects]).decode()
    unit.execute(_ADD, {"file_id": file_id, "objects": content})
    return True
