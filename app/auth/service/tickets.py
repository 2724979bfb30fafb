"""Who opens a WebSocket: by an access token, or by a ticket that is good once, on whatever API process."""

from __future__ import annotations

from app.auth import tokens
from app.auth.schemas import SocketTicket
from app.errors import Unauthenticated, Unavailable
from app.infra.redis_batches import RedisAway, RedisBatches
from app.web.authentication import Caller, read_token

_batches = RedisBatches()


def make_ticket(caller: Caller) -> SocketTicket:
    """A ticket for one handshake, so that no long-lived token stands in a URL."""
    ticket, life = tokens.make_ticket(caller)
    return {"ticket": ticket, "expires_in": life}


def authenticate_socket(token: str) -> Caller:
    """Who an access token or ticket lets open a socket; a ticket is used up.

    Says nothing of revocation: ask `require_live_session` next. Raises Unauthenticated, also as TokenExpired. Access
    tokens are read in the context of the Flask app.
    """
    return redeem_ticket(token) if tokens.is_ticket(token) else read_token(token)


def redeem_ticket(token: str) -> Caller:
    """Who a ticket was made for; uses it up. Raises Unauthenticated, or Unavailable while Redis is away and nobody
    can tell whether it was used: the access token works then.
    """
    ticket = tokens.read_ticket(token)
    key = f"ticket:{ticket.token_id}"
    try:
        is_first = _batches.ask("SET", key, 1, "NX", "EX", ticket.seconds_left + 1) is not None
    except RedisAway:
        raise Unavailable(retry_after=1) from None
    if not is_first:
        raise Unauthenticated("The ticket was used: get a new one.")
    return ticket.caller
