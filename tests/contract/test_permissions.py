"""Who may do what: every route and every frame, tried by everybody. One that attempts.py does not list fails here."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
import requests
import websocket

from app.realtime.frames import CLIENT_FRAMES
from tests.contract.attempts import FRAMES, OPEN, REST, Attempt
from tests.contract.documents import routes
from tests.contract.roles import ROLES, SIGNED_OUT, Outcome, People, World, leave, made_world
from tests.people import close_code
from tests.processes import Api


@pytest.fixture
def world(people: People) -> World:
    """New people in their roles."""
    return made_world(people)


def test_every_route_is_listed() -> None:
    assert {attempt.route for attempt in REST} | OPEN.keys() == routes()


def test_every_frame_is_listed() -> None:
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
        file_id=_file_id(world, template, role),
        call_id=world.call(role) if "{call_id}" in template else 0,
    )
    caller = world.callers[role]
    # Without a token the header is left out: requests drops what is None.
    headers: dict[str, Any] = {} if caller.access_token else {"Authorization": None}
    query = attempt.about if attempt.about.startswith("?") else ""
    options = attempt.options()
    headers |= options.pop("headers", {})
    answer = caller.call(method, path + query, attempt.body(world, role), headers=headers, **options)
    if answer.status_code < 400 or method == "HEAD":
        return answer.status_code
    assert answer.headers["Content-Type"] == "application/problem+json", answer.text
    code: str = answer.json()["code"]
    return code


def _file_id(world: World, template: str, role: str) -> str:
    if "{file_id}" not in template:
        return ""
    if "/tus/" in template:
        return world.upload()
    return world.file("owner" if "/direct/" in template else role)


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
