"""One-time codes: at most one for a number and purpose."""

from __future__ import annotations

from sqlalchemy import text

from app.infra.db import UnitOfWork

_PUT = text("""
    INSERT INTO one_time_codes AS c (phone, purpose, code_hash, sent_at, expires_at)
    VALUES (:phone, :purpose, :code_hash, now(), now() + make_interval(secs => :expiry))
    ON CONFLICT (phone, purpose) DO UPDATE SET
      code_hash = excluded.code_hash, sent_at = excluded.sent_at, expires_at = excluded.expires_at, tries = 0
    WHERE c.sent_at <= now() - make_interval(secs => :pause)
    RETURNING 1
""")

_SECONDS_TO_WAIT = text("""
    SELECT ceil(extract(epoch FROM sent_at + make_interval(secs => :pause) - now()))::integer
    FROM one_time_codes WHERE phone = :phone AND purpose = :purpose
""")

# Takes the try before anybody compares: of guesses at the same moment, each costs one.
_USE_TRY = text("""
    UPDATE one_time_codes SET tries = tries + 1
    WHERE phone = :phone AND purpose = :purpose AND expires_at > now() AND tries < :most_tries
    RETURNING code_hash
""")

_DROP = text("DELETE FROM one_time_codes WHERE phone = :phone AND purpose = :purpose")


def put(unit: UnitOfWork, phone: str, purpose: str, code_hash: bytes, expiry: int, pause: int) -> bool:
    """Replaces the code, unless the last one is younger than `pause` seconds; `expiry` is its life in seconds."""
    parameters = {"phone": phone, "purpose": purpose, "code_hash": code_hash, "expiry": expiry, "pause": pause}
    return unit.execute(_PUT, parameters).first() is not None


def seconds_to_wait(unit: UnitOfWork, phone: str, purpose: str, pause: int) -> int:
    """Until the last code is `pause` seconds old; at least 1."""
    wait = unit.execute(_SECONDS_TO_WAIT, {"phone": phone, "purpose": purpose, "pause": pause}).scalar()
    return max(1, wait or 0)


def use_try(unit: UnitOfWork, phone: str, purpose: str, most_tries: int) -> bytes | None:
    """Takes one try and answers the hash to compare with; None where there is no code or no try left."""
    parameters = {"phone": phone, "purpose": purpose, "most_tries": most_tries}
    row = unit.execute(_USE_TRY, parameters).first()
    return None if row is None else bytes(row[0])


def drop(unit: UnitOfWork, phone: str, purpose: str) -> None:
    """Ends the code."""
    unit.execute(_DROP, {"phone": phone, "purpose": purpose})
