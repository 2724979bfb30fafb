"""Tokens: access and refresh tokens of a session, and tickets for one WebSocket handshake. All are signed JWTs.

A session keeps only a hash of the refresh token that is good now, so a copy of the database signs nobody in.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID, uuid4

import jwt
from flask_jwt_extended import create_access_token, create_refresh_token, decode_token
from flask_jwt_extended.exceptions import JWTExtendedException

from app.auth.schemas import TokenPair
from app.errors import InvalidRefreshToken, TokenExpired, Unauthenticated
from app.infra.keys import derived_key
from app.web.authentication import Caller
from config import settings

_TICKET_MARK = "ticket."
_TICKET_ALGORITHM = "HS256"


@dataclass(frozen=True, slots=True)
class RefreshClaims:
    """What a refresh token says."""

    user_id: int
    session_id: UUID
    token_id: str


@dataclass(frozen=True, slots=True)
class Ticket:
    """What a ticket says: for whom it opens a socket, and its own id and remaining life in seconds."""

    caller: Caller
    token_id: str
    seconds_left: int


def new_token_id() -> str:
    """A random id for a token."""
    return str(uuid4())


def digest(token_id: str) -> bytes:
    """What is kept of a refresh token: the SHA-256 of its id."""
    return hashlib.sha256(token_id.encode()).digest()


def make_pair(user_id: int, session_id: UUID, refresh_id: str) -> TokenPair:
    """New tokens of a session."""
    session = {"sid": str(session_id)}
    lives = settings()
    access = create_access_token(
        str(user_id), expires_delta=timedelta(seconds=lives.jwt_expiry), additional_claims=session
    )
    refresh = create_refresh_token(
        str(user_id),
        expires_delta=timedelta(seconds=lives.jwt_refresh_expiry),
        additional_claims=session | {"jti": refresh_id},
    )
    return {"access_token": access, "refresh_token": refresh, "expires_in": lives.jwt_expiry}


def read_refresh(token: str) -> RefreshClaims:
    """What a refresh token says, if we signed it and it has not expired; raises InvalidRefreshToken."""
    try:
        claims = decode_token(token)
        if claims["type"] != "refresh":
            raise InvalidRefreshToken("This is not a refresh token.")
        # The leeway is for the clocks of other hosts that issued it just now, not for its end.
        if claims["exp"] <= time.time():
            raise InvalidRefreshToken
        return RefreshClaims(int(claims["sub"]), UUID(claims["sid"]), str(claims["jti"]))
    except (jwt.PyJWTError, JWTExtendedException, KeyError, ValueError):
        raise InvalidRefreshToken from None


def make_ticket(caller: Caller) -> tuple[str, int]:
    """A ticket and its life in seconds, no longer than the access token that asks for it has left."""
    now = time.time()
    expires = min(now + settings().ws_ticket_expiry, caller.expires_at)
    claims = {
        "sub": str(caller.user_id),
        "sid": caller.session_id,
        "until": caller.expires_at,
        "jti": new_token_id(),
        "exp": expires,
    }
    signed = jwt.encode(claims, derived_key("socket tickets"), _TICKET_ALGORITHM)
    return _TICKET_MARK + signed, max(1, round(expires - now))


def is_ticket(token: str) -> bool:
    """Whether the token means to be a ticket."""
    return token.startswith(_TICKET_MARK)


def read_ticket(token: str) -> Ticket:
    """What a ticket says, whether or not it was used; raises TokenExpired or Unauthenticated."""
    try:
        claims = jwt.decode(
            token.removeprefix(_TICKET_MARK),
            derived_key("socket tickets"),
            [_TICKET_ALGORITHM],
            options={"require": ["exp", "sub", "jti"]},
        )
        caller = Caller(int(claims["sub"]), str(claims["sid"]), float(claims["until"]))
        return Ticket(caller, str(claims["jti"]), max(1, round(claims["exp"] - time.time())))
    except jwt.ExpiredSignatureError:
        raise TokenExpired("The ticket has expired: get a new one.") from None
    except (jwt.PyJWTError, KeyError, ValueError):
        raise Unauthenticated("The ticket is not valid.") from None
