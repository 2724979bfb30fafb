"""Sessions: one for each device that is signed in."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import text

from app.auth.profile import ProfileRow, profile_columns
from app.infra.db import UnitOfWork


class SessionRow(NamedTuple):
    """A session as it is listed."""

    id: UUID
    device: str
    address: str | None
    created_at: datetime
    used_at: datetime


# The share lock makes a password being changed at this moment wait, and end this session too, or be waited for, and
# then the hash does not fit any more.
_OPEN = text(f"""
    WITH owner AS (
      SELECT id FROM users WHERE id = :user_id AND password_hash = :password_hash AND deleted_at IS NULL FOR SHARE
    ), opened AS (
      INSERT INTO sessions (id, user_id, refresh_hash, device, address, expires_at)
      SELECT :session_id, id, :refresh_hash, :device, :address, now() + make_interval(secs => :expiry) FROM owner
      RETURNING user_id
    )
    SELECT {profile_columns("u", "u.id")} FROM opened JOIN users u ON u.id = opened.user_id
""")

_ROTATE = text("""
    UPDATE sessions SET refresh_hash = :new_hash, used_at = now(), address = :address,
      expires_at = now() + make_interval(secs => :expiry)
    WHERE id = :session_id AND user_id = :user_id AND refresh_hash = :old_hash AND revoked_at IS NULL
      AND expires_at > now()
    RETURNING 1
""")

_REVOKE = text("""
    UPDATE sessions SET revoked_at = now() WHERE id = :session_id AND user_id = :user_id AND revoked_at IS NULL
    RETURNING 1
""")

_REVOKE_ALL = text("""
    UPDATE sessions SET revoked_at = now()
    WHERE user_id = :user_id AND revoked_at IS NULL AND id IS DISTINCT FROM CAST(:kept AS uuid)
    RETURNING id
""")

_PAGE = text("""
    SELECT id, device, address, created_at, used_at FROM sessions
    WHERE user_id = :user_id AND revoked_at IS NULL AND expires_at > now()
      AND (CAST(:before_id AS uuid) IS NULL OR (created_at, id) < (CAST(:before AS timestamptz), :before_id))
    ORDER BY created_at DESC, id DESC
    LIMIT :limit
""")


def open_session(
    unit: UnitOfWork,
    session_id: UUID,
    user_id: int,
    password_hash: str,
    refresh_hash: bytes,
    device: str,
    address: str | None,
    expiry: int,
) -> ProfileRow | None:
    """Opens a session and answers its owner; None where the password is another by now, or the account is gone."""
    parameters = {
        "session_id": session_id,
        "user_id": user_id,
        "password_hash": password_hash,
        "refresh_hash": refresh_hash,
        "device": device,
        "address": address,
        "expiry": expiry,
    }
    row = unit.execute(_OPEN, parameters).first()
    return None if row is None else ProfileRow._make(row)


def rotate(
    unit: UnitOfWork,
    session_id: UUID,
    user_id: int,
    old_hash: bytes,
    new_hash: bytes,
    address: str | None,
    expiry: int,
) -> bool:
    """Puts the new refresh token in the place of the old one, if that is the one that is good now."""
    parameters = {
        "session_id": session_id,
        "user_id": user_id,
        "old_hash": old_hash,
        "new_hash": new_hash,
        "address": address,
        "expiry": expiry,
    }
    return unit.execute(_ROTATE, parameters).first() is not None


def revoke(unit: UnitOfWork, user_id: int, session_id: UUID) -> bool:
    """Ends a session of a person; False where there is none that lives."""
    return unit.execute(_REVOKE, {"user_id": user_id, "session_id": session_id}).first() is not None


def revoke_all(unit: UnitOfWork, user_id: int, kept: UUID | None = None) -> list[UUID]:
    """Ends all sessions of a person but `kept`; answers which."""
    return list(unit.execute(_REVOKE_ALL, {"user_id": user_id, "kept": kept}).scalars())


def page(
    unit: UnitOfWork, user_id: int, before: datetime | None, before_id: UUID | None, limit: int
) -> list[SessionRow]:
    """Living sessions of a person, newest first, past a place."""
    parameters = {"user_id": user_id, "before": before, "before_id": before_id, "limit": limit}
    return [SessionRow._make(row) for row in unit.execute(_PAGE, parameters)]
