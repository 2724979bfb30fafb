"""Who may do what: every route and every frame, tried by everybody. One that is not listed here fails the tests."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest
import requests
import websocket

from app.realtime.frames import CLIENT_FRAMES
from tests.contract.documents import routes
from tests.factories import run
from tests.people import PASSWORD, Person, close_code
from tests.processes import Api

People = Callable[[int], list[Person]]
Outcome = int | str
"""A status of success, or the `code` of the refusal, which stands for one status."""

SIGNED_OUT: dict[str, Outcome] = {"anonymous": "unauthenticated", "revoked": "session_revoked"}
ROLES = ("anonymous", "stranger", "member", "owner", "former", "blocked", "revoked")
HERE = ("owner", "member", "blocked")


@dataclass
class World:
    """A group and a channel of an owner; whom each role addresses; and a direct chat whose one side blocks the other.

    For the blocked the chat is that direct chat, and the person addressed is who blocks them.
    """

    callers: dict[str, Person]
    owner: Person
    peer: Person
    bystander: Person
    group: int
    channel: int
    direct: int

    def chat(self, role: str) -> int:
        """The chat that a role tries to use."""
        return self.direct if role == "blocked" else self.group

    def other(self, role: str) -> Person:
        """The person whom a role addresses."""
        return self.peer if role == "blocked" else self.bystander

    def with_bystander(self, body: Any) -> Any:
        """Sees to it that the person whom most roles address is in the group, and gives the body back."""
        self.owner.post(f"/chats/{self.group}/members", {"user_ids": [self.bystander.id]})
        return body

    def message(self, role: str) -> int:
        """A message in the chat of a role."""
        teller = self.peer if role == "blocked" else self.owner
        sent: int = teller.send(self.chat(role), "hello")["id"]
        return sent


@pytest.fixture
def world(people: People) -> World:
    """New people in their roles; the former member has left, the revoked one is a member who signed out."""
    anonymous, stranger, member, owner, former, blocked, revoked, peer, bystander = people(9)
    anonymous.access_token = ""
    group = owner.group(member, former, revoked)
    body = {"type": "channel", "name": "News", "member_ids": [member.id, former.id, revoked.id]}
    channel = owner.post("/chats", body)["id"]
    direct = blocked.direct_chat(peer)
    run("INSERT INTO blocks (user_id, blocked_id) VALUES (:peer, :blocked)", peer=peer.id, blocked=blocked.id)
    leave(former, group, channel)
    revoked.post("/auth/logout", status=204)
    callers = dict(zip(ROLES, (anonymous, stranger, member, owner, former, blocked, revoked), strict=True))
    return World(callers, owner, peer, bystander, group, channel, direct)


def leave(person: Person, *chat_ids: int) -> None:
    """Ends memberships as leaving does."""
    for chat_id in chat_ids:
        run(
            "UPDATE chat_members SET left_at = now(), revision = next_message_id() WHERE chat_id = :c AND user_id = :u",
            c=chat_id,
            u=person.id,
        )
        run("UPDATE chats SET members_revision = members_revision + 1 WHERE id = :c", c=chat_id)


@dataclass(frozen=True)
class Attempt:
    """One way to use a route or a frame: its body, and what each role is answered."""

    route: str
    outcomes: dict[str, Outcome]
    body: Callable[[World, str], Any] = lambda _world, _role: None
    about: str = ""

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


def _phone() -> str:
    return f"+1555{secrets.randbelow(10_000_000):07d}"


def _registration(world: World, role: str) -> Any:
    return {"phone": _phone(), "password": PASSWORD, "first_name": "Eve", "username": f"user_{secrets.token_hex(8)}"}


def _code(**fields: str) -> Callable[[World, str], Any]:
    return lambda _world, _role: {"phone": _phone(), "code": "000000", **fields}


REST = [
    Attempt("POST /api/auth/register", _everybody(202), _registration),
    Attempt("POST /api/auth/verify", _everybody("invalid_code"), _code()),
    Attempt("POST /api/auth/code", _everybody(202), lambda _world, _role: {"phone": _phone()}),
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
    Attempt("POST /api/auth/password/forgot", _everybody(202), lambda _world, _role: {"phone": _phone()}),
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
        _in_chat("forbidden", owner=200, blocked="conflict"),
        lambda _world, _role: {"name": "New"},
    ),
    Attempt("DELETE /api/chats/{chat_id}", _in_chat(204, member="forbidden")),
    Attempt("DELETE /api/chats/{chat_id}", _in_chat(204, member="forbidden"), about="?for_everyone=true"),
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
        _in_chat("forbidden", owner=200, blocked="conflict"),
        lambda world, _role: world.with_bystander({"role": "admin"}),
    ),
    Attempt(
        "DELETE /api/chats/{chat_id}/members/{user_id}",
        _in_chat("forbidden", owner=204, blocked="conflict"),
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
        _in_chat("forbidden", owner=201, blocked="not_found"),
        lambda world, _role: {"chat_id": world.channel, "text": "hello"},
        "in a channel",
    ),
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
    Attempt("GET /api/messages/{message_id}/receipts", _in_chat("forbidden", owner=200)),
    Attempt(
        "POST /api/messages/{message_id}/forward",
        _in_chat(201, blocked="forbidden"),
        lambda world, role: {"chat_ids": [world.chat(role)]},
    ),
    Attempt(
        "POST /api/messages/{message_id}/forward",
        _in_chat("forbidden", owner=201, blocked="not_found"),
        lambda world, _role: {"chat_ids": [world.channel]},
        "to a channel",
    ),
]

FRAMES = [
    Attempt(
        "message",
        _in_chat("ack", blocked="forbidden"),
        lambda world, role: {"chat_id": world.chat(role), "text": "hello"},
    ),
    Attempt(
        "message",
        _in_chat("forbidden", owner="ack", blocked="not_found"),
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


def test_every_route_is_listed_here() -> None:
    assert {attempt.route for attempt in REST} | OPEN.keys() == routes()


def test_every_frame_is_listed_here() -> None:
    assert {attempt.route for attempt in FRAMES} == CLIENT_FRAMES.keys()


@pytest.mark.parametrize("attempt", REST, ids=str)
def test_a_route_answers_each_caller_as_listed(world: World, attempt: Attempt) -> None:
    assert {role: _outcome(world, attempt, role) for role in ROLES} == attempt.outcomes


def _outcome(world: World, attempt: Attempt, role: str) -> Outcome:
    method, _, template = attempt.route.partition(" /api")
    path = template.format(
        chat_id=world.chat(role),
        user_id=world.other(role).id,
        session_id=world.callers["owner"].session_id,
        message_id=world.message(role) if "{message_id}" in template else 0,
    )
    caller = world.callers[role]
    # Without a token the header is left out: requests drops what is None.
    headers = {} if caller.access_token else {"Authorization": None}
    query = attempt.about if attempt.about.startswith("?") else ""
    answer = caller.call(method, path + query, attempt.body(world, role), headers=headers)
    if answer.status_code < 400:
        return answer.status_code
    assert answer.headers["Content-Type"] == "application/problem+json", answer.text
    code: str = answer.json()["code"]
    return code


@pytest.mark.parametrize("attempt", FRAMES, ids=str)
def test_a_frame_is_answered_to_each_caller_as_listed(world: World, attempt: Attempt) -> None:
    outcomes: dict[str, Outcome] = dict(SIGNED_OUT)
    for role in ROLES:
        if role in SIGNED_OUT:
            continue
        with world.callers[role].socket() as socket:
            answer = socket.ask(attempt.route, attempt.body(world, role))
            outcomes[role] = "ack" if answer["event"] == "ack" else answer["data"]["code"]
    assert outcomes == attempt.outcomes


@pytest.mark.parametrize("role", SIGNED_OUT)
def test_who_is_not_signed_in_gets_no_socket_and_so_no_frame(world: World, api: Api, role: str) -> None:
    token = world.callers[role].access_token
    socket = websocket.create_connection(f"{api.url.replace('http', 'ws', 1)}/ws?token={token}", timeout=20)
    assert close_code(socket) == 4401
    socket.shutdown()


@pytest.mark.parametrize("route", OPEN)
def test_an_open_page_answers_everybody(api: Api, route: str) -> None:
    path = route.removeprefix("GET ").format(name=uuid4())
    for headers in ({}, {"Authorization": "Bearer nonsense"}):
        answer = requests.get(f"{api.url}{path}", headers=headers, allow_redirects=False, timeout=20)
        assert answer.status_code == OPEN[route]


def test_a_former_member_receives_nothing_more_though_the_socket_stays_open(people: People) -> None:
    ada, bob = people(2)
    group, kept = ada.group(bob), ada.direct_chat(bob)
    with bob.socket() as his:
        ada.send(group, "while he is here")
        his.next("new_message", chat_id=group)
        leave(bob, group)
        ada.send(group, "behind his back")
        ada.post(f"/chats/{group}/read")
        ada.send(kept, "a sign that all before has come")
        his.next("new_message", chat_id=kept)
        later = [event["data"] for event in his.events if event["event"] in ("new_message", "read_receipt")]
        assert [data["chat_id"] for data in later] == [group, kept]
