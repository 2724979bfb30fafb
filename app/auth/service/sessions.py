"""Sessions: opened by signing in, kept by refreshing, ended one by one or all at once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID, uuid4

import structlog

from app.auth import events, tokens
from app.auth.profile import User, present_users
from app.auth.queries import sessions
from app.auth.queries.accounts import StoredPassword
from app.auth.schemas import Client, SessionInfo, SignedIn, TokenPair
from app.auth.service.outcomes import Outcome
from app.errors import InvalidCredentials, InvalidRefreshToken, NotFound, ValidationFailed
from app.infra import jobs
from app.infra.db import UnitOfWork
from app.infra.times import rfc3339
from app.web.links import avatar_link
from app.web.pagination import ItemPage, decode_cursor, encode_cursor
from config import settings

log = structlog.get_logger(__name__)


def open_session(unit: UnitOfWork, account: StoredPassword, client: Client) -> SignedIn:
    """Signs a device in; raises InvalidCredentials where the account has another password by now, or is gone."""
    session_id, refresh_id = uuid4(), tokens.new_token_id()
    owner = sessions.open_session(
        unit,
        session_id,
        account.user_id,
        account.password_hash,
        tokens.digest(refresh_id),
        client.device,
        client.address,
        settings().jwt_refresh_expiry,
    )
    if owner is None:
        raise InvalidCredentials
    # Whoever signs in comes without a token, by which links are signed in all other answers.
    user: User = {**present_users([owner])[0], "avatar_url": avatar_link(owner.avatar_file_id, owner.id)}
    return {"user": user, **tokens.make_pair(account.user_id, session_id, refresh_id)}


def refresh(unit: UnitOfWork, refresh_token: str, client: Client) -> Outcome[TokenPair]:
    """New tokens for the refresh token that is good now.

    One that was used before was copied by somebody: whoever holds it or its successor, the session ends, and
    InvalidRefreshToken is the outcome. Raises InvalidRefreshToken for one that we never signed or that expired.
    """
    claims = tokens.read_refresh(refresh_token)
    next_id = tokens.new_token_id()
    rotated = sessions.rotate(
        unit,
        claims.session_id,
        claims.user_id,
        tokens.digest(claims.token_id),
        tokens.digest(next_id),
        client.address,
        settings().jwt_refresh_expiry,
    )
    if rotated:
        return tokens.make_pair(claims.user_id, claims.session_id, next_id)
    if _end(unit, claims.user_id, claims.session_id):
        log.warning("refresh_token_reused", user_id=claims.user_id, session_id=str(claims.session_id))
    return InvalidRefreshToken()


def revoke_session(unit: UnitOfWork, user_id: int, session_id: UUID) -> None:
    """Signs one of a person's devices out: its tokens and sockets, at once. Raises NotFound."""
    if not _end(unit, user_id, session_id):
        raise NotFound("You have no such session.")


def end_sessions(unit: UnitOfWork, user_id: int, kept: UUID | None = None) -> None:
    """Signs all of a person's devices out, but for `kept`."""
    _announce(unit, user_id, sessions.revoke_all(unit, user_id, kept))


def list_sessions(
    unit: UnitOfWork, user_id: int, current: UUID, limit: int, cursor: str | None
) -> ItemPage[SessionInfo]:
    """A person's devices that are signed in, the newest first."""
    before, before_id = _place(cursor) if cursor else (None, None)
    rows = sessions.page(unit, user_id, before, before_id, limit + 1)
    shown = rows[:limit]
    more = len(rows) > limit
    return {
        "items": [
            {
                "id": str(row.id),
                "device": row.device,
                "address": row.address,
                "created_at": rfc3339(row.created_at),
                "used_at": rfc3339(row.used_at),
                "current": row.id == current,
            }
            for row in shown
        ],
        "next_cursor": encode_cursor(shown[-1].created_at.isoformat(), str(shown[-1].id)) if more else None,
    }


def _place(cursor: str) -> tuple[datetime, UUID]:
    """Where a page begins; raises ValidationFailed."""
    created_at, session_id = decode_cursor(cursor, str, str)
    try:
        return datetime.fromisoformat(str(created_at)), UUID(str(session_id))
    except ValueError:
        raise ValidationFailed(errors=[{"field": "cursor", "message": "not a cursor of this list"}]) from None


def _end(unit: UnitOfWork, user_id: int, session_id: UUID) -> bool:
    ended = sessions.revoke(unit, user_id, session_id)
    if ended:
        _announce(unit, user_id, [session_id])
    return ended


def _announce(unit: UnitOfWork, user_id: int, session_ids: Sequence[UUID]) -> None:
    events.sessions_revoked(unit, user_id, session_ids)
    if session_ids:
        jobs.enqueue(unit, jobs.END_BARRED, user_ids=[user_id])
