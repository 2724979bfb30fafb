"""Who calls: what an access token says (cached while it is good) and whether its session still lives."""

from __future__ import annotations

import time
from collections import OrderedDict
from dataclasses import dataclass
from functools import partial
from typing import Annotated
from uuid import UUID

import jwt
from flask import request
from flask_jwt_extended import decode_token
from flask_jwt_extended.exceptions import JWTExtendedException
from pydantic import Field
from sqlalchemy.engine import Connection

from app.errors import InvalidLink, SessionRevoked, TokenExpired, Unauthenticated
from app.infra.db import Prepared, Proviso, UnitOfWork
from app.web.edge import USER_ID
from app.web.input import Id, Query, Text
from app.web.links import check_link

_LARGEST_CACHE = 50_000
_LONGEST_TOKEN = 4096

_TYPES = ("uuid", "bigint")
_LIVES = "EXISTS (SELECT FROM sessions WHERE id = {0} AND user_id = {1} AND revoked_at IS NULL)"
_SESSION_LIVES = Prepared("session_lives", _TYPES, f"SELECT 1 WHERE {_LIVES.format('$1', '$2')}")

# A link is made for a person and not for a session; it opens nothing once the person has signed out everywhere.
_SIGNED_IN = "EXISTS (SELECT FROM sessions WHERE user_id = {0} AND revoked_at IS NULL)"
_HAS_SESSION = Prepared("person_has_session", ("bigint",), f"SELECT 1 WHERE {_SIGNED_IN.format('$1')}")
_BY_LINK = ""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who made a request or frame: a user, on a session (a UUID), until `expires_at` (Unix seconds)."""

    user_id: int
    session_id: str
    """Empty for who comes by a signed link."""
    expires_at: float


class LinkQuery(Query):
    """What signs a link to a file; all three, or none and a token."""

    viewer: Id | None = None
    until: Annotated[int, Field(ge=0, le=2**40)] | None = None
    signature: Annotated[Text, Field(max_length=100)] | None = None


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


def link_caller(file_id: UUID, query: LinkQuery, thumbnail: str | None) -> Caller:
    """Whom the link of the current request was made for, or whom its Authorization header names where it has one.

    Raises InvalidLink, LinkExpired, or what `request_caller` raises.
    """
    parts = (query.viewer, query.until, query.signature)
    if "Authorization" in request.headers or parts == (None, None, None):
        return request_caller()
    if query.viewer is None or query.until is None or query.signature is None:
        raise InvalidLink
    check_link(file_id, thumbnail, query.viewer, query.until, query.signature)
    request.environ[USER_ID] = query.viewer
    return Caller(query.viewer, _BY_LINK, query.until)


def require_live_session(unit: UnitOfWork, caller: Caller) -> None:
    """Raises SessionRevoked where the session was signed out; asked on every use, never cached.

    For who comes by a link, where all of that person's sessions were.
    """
    _require(caller, unit.connection)


def live_session(caller: Caller) -> Proviso:
    """The same, asked along with the first statement of a reading."""
    ask = partial(_require, caller)
    if caller.session_id == _BY_LINK:
        return Proviso("signed_in", _SIGNED_IN, ("bigint",), (caller.user_id,), ask)
    return Proviso("in_session", _LIVES, _TYPES, (caller.session_id, caller.user_id), ask)


def _require(caller: Caller, connection: Connection) -> None:
    if caller.session_id == _BY_LINK:
        if _HAS_SESSION.row(connection, caller.user_id) is None:
            raise SessionRevoked
        return
    if _SESSION_LIVES.row(connection, caller.session_id, caller.user_id) is None:
        # It never lives again; remembered, its tokens cannot use up the rate limits of their person any more.
        _revoked[caller.user_id, caller.session_id] = None
        if len(_revoked) > _LARGEST_CACHE:
            _revoked.popitem(last=False)
        raise SessionRevoked
