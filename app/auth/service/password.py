"""Changing a password, by the old one or by a code; other sessions end."""

from __future__ import annotations

from uuid import UUID

from app.auth.queries import accounts
from app.auth.queries.accounts import StoredPassword
from app.auth.schemas import CodeSent
from app.auth.service import codes, limits, sessions
from app.auth.service.outcomes import Outcome
from app.errors import InvalidCode, InvalidCredentials
from app.infra.db import UnitOfWork
from app.infra.passwords import password_matches

_WRONG = "The old password is wrong."


def request_reset(unit: UnitOfWork, phone: str, address: str | None) -> CodeSent:
    """Sends a code to the number's account; the answer is the same where there is none. Raises RateLimited."""
    code = codes.issue(unit, phone, "reset", address)
    if accounts.has_account(unit, phone):
        codes.send(unit, phone, code)
    return codes.announced(phone)


def prove_reset(unit: UnitOfWork, phone: str, code: str) -> Outcome[int]:
    """First step of a reset: whose password the code lets change, or InvalidCode."""
    if not codes.spend(unit, phone, "reset", code):
        return InvalidCode()
    account = accounts.password_of_phone(unit, phone)
    return InvalidCode() if account is None else account.user_id


def reset_password(unit: UnitOfWork, user_id: int, new_hash: str) -> None:
    """Second step of a reset: sets the password, ends every session, and lets sign in who was locked out."""
    phone = accounts.set_password(unit, user_id, new_hash)
    if phone is None:
        raise InvalidCode
    sessions.end_sessions(unit, user_id)
    limits.unlock_login(unit, phone)


def count_old_password(unit: UnitOfWork, user_id: int) -> StoredPassword:
    """First step of a change: counts the attempt and finds the password; raises RateLimited or InvalidCredentials."""
    limits.count_old_password(unit, user_id)
    stored = accounts.password_of_user(unit, user_id)
    if stored is None:
        raise InvalidCredentials(_WRONG)
    return stored


def check_old_password(stored: StoredPassword, password: str) -> None:
    """Second step, without a transaction; raises InvalidCredentials."""
    if not password_matches(stored.password_hash, password):
        raise InvalidCredentials(_WRONG)


def change_password(unit: UnitOfWork, stored: StoredPassword, new_hash: str, kept: UUID) -> None:
    """Third step: sets the password and ends every session but `kept`; raises InvalidCredentials where it changed."""
    if accounts.set_password(unit, stored.user_id, new_hash, stored.password_hash) is None:
        raise InvalidCredentials(_WRONG)
    sessions.end_sessions(unit, stored.user_id, kept)
    limits.forgive_old_password(unit, stored.user_id)
