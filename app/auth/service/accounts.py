"""Accounts: one's own profile, and people made without a code, for operators and demonstrations."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import ValidationError

from app.auth.profile import User, present_users
from app.auth.queries import accounts, avatars
from app.auth.schemas import NewUser, ProfileChange, Register
from app.auth.service.avatars import use_avatar
from app.auth.service.names import index_names
from app.errors import Conflict, NotFound, UsernameTaken
from app.infra.db import UnitOfWork
from app.infra.passwords import hash_password
from app.web.input import refusal

_NAMES = {"first_name", "last_name", "username"}


def get_profile(unit: UnitOfWork, user_id: int) -> User:
    """One's own profile; raises NotFound."""
    row = accounts.profile(unit, user_id)
    if row is None:
        raise NotFound
    return present_users([row])[0]


def change_profile(unit: UnitOfWork, user_id: int, change: ProfileChange) -> User:
    """Changes the given fields of one's own profile; raises UsernameTaken, or ValidationFailed for the avatar."""
    changes = change.model_dump(exclude_unset=True)
    for name in ("last_name", "bio"):
        if name in changes:
            changes[name] = changes[name] or None
    if changes.get("username"):
        accounts.hold_username(unit, changes["username"])
        if accounts.is_a_chats(unit, changes["username"]):
            raise UsernameTaken
    if "avatar_file_id" in changes:
        use_avatar(unit, user_id, avatars.hold(unit, user_id), changes["avatar_file_id"])
    if changes and not accounts.change_profile(unit, user_id, changes):
        raise UsernameTaken
    if _NAMES & changes.keys():
        index_names(unit, [user_id])
    return get_profile(unit, user_id)


def hold_username(unit: UnitOfWork, username: str) -> None:
    """Lets neither a person nor a chat take the username until the transaction ends; for who is about to take it."""
    accounts.hold_username(unit, username)


def create_user(
    unit: UnitOfWork, phone: str, password: str, first_name: str, last_name: str | None, username: str
) -> int:
    """Creates an account without a code and answers its id.

    Raises ValidationFailed, UsernameTaken, or Conflict where the number has an account.
    """
    try:
        person = Register(phone=phone, password=password, first_name=first_name, last_name=last_name, username=username)
    except ValidationError as error:
        raise refusal(error) from None
    row = NewUser(person.phone, person.first_name, person.last_name, person.username)
    if accounts.has_account(unit, row.phone):
        raise Conflict("This phone number has an account already.")
    accounts.hold_username(unit, person.username)
    if accounts.username_is_taken(unit, person.username):
        raise UsernameTaken
    return create_users(unit, [row], hash_password(person.password))[0]


def create_users(unit: UnitOfWork, rows: Sequence[NewUser], password_hash: str) -> list[int]:
    """Creates many accounts in one statement, all with one password; answers their ids in the order of the rows.

    Numbers that have an account keep it as it is. Raises Conflict where a username belongs to another number.
    """
    phones = [row.phone for row in rows]
    accounts.insert_users(
        unit,
        phones,
        [row.first_name for row in rows],
        [row.last_name or None for row in rows],
        [row.username for row in rows],
        password_hash,
    )
    ids = accounts.ids_of_phones(unit, phones)
    missing = [row.username for row in rows if row.phone not in ids]
    if missing:
        raise Conflict(f"These usernames are taken: {', '.join(str(name) for name in missing[:10])}.")
    index_names(unit, sorted(ids.values()))
    return [ids[phone] for phone in phones]
