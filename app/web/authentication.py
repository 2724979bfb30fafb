"""Who calls: what an access token says (cached while it is good) and whether its session still lives."""

from __future__ import annotations

import time
from collections import OrderedDict
from dataclasses import dataclass

import jwt
from flask import request
from flask_jwt_extended import decode_token
from flask_jwt_extended.exceptions import JWTExtendedException

from app.errors import SessionRevoked, TokenExpired, Unauthenticated
from app.infra.db import Prepared, UnitOfWork
from app.web.edge import USER_ID

_LARGEST_CACHE = 50_000
_LONGEST_TOKEN = 4096

_SESSION_LIVES = Prepared(
    "session_lives",
    ("uuid", "bigint"),
    "SELECT 1 FROM sessions WHERE id = $1 AND user_id = $2 AND revoked_at IS NULL",
)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who made a request or frame: a user, on a session (a UUID), until `expires_at` (Unix seconds)."""

    user_id: int
    session_id: str
    expires_at: float


_verified: OrderedDict[str, Caller] = OrderedDict()
_revoked: OrderedDict[tuple[int, str], None] = OrderedDict()


def read_token(token: str) -> Caller:
    """Who an access token names; its signature is checked once and then remembered until it expires.

    Says nothing of revocation. Raises TokenExpired or Unauthenticated.
    """
    caller = _verified.get(token)
    if caller is None:
        caller = _decode(token)
        _verified[token] = caller
        if len(_verified) > _LARGEST_CACHE:
            _verified.popitem(last=False)
    if caller.expires_at <= time.time():
        _verified.pop(token, None)
        raise TokenExpired
    if (caller.user_id, caller.session_id) in _revoked:
        raise SessionRevoked
    return caller


def _decode(token: str) -> Caller:
    if len(token) > _LONGEST_TOKEN:
        raise Unauthenticated
    try:
        claims = decode_token(token)
        if claims["type"] != "access":
            raise Unauthenticated("This is a refresh token: use the access token here.")
        return Caller(int(claims["sub"]), str(claims["sid"]), float(claims["exp"]))
    except jwt.ExpiredSignatureError:
        raise TokenExpired from None
    except (jwt.PyJWTError, JWTExtendedException, KeyError, ValueError):
        raise Unauthenticated("The access token is not valid.") from None


def request_caller() -> Caller:
    """Who the current HTTP request's Authorization header names."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise Unauthenticated
    caller = read_token(token.strip())
    request.environ[USER_ID] = caller.user_id
    return caller


def require_live_session(unit: UnitOfWork, caller: Caller) -> None:
    """Raises SessionRevoked where the session was signed out; asked on every use, never cached."""
    if _SESSION_LIVES.row(unit.connection, caller.session_id, caller.user_id) is None:
        # It never lives again; remembered, its tokens cannot use up the rate limits of their person any more.
        _revoked[caller.user_id, caller.session_id] = None
        if len(_revoked) > _LARGEST_CACHE:
            _revoked.popitem(last=False)
        raise SessionRevoked
