"""The HTTP door of identity.

Where a password is hashed, the handler opens its units of work itself, one before and one after, so that no connection
is held meanwhile; where a refusal has to be committed, it is raised after the unit.
"""

from __future__ import annotations

from typing import TypeVar
from uuid import UUID

from flask import Blueprint

from app.auth import service
from app.auth.client import request_client
from app.auth.profile import User
from app.auth.schemas import (
    ChangePassword,
    CodeSent,
    Login,
    PhoneOnly,
    ProfileChange,
    Refresh,
    Register,
    ResetPassword,
    SessionInfo,
    SessionQuery,
    SignedIn,
    SocketTicket,
    TokenPair,
    Verify,
)
from app.errors import (
    AppError,
    InvalidCode,
    InvalidCredentials,
    InvalidRefreshToken,
    NotFound,
    RateLimited,
    UsernameTaken,
)
from app.infra.db import UnitOfWork, unit_of_work
from app.infra.passwords import hash_password
from app.web.authentication import Caller
from app.web.endpoint import operation
from app.web.pagination import ItemPage

Answer = TypeVar("Answer")

blueprint = Blueprint("auth", __name__, url_prefix="/auth")


@blueprint.post("/register")
@operation(answers=CodeSent, status=202, raises=(UsernameTaken, RateLimited), authentication="none")
def register(body: Register) -> CodeSent:
    """Sign up: sends a code to the number.

    The account exists once the code is verified. A number that has an account gets the same answer, and its owner a
    message that somebody tried.
    """
    with unit_of_work() as unit:
        code = service.open_registration(unit, body.phone, body.username, request_client().address)
    password_hash = hash_password(body.password)
    with unit_of_work() as unit:
        return service.keep_registration(unit, body, password_hash, code)


@blueprint.post("/verify")
@operation(answers=SignedIn, status=201, raises=(InvalidCode, UsernameTaken), authentication="none")
def verify(body: Verify) -> SignedIn:
    """Prove the number by its code: opens the account and signs in.

    A code has one use and few tries. Where somebody else took the username meanwhile, sign up again with another.
    """
    with unit_of_work() as unit:
        outcome = service.verify(unit, body.phone, body.code, request_client())
    return _settled(outcome)


@blueprint.post("/code")
@operation(answers=CodeSent, status=202, raises=(RateLimited,), authentication="none")
def send_code(body: PhoneOnly, unit: UnitOfWork) -> CodeSent:
    """Send a new code for a sign-up; the answer never tells whether the number is known."""
    return service.resend_code(unit, body.phone, request_client().address)


@blueprint.post("/login")
@operation(answers=SignedIn, raises=(InvalidCredentials, RateLimited), authentication="none")
def login(body: Login) -> SignedIn:
    """Sign in by number and password; an unknown number is told the same as a wrong password."""
    client = request_client()
    with unit_of_work() as unit:
        attempt = service.count_login(unit, body.phone, client)
    checked = service.check_password(attempt, body.password)
    with unit_of_work() as unit:
        return service.sign_in(unit, checked, client)


@blueprint.post("/refresh")
@operation(answers=TokenPair, raises=(InvalidRefreshToken,), authentication="none")
def refresh(body: Refresh) -> TokenPair:
    """Get new tokens for a refresh token, which is good once: used twice, it revokes its whole session."""
    with unit_of_work() as unit:
        outcome = service.refresh(unit, body.refresh_token, request_client())
    return _settled(outcome)


@blueprint.post("/logout")
@operation()
def logout(caller: Caller, unit: UnitOfWork) -> None:
    """Sign this device out: its access token, refresh token and sockets end at once."""
    service.revoke_session(unit, caller.user_id, UUID(caller.session_id))


@blueprint.get("/me")
@operation(answers=User)
def get_me(caller: Caller, unit: UnitOfWork) -> User:
    """Your own profile."""
    return service.get_profile(unit, caller.user_id)


@blueprint.patch("/me")
@operation(answers=User, raises=(UsernameTaken,))
def change_me(body: ProfileChange, caller: Caller, unit: UnitOfWork) -> User:
    """Change your profile: absent fields stay as they are, null clears one."""
    return service.change_profile(unit, caller.user_id, body)


@blueprint.get("/sessions")
@operation(answers=ItemPage[SessionInfo])
def list_sessions(query: SessionQuery, caller: Caller, unit: UnitOfWork) -> ItemPage[SessionInfo]:
    """The devices that are signed in, the newest first."""
    return service.list_sessions(unit, caller.user_id, UUID(caller.session_id), query.limit, query.cursor)


@blueprint.delete("/sessions/<uuid:session_id>")
@operation(raises=(NotFound,))
def revoke_session(session_id: UUID, caller: Caller, unit: UnitOfWork) -> None:
    """Sign one of your devices out."""
    service.revoke_session(unit, caller.user_id, session_id)


@blueprint.post("/password/forgot")
@operation(answers=CodeSent, status=202, raises=(RateLimited,), authentication="none")
def forgot_password(body: PhoneOnly, unit: UnitOfWork) -> CodeSent:
    """Send a code that lets set a new password; the answer never tells whether the number is known."""
    return service.request_reset(unit, body.phone, request_client().address)


@blueprint.post("/password/reset")
@operation(raises=(InvalidCode,), authentication="none")
def reset_password(body: ResetPassword) -> None:
    """Set a new password by code; every session ends."""
    with unit_of_work() as unit:
        outcome = service.prove_reset(unit, body.phone, body.code)
    user_id = _settled(outcome)
    new_hash = hash_password(body.new_password)
    with unit_of_work() as unit:
        service.reset_password(unit, user_id, new_hash)


@blueprint.put("/password")
@operation(raises=(InvalidCredentials, RateLimited))
def change_password(body: ChangePassword, caller: Caller) -> None:
    """Set a new password by the old one; every other session ends."""
    with unit_of_work() as unit:
        stored = service.count_old_password(unit, caller.user_id)
    service.check_old_password(stored, body.old_password)
    new_hash = hash_password(body.new_password)
    with unit_of_work() as unit:
        service.change_password(unit, stored, new_hash, UUID(caller.session_id))


@blueprint.post("/ws-ticket")
@operation(answers=SocketTicket)
def make_ticket(caller: Caller) -> SocketTicket:
    """A ticket for one WebSocket handshake (`/ws?token=`), good once and for half a minute."""
    return service.make_ticket(caller)


def _settled(outcome: service.Outcome[Answer]) -> Answer:
    """The answer of an outcome; raises its refusal, now that what led to it is committed."""
    if isinstance(outcome, AppError):
        raise outcome
    return outcome
