"""Signing up: the account exists only once the code that went to the number has come back."""

from __future__ import annotations

from app.auth.queries import accounts
from app.auth.schemas import Client, CodeSent, Register, SignedIn
from app.auth.service import codes, sessions
from app.auth.service.names import index_names
from app.auth.service.outcomes import Outcome
from app.errors import InvalidCode, UsernameTaken
from app.infra import sms
from app.infra.db import UnitOfWork

_ALREADY_HERE = (
    "Somebody tried to sign up to Paperplane with your number. You have an account already: if it was you, sign in."
)


def open_registration(unit: UnitOfWork, phone: str, username: str, address: str | None) -> str:
    """First step of signing up: the code to send once the password is hashed.

    Raises UsernameTaken or RateLimited, which tell nothing of the number.
    """
    if accounts.username_is_taken(unit, username):
        raise UsernameTaken
    return codes.issue(unit, phone, "register", address)


def keep_registration(unit: UnitOfWork, person: Register, password_hash: str, code: str) -> CodeSent:
    """Second step: keeps the sign-up and sends its code; the owner of a known number is told instead."""
    kept = accounts.keep_registration(
        unit, person.phone, person.username, person.first_name, person.last_name or None, password_hash
    )
    if kept:
        codes.send(unit, person.phone, code)
    else:
        unit.after_commit(lambda: sms.deliver(person.phone, _ALREADY_HERE))
    return codes.announced(person.phone)


def resend_code(unit: UnitOfWork, phone: str, address: str | None) -> CodeSent:
    """Sends a new code to a number that waits for one; the answer is the same for every number. Raises RateLimited."""
    code = codes.issue(unit, phone, "register", address)
    if accounts.has_registration(unit, phone):
        codes.send(unit, phone, code)
    return codes.announced(phone)


def verify(unit: UnitOfWork, phone: str, code: str, client: Client) -> Outcome[SignedIn]:
    """Opens the account and signs in; or InvalidCode, or UsernameTaken where somebody was faster.

    A sign-up whose username was taken stays, and can be repeated at once with another one.
    """
    if not codes.spend(unit, phone, "register", code):
        return InvalidCode()
    account = accounts.open_account(unit, phone)
    if account is not None:
        index_names(unit, [account.user_id])
        return sessions.open_session(unit, account, client)
    if accounts.has_registration(unit, phone) and not accounts.has_account(unit, phone):
        return UsernameTaken()
    return InvalidCode()
