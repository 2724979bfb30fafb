"""Signing in by number and password; an unknown number is told the same, in the same time."""

from __future__ import annotations

from dataclasses import dataclass

from app.auth.queries import accounts
from app.auth.queries.accounts import StoredPassword
from app.auth.schemas import Client, SignedIn
from app.auth.service import limits, sessions
from app.errors import InvalidCredentials
from app.infra.db import UnitOfWork
from app.infra.passwords import hash_password, is_outdated, password_matches


@dataclass(frozen=True, slots=True)
class LoginAttempt:
    """A number that somebody tries to sign in to, and its account, if there is one."""

    phone: str
    account: StoredPassword | None


@dataclass(frozen=True, slots=True)
class CheckedLogin:
    """A login whose password was right; `fresh_hash` replaces a hash made with outdated costs."""

    phone: str
    account: StoredPassword
    fresh_hash: str | None


def count_login(unit: UnitOfWork, phone: str, client: Client) -> LoginAttempt:
    """First step: counts the attempt and finds the account; raises RateLimited."""
    limits.count_login(unit, phone, client.address)
    return LoginAttempt(phone, accounts.password_of_phone(unit, phone))


def check_password(attempt: LoginAttempt, password: str) -> CheckedLogin:
    """Second step, without a transaction: raises InvalidCredentials, or Unavailable where too many sign in."""
    account = attempt.account
    matches = password_matches(account and account.password_hash, password)
    if account is None or not matches:
        raise InvalidCredentials
    fresh_hash = hash_password(password) if is_outdated(account.password_hash) else None
    return CheckedLogin(attempt.phone, account, fresh_hash)


def sign_in(unit: UnitOfWork, login: CheckedLogin, client: Client) -> SignedIn:
    """Third step: opens a session; raises InvalidCredentials where the password was changed meanwhile."""
    account = login.account
    if login.fresh_hash is not None:
        if accounts.set_password(unit, account.user_id, login.fresh_hash, account.password_hash) is None:
            raise InvalidCredentials
        account = StoredPassword(account.user_id, login.fresh_hash)
    signed_in = sessions.open_session(unit, account, client)
    limits.forgive_login(unit, login.phone, client.address)
    return signed_in
