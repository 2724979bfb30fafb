"""Accounts, and sign-ups that wait for their code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import text, update
from sqlalchemy.exc import IntegrityError

from app.auth.profile import ProfileRow, profile_columns
from app.infra.db import UnitOfWork
from app.models import User


class StoredPassword(NamedTuple):
    """Whose password, and its hash."""

    user_id: int
    password_hash: str


# People and public chats share their usernames.
_A_CHATS = "EXISTS (SELECT FROM chats c WHERE lower(c.username) = lower({username}))"
_USERNAME_TAKEN = text(f"""
    SELECT EXISTS (SELECT FROM users WHERE lower(username) = lower(:username))
        OR {_A_CHATS.format(username=":username")}
""")
_IS_A_CHATS = text(f"SELECT {_A_CHATS.format(username=':username')}")
# One index keeps two people from having a username, another one two chats; a person and a chat are kept by this lock.
_HOLD = "pg_advisory_xact_lock(hashtextextended(lower({username}), 0))"
_HOLD_USERNAME = text(f"SELECT {_HOLD.format(username='CAST(:username AS text)')}")
_HOLD_REGISTRATION = text(f"SELECT {_HOLD.format(username='username')} FROM pending_registrations WHERE phone = :phone")
_HAS_ACCOUNT = text("SELECT EXISTS (SELECT FROM users WHERE phone = :phone)")
_HAS_REGISTRATION = text("SELECT EXISTS (SELECT FROM pending_registrations WHERE phone = :phone)")

_KEEP_REGISTRATION = text("""
    INSERT INTO pending_registrations AS p (phone, username, first_name, last_name, password_hash)
    SELECT :phone, :username, :first_name, :last_name, :password_hash
    WHERE NOT EXISTS (SELECT FROM users WHERE phone = :phone)
    ON CONFLICT (phone) DO UPDATE SET
      username = excluded.username, first_name = excluded.first_name, last_name = excluded.last_name,
      password_hash = excluded.password_hash, created_at = now()
    RETURNING 1
""")

_OPEN_ACCOUNT = text(f"""
    INSERT INTO users (phone, username, first_name, last_name, password_hash)
    SELECT phone, username, first_name, last_name, password_hash FROM pending_registrations p
    WHERE phone = :phone AND NOT {_A_CHATS.format(username="p.username")}
    ON CONFLICT DO NOTHING
    RETURNING id, password_hash
""")

_DROP_REGISTRATION = text("DELETE FROM pending_registrations WHERE phone = :phone")

_INSERT_USERS = text("""
    INSERT INTO users (phone, first_name, last_name, username, password_hash)
    SELECT phone, first_name, last_name, username, :password_hash
    FROM unnest(CAST(:phones AS text[]), CAST(:first_names AS text[]), CAST(:last_names AS text[]),
                CAST(:usernames AS text[])) WITH ORDINALITY AS given (phone, first_name, last_name, username, place)
    ORDER BY place
    ON CONFLICT DO NOTHING
""")

_IDS_OF_PHONES = text("SELECT phone, id FROM users WHERE phone = ANY (:phones)")

_PASSWORD_OF_PHONE = text("SELECT id, password_hash FROM users WHERE phone = :phone AND deleted_at IS NULL")
_PASSWORD_OF_USER = text("SELECT id, password_hash FROM users WHERE id = :user_id AND deleted_at IS NULL")

_SET_PASSWORD = text("""
    UPDATE users SET password_hash = :new_hash
    WHERE id = :user_id AND deleted_at IS NULL AND (CAST(:old_hash AS text) IS NULL OR password_hash = :old_hash)
    RETURNING phone
