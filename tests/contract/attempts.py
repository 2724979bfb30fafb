"""What everybody may try: each route and each frame, with what each role is answered."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.contract.roles import HERE, ROLES, SIGNED_OUT, Outcome, World
from tests.files import tus
from tests.people import PASSWORD
from tests.unique import new_phone


@dataclass(frozen=True)
class Attempt:
    """One way to use a route or a frame: its body, and what each role is answered."""

    route: str
    outcomes: dict[str, Outcome]
    body: Callable[[World, str], Any] = lambda _world, _role: None
    about: str = ""
    options: Callable[[], dict[str, Any]] = dict
    """What is sent besides."""

    def __str__(self) -> str:
        return f"{self.route} {self.about}".strip()


def _everybody(outcome: Outcome) -> dict[str, Outcome]:
    return dict.fromkeys(ROLES, outcome)


def _signed_in(outcome: Outcome, **others: Outcome) -> dict[str, Outcome]:
    """What everybody with a living session is answered, and who is answered otherwise."""
    return {**_everybody(outcome), **SIGNED_OUT, **others}


def _in_chat(outcome: Outcome, **others: Outcome) -> dict[str, Outcome]:
    """What who is in the chat is answered; to all others it is not there."""
    return _signed_in("not_found", **{**dict.fromkeys(HERE, outcome), **others})


def _registration(world: World, role: str) -> Any:
    return {"phone": new_phone(), "password": PASSWORD, "first_name": "Eve", "username": f"user_{secrets.token_hex(8)}"}


def _piece() -> dict[str, Any]:
    return {"data": b"hello", "headers": {**tus.VERSION, "Upload-Offset": "0", "Content-Type": tus.PIECE_TYPE}}


def _code(**fields: str) -> Callable[[World, str], Any]:
    return lambda _world, _role: {"phone": new_phone(), "code": "000000", **fields}


REST = [
    Attempt("POST /api/files/upload", _signed_in(201), options=lambda: {"files": {"file": ("a.txt", b"hello")}}),
    Attempt("GET /api/files/{file_id}", _in_chat(200)),
    Attempt("GET /api/files/{file_id}/info", _in_chat(200)),
    Attempt("DELETE /api/files/{file_id}", _in_chat("forbidden", owner=204), about="of the owner or the peer"),
    Attempt(
        "POST /api/files/tus", _signed_in(201), options=lambda: {"headers": {**tus.VERSION, "Upload-Length": "10"}}
    ),
    # Refusals of HEAD have no body, and show as their status.
    Attempt(
        "HEAD /api/files/tus/{file_id}",
        {**_everybody(404), **dict.fromkeys(SIGNED_OUT, 401), "owner": 200},
        about="of the owner",
        options=lambda: {"headers": tus.VERSION},
    ),
    Attempt("PATCH /api/files/tus/{file_id}", _signed_in("not_found", owner=204), about="of the owner", options=_piece),
    Attempt(
        "DELETE /api/files/tus/{file_id}",
        _signed_in("not_found", owner=204),
        about="of the owner",
        options=lambda: {"headers": tus.VERSION},
    ),
    # Files are in a folder here: what was uploaded otherwise is the owner's already.
    Attempt(
        "POST /api/files/direct",
        _signed_in("direct_upload_unavailable"),
        lambda _world, _role: {"name": "a.txt", "size": 5},
    ),
    Attempt("POST /api/files/direct/{file_id}", _signed_in("not_found", owner=200), about="of the owner"),
    Attempt("POST /api/auth/register", _everybody(202), _registration),
    Attempt("POST /api/auth/verify", _everybody("invalid_code"), _code()),
    Attempt("POST /api/auth/code", _everybody(202), lambda _world, _role: {"phone": new_phone()}),
    Attempt(
        "POST /api/auth/login",
        _everybody(200),
        lambda world, _role: {"phone": world.owner.phone, "password": PASSWORD},
        "with the password of somebody",
    ),
    Attempt(
        "POST /api/auth/login",
        _everybody("invalid_credentials"),
        lambda world, _role: {"phone": world.owner.phone, "password": "wrong"},
        "without it",
    ),
    Attempt(
        "POST /api/auth/refresh",
        _everybody("invalid_refresh_token"),
        lambda world, _role: {"refresh_token": world.owner.access_token},
        "with an access token",
    ),
    Attempt("POST /api/auth/password/forgot", _everybody(202), lambda _world, _role: {"phone": new_phone()}),
    Attempt("POST /api/auth/password/reset", _everybody("invalid_code"), _code(new_password=PASSWORD)),
    Attempt("POST /api/auth/logout", _signed_in(204)),
    Attempt("GET /api/auth/me", _signed_in(200)),
    Attempt("PATCH /api/auth/me", _signed_in(200), lambda _world, _role: {"bio": "here"}),
    Attempt("GET /api/auth/sessions", _signed_in(200)),
    Attempt("DELETE /api/auth/sessions/{session_id}", _signed_in("not_found", owner=204), about="of the owner"),
    Attempt(
        "PUT /api/auth/password",
        _signed_in(204),
        lambda _world, _role: {"old_password": PASSWORD, "new_password": "another horse battery"},
    ),
    Attempt("POST /api/auth/ws-ticket", _signed_in(200)),
    Attempt("GET /api/users", _signed_in(200), about="?q=a"),
    Attempt("GET /api/users/{user_id}", _signed_in(200)),
    Attempt("GET /api/users/{user_id}/chats", _signed_in(200)),
    Attempt("GET /api/contacts", _signed_in(200)),
    Attempt("GET /api/blocks", _signed_in(200)),
    Attempt("GET /api/sync", _signed_in(200)),
    Attempt("POST /api/users/{user_id}/contacts", _signed_in(201)),
    Attempt("DELETE /api/users/{user_id}/contacts", _signed_in(204)),
    Attempt("POST /api/users/{user_id}/block", _signed_in(204)),
    Attempt("DELETE /api/users/{user_id}/block", _signed_in(204)),
    Attempt("GET /api/chats", _signed_in(200)),
    Attempt(
        "POST /api/chats",
        _signed_in(201, blocked=200),
        lambda world, role: {"type": "direct", "user_id": world.other(role).id},
        "direct",
    ),
    Attempt(
        "POST /api/chats",
        _signed_in(201, blocked="forbidden"),
        lambda world, role: {"type": "group", "name": "New", "member_ids": [world.other(role).id]},
        "adding somebody",
    ),
    Attempt("GET /api/chats/{chat_id}", _in_chat(200)),
    Attempt(
        "PUT /api/chats/{chat_id}",
        _in_chat("forbidden", owner=200, admin=200, blocked="conflict"),
        lambda _world, _role: {"name": "New"},
    ),
    Attempt("DELETE /api/chats/{chat_id}", _in_chat(204, member="forbidden", admin="forbidden")),
    Attempt(
        "DELETE /api/chats/{chat_id}",
        _in_chat(204, member="forbidden", admin="forbidden"),
        about="?for_everyone=true",
    ),
    Attempt("DELETE /api/chats/{chat_id}/history", _in_chat(204)),
    Attempt("DELETE /api/chats/{chat_id}/history", _in_chat("forbidden", blocked=204), about="?for_everyone=true"),
    Attempt("POST /api/chats/{chat_id}/pin", _in_chat(200), lambda _world, _role: {"pinned": True}),
    Attempt("POST /api/chats/{chat_id}/mute", _in_chat(200), lambda _world, _role: {"muted": True}),
    Attempt("GET /api/chats/{chat_id}/members", _in_chat(200)),
    Attempt(
        "POST /api/chats/{chat_id}/members",
        _in_chat(200, blocked="conflict"),
        lambda world, role: {"user_ids": [world.other(role).id]},
    ),
    Attempt(
        "PATCH /api/chats/{chat_id}/members/{user_id}",
        _in_chat("forbidden", owner=200, admin=200, blocked="conflict"),
        lambda world, _role: world.with_bystander({"role": "admin"}),
        "naming an admin",
    ),
    Attempt(
        "PATCH /api/chats/{chat_id}/members/{user_id}",
        _in_chat("forbidden", owner=200, blocked="conflict"),
        lambda world, _role: world.with_bystander({"role": "owner"}),
        "handing it over",
    ),
    Attempt(
        "DELETE /api/chats/{chat_id}/members/{user_id}",
        _in_chat("forbidden", owner=204, admin=204, blocked="conflict"),
        lambda world, _role: world.with_bystander(None),
    ),
    # Of several, the owner cannot leave; and the group has no username, so nobody joins it.
    Attempt("POST /api/chats/{chat_id}/leave", _in_chat(204, owner="owner_must_hand_over", blocked="conflict")),
    Attempt("POST /api/chats/{chat_id}/join", _in_chat(200, blocked="conflict")),
    Attempt("GET /api/chats/{chat_id}/messages", _in_chat(200)),
    Attempt("POST /api/chats/{chat_id}/read", _in_chat(200), lambda _world, _role: {}),
    Attempt(
        "POST /api/messages",
        _in_chat(201, blocked="forbidden"),
        lambda world, role: {"chat_id": world.chat(role), "text": "hello"},
    ),
    Attempt(
        "POST /api/messages",
        _in_chat("forbidden", owner=201, admin=201, blocked="not_found"),
        lambda world, _role: {"chat_id": world.channel, "text": "hello"},
        "in a channel",
    ),
    Attempt("GET /api/messages/search", _signed_in(200), about="?q=hello"),
    Attempt("GET /api/chats/search", _signed_in(200), about="?q=news"),
    Attempt("GET /api/messages/{message_id}", _in_chat(200)),
    Attempt(
        "PUT /api/messages/{message_id}",
        _in_chat("forbidden", owner=200),
        lambda _world, _role: {"text": "edited"},
        "of the owner or the peer",
    ),
    Attempt("DELETE /api/messages/{message_id}", _in_chat(204)),
    Attempt(
        "DELETE /api/messages/{message_id}",
        _in_chat(204, member="forbidden"),
        about="?for=everyone",
    ),
    # The owner's message, and in the direct chat that of who blocks.
    Attempt("GET /api/messages/{message_id}/receipts", _in_chat("forbidden", owner=200, admin=200)),
    Attempt(
        "POST /api/messages/{message_id}/forward",
        _in_chat(201, blocked="forbidden"),
        lambda world, role: {"chat_ids": [world.chat(role)]},
    ),
    Attempt(
        "POST /api/messages/{message_id}/forward",
        _in_chat("forbidden", owner=201, admin=201, blocked="not_found"),
        lambda world, _role: {"chat_ids": [world.channel]},
        "to a channel",
    ),
    Attempt(
        "POST /api/calls/start",
        _signed_in(201, blocked="forbidden"),
        lambda world, role: world.hung_up({"user_id": world.other(role).id, "call_type": "audio"}),
        "with a person",
    ),
    Attempt(
        "POST /api/calls/start",
        _in_chat("group_calls_unavailable", blocked="forbidden"),
        lambda world, role: {"chat_id": world.chat(role), "call_type": "audio"},
        "in a chat",
    ),
    Attempt(
        "POST /api/calls/start",
        _in_chat("forbidden", blocked="not_found"),
        lambda world, _role: {"chat_id": world.channel, "call_type": "audio"},
        "in a channel",
    ),
    # The owner has made the call.
    # A call between the owner and the member: the admin is in their group, and not in the call.
    Attempt("POST /api/calls/{call_id}/answer", _in_chat(200, owner="forbidden", admin="not_found")),
    Attempt("POST /api/calls/{call_id}/end", _in_chat(200, admin="not_found"), lambda _world, _role: {}),
    Attempt("GET /api/calls/{call_id}", _in_chat(200, admin="not_found")),
    Attempt("GET /api/calls/history", _signed_in(200)),
    Attempt("GET /api/calls/ice-servers", _signed_in(200)),
]

FRAMES = [
    Attempt(
        "message",
        _in_chat("ack", blocked="forbidden"),
        lambda world, role: {"chat_id": world.chat(role), "text": "hello"},
    ),
    Attempt(
        "message",
        _in_chat("forbidden", owner="ack", admin="ack", blocked="not_found"),
        lambda world, _role: {"chat_id": world.channel, "text": "hello"},
        "in a channel",
    ),
    Attempt("typing", _in_chat("ack"), lambda world, role: {"chat_id": world.chat(role), "is_typing": True}),
    Attempt(
        "typing",
        _in_chat("forbidden", blocked="not_found"),
        lambda world, _role: {"chat_id": world.channel, "is_typing": True},
        "in a channel",
    ),
    Attempt(
        "read_receipt",
        _in_chat("ack"),
        lambda world, role: {"chat_id": world.chat(role), "message_id": world.message(role)},
    ),
    Attempt(
        "delivered",
        _in_chat("ack"),
        lambda world, role: {"chat_id": world.chat(role), "message_id": world.message(role)},
    ),
    Attempt("presence", _signed_in("ack"), lambda _world, _role: {"status": "away"}),
    Attempt(
        "call_signal",
        _in_chat("conflict", owner="ack", admin="not_found"),
        lambda world, role: {"call_id": world.call(role), "signal": {}},
        "while it rings",
    ),
    Attempt(
        "call_signal",
        _in_chat("ack", admin="not_found"),
        lambda world, role: {"call_id": world.call(role, is_answered=True), "signal": {}},
        "once it is answered",
    ),
    Attempt("auth", _signed_in("ack"), lambda world, role: {"token": world.callers[role].access_token}),
    Attempt(
        "auth",
        _signed_in("unauthenticated"),
        lambda world, role: {"token": world.other(role).access_token},
        "with the token of another",
    ),
    Attempt("ping", _signed_in("ack"), lambda _world, _role: {}),
]

# Open to everybody and without data of anybody; the socket is tried by its frames.
OPEN = {
    "GET /": 302,
    "GET /healthz": 200,
    "GET /readyz": 200,
    "GET /metrics": 200,
    "GET /docs": 200,
    "GET /docs/events": 200,
    "GET /docs/errors": 200,
    "GET /docs/static/{name}": 404,
    "GET /openapi.json": 200,
    "GET /asyncapi.json": 200,
    "GET /ws": 400,
}