""")

_PROFILE = text(f"SELECT {profile_columns('u', 'u.id')} FROM users u WHERE u.id = :user_id AND u.deleted_at IS NULL")


def hold_username(unit: UnitOfWork, username: str) -> None:
    """Lets nobody else take the username until the transaction ends; who has just taken it is seen after."""
    unit.execute(_HOLD_USERNAME, {"username": username})


def username_is_taken(unit: UnitOfWork, username: str) -> bool:
    """Whether somebody, or a public chat, has the username, in whatever case."""
    return bool(unit.execute(_USERNAME_TAKEN, {"username": username}).scalar())


def is_a_chats(unit: UnitOfWork, username: str) -> bool:
    """Whether a public chat has the username, in whatever case."""
    return bool(unit.execute(_IS_A_CHATS, {"username": username}).scalar())


def has_account(unit: UnitOfWork, phone: str) -> bool:
    """Whether the number belongs to an account."""
    return bool(unit.execute(_HAS_ACCOUNT, {"phone": phone}).scalar())


def has_registration(unit: UnitOfWork, phone: str) -> bool:
    """Whether a sign-up waits for the number's code."""
    return bool(unit.execute(_HAS_REGISTRATION, {"phone": phone}).scalar())


def keep_registration(
    unit: UnitOfWork, phone: str, username: str, first_name: str, last_name: str | None, password_hash: str
) -> bool:
    """Keeps a sign-up in place of an earlier one of the number; False, and nothing kept, where it has an account."""
    parameters = {
        "phone": phone,
        "username": username,
        "first_name": first_name,
        "last_name": last_name,
        "password_hash": password_hash,
    }
    return unit.execute(_KEEP_REGISTRATION, parameters).first() is not None


def open_account(unit: UnitOfWork, phone: str) -> StoredPassword | None:
    """Makes the sign-up of a number an account; None where there is none, or its username or number is taken."""
    unit.execute(_HOLD_REGISTRATION, {"phone": phone})
    row = unit.execute(_OPEN_ACCOUNT, {"phone": phone}).first()
    if row is None:
        return None
    unit.execute(_DROP_REGISTRATION, {"phone": phone})
    return StoredPassword._make(row)


def insert_users(
    unit: UnitOfWork,
    phones: Sequence[str],
    first_names: Sequence[str],
    last_names: Sequence[str | None],
    usernames: Sequence[str | None],
    password_hash: str,
) -> int:
    """Inserts people in one statement, all with the same password; skips taken ones and answers how many were new."""
    parameters = {
        "phones": list(phones),
        "first_names": list(first_names),
        "last_names": list(last_names),
        "usernames": list(usernames),
        "password_hash": password_hash,
    }
    return unit.execute(_INSERT_USERS, parameters).rowcount


def ids_of_phones(unit: UnitOfWork, phones: Sequence[str]) -> dict[str, int]:
    """The ids of the accounts that have these numbers."""
    rows = unit.execute(_IDS_OF_PHONES, {"phones": list(phones)})
    return {row.phone: row.id for row in rows}


def password_of_phone(unit: UnitOfWork, phone: str) -> StoredPassword | None:
    """The password of the number's account."""
    row = unit.execute(_PASSWORD_OF_PHONE, {"phone": phone}).first()
    return None if row is None else StoredPassword._make(row)


def password_of_user(unit: UnitOfWork, user_id: int) -> StoredPassword | None:
    """The password of a person."""
    row = unit.execute(_PASSWORD_OF_USER, {"user_id": user_id}).first()
    return None if row is None else StoredPassword._make(row)


def set_password(unit: UnitOfWork, user_id: int, new_hash: str, old_hash: str | None = None) -> str | None:
    """Sets a password, where `old_hash` is given only in its place; the number of the account, or None."""
    parameters = {"user_id": user_id, "new_hash": new_hash, "old_hash": old_hash}
    phone: str | None = unit.execute(_SET_PASSWORD, parameters).scalar()
    return phone


def profile(unit: UnitOfWork, user_id: int) -> ProfileRow | None:
    """A person as seen by themselves."""
    row = unit.execute(_PROFILE, {"user_id": user_id}).first()
    return None if row is None else ProfileRow._make(row)


def change_profile(unit: UnitOfWork, user_id: int, changes: Mapping[str, Any]) -> bool:
    """Changes columns of a person; False where the username is taken, and then the unit must be given up."""
    try:
        unit.execute(update(User).where(User.id == user_id, User.deleted_at.is_(None)).values(**changes))
    except IntegrityError:
        return False
    return True
