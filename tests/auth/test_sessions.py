"""Sessions: refreshing, signing out, and what ends with them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from uuid import uuid4

import pytest
from flask_jwt_extended import create_access_token, create_refresh_token
from sqlalchemy import text

from app.infra import bus, redis
from app.infra.db import unit_of_work
from tests.auth.clients import Person

Stranger = Callable[[], Person]


@contextmanager
def orders_to(user_id: int) -> Iterator[Callable[[int], list[bus.Header]]]:
    """What hubs are told of a user while the block runs; call it with how many to wait for."""
    with redis.client().pubsub() as listener:
        listener.subscribe(bus.user_notifications(user_id))
        assert listener.get_message(timeout=20) is not None
        received: list[bus.Header] = []

        def wait_for(count: int) -> list[bus.Header]:
            deadline = time.monotonic() + 20
            while len(received) < count and time.monotonic() < deadline:
                message = listener.get_message(ignore_subscribe_messages=True, timeout=0.1)
                if message is not None:
                    received.append(bus.parse(message["data"])[0])
            return received

        yield wait_for


def session_of(person: Person) -> str:
    """The id of the session of the person's own tokens."""
    items = person.get("/auth/sessions").json["items"]
    return str(next(item["id"] for item in items if item["current"]))


def test_refreshing_gives_new_tokens_of_the_same_session(person: Person) -> None:
    session, old = session_of(person), person.tokens
    answer = person.post("/auth/refresh", {"refresh_token": old["refresh_token"]})
    assert answer.status_code == 200
    assert answer.json["expires_in"] == 86400
    person.keep(answer)
    assert person.tokens["refresh_token"] != old["refresh_token"]
    assert session_of(person) == session
    assert person.get("/auth/me", token=old["access_token"]).status_code == 200


def test_a_refresh_token_used_twice_revokes_its_session(person: Person) -> None:
    old = person.tokens["refresh_token"]
    session = session_of(person)
    other = person.device()
    person.keep(person.post("/auth/refresh", {"refresh_token": old}))
    with orders_to(person.id) as orders:
        answer = person.post("/auth/refresh", {"refresh_token": old})
        assert (answer.status_code, answer.json["code"]) == (401, "invalid_refresh_token")
        assert orders(1) == [{"control": "session_revoked", "subject": session}]
    assert person.get("/auth/me").json["code"] == "session_revoked"
    assert person.post("/auth/refresh", {"refresh_token": person.tokens["refresh_token"]}).status_code == 401
    assert other.get("/auth/me").status_code == 200


def test_of_eight_uses_at_the_same_moment_one_wins_and_the_session_ends(person: Person) -> None:
    body = {"refresh_token": person.tokens["refresh_token"]}
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: person.post("/auth/refresh", body), range(8)))
    assert sorted(answer.status_code for answer in answers) == [200] + [401] * 7
    winner = next(answer for answer in answers if answer.status_code == 200)
    assert person.get("/auth/me", token=winner.json["access_token"]).json["code"] == "session_revoked"
    assert person.post("/auth/refresh", {"refresh_token": winner.json["refresh_token"]}).status_code == 401


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "x" * 5000, 7, None])
def test_what_is_no_refresh_token_is_refused(person: Person, token: object) -> None:
    assert person.post("/auth/refresh", {"refresh_token": token}).status_code in (401, 422)
    assert person.get("/auth/me").status_code == 200


def test_tokens_serve_only_their_own_purpose(person: Person) -> None:
    access, refresh = person.tokens["access_token"], person.tokens["refresh_token"]
    ticket = person.post("/auth/ws-ticket").json["ticket"]
    for wrong in (access, ticket, ticket.removeprefix("ticket.")):
        answer = person.post("/auth/refresh", {"refresh_token": wrong})
        assert (answer.status_code, answer.json["code"]) == (401, "invalid_refresh_token")
    for wrong in (refresh, ticket, ticket.removeprefix("ticket.")):
        assert person.get("/auth/me", token=wrong).status_code == 401
    assert person.get("/auth/me").status_code == 200


def test_expired_tokens_are_refused(person: Person) -> None:
    past = timedelta(seconds=-1)
    claims = {"sid": session_of(person)}
    with person.app.app_context():
        access = create_access_token(str(person.id), expires_delta=past, additional_claims=claims)
        refresh = create_refresh_token(str(person.id), expires_delta=past, additional_claims=claims)
    assert person.get("/auth/me", token=access).json["code"] == "token_expired"
    assert person.post("/auth/refresh", {"refresh_token": refresh}).json["code"] == "invalid_refresh_token"
    assert person.get("/auth/me").status_code == 200


def test_a_session_past_its_end_cannot_be_refreshed(person: Person) -> None:
    with unit_of_work() as unit:
        unit.execute(text("UPDATE sessions SET expires_at = now() WHERE user_id = :id"), {"id": person.id})
    assert person.post("/auth/refresh", {"refresh_token": person.tokens["refresh_token"]}).status_code == 401


def test_signing_out_ends_access_refresh_and_sockets_at_once(person: Person) -> None:
    session = session_of(person)
    other = person.device()
    with orders_to(person.id) as orders:
        answer = person.post("/auth/logout")
        assert (answer.status_code, answer.data) == (204, b"")
        assert orders(1) == [{"control": "session_revoked", "subject": session}]
    assert person.get("/auth/me").json["code"] == "session_revoked"
    assert person.post("/auth/refresh", {"refresh_token": person.tokens["refresh_token"]}).status_code == 401
    assert person.post("/auth/logout").status_code == 401
    assert other.get("/auth/me").status_code == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/auth/logout"),
        ("GET", "/auth/me"),
        ("PATCH", "/auth/me"),
        ("GET", "/auth/sessions"),
        ("DELETE", "/auth/sessions/00000000-0000-4000-8000-000000000000"),
        ("PUT", "/auth/password"),
        ("POST", "/auth/ws-ticket"),
        ("GET", "/users?q=ada"),
        ("GET", "/users/1"),
    ],
)
def test_nobody_gets_in_without_a_session_that_lives(stranger: Stranger, method: str, path: str) -> None:
    body = {"old_password": "correct horse", "new_password": "correct horse"} if path == "/auth/password" else None
    ada = stranger()
    assert ada.call(method, path, body).json["code"] == "unauthenticated"
    assert ada.call(method, path, body, token="nonsense").status_code == 401
    ada.sign_up().post("/auth/logout")
    assert ada.call(method, path, body).json["code"] == "session_revoked"


def test_devices_are_listed_newest_first_in_pages(person: Person) -> None:
    agent = "Mozilla/5.0 (X11)\tFirefox/150.0 " + "x" * 500
    body = {"phone": person.phone, "password": person.password}
    person.keep(person.post("/auth/login", body, headers={"User-Agent": agent}))
    person.device()
    first = person.get("/auth/sessions?limit=2").json
    assert len(first["items"]) == 2
    second = person.get(f"/auth/sessions?limit=2&cursor={first['next_cursor']}").json
    assert second["next_cursor"] is None
    items = first["items"] + second["items"]
    assert [item["current"] for item in items] == [False, True, False]
    mine = items[1]
    assert set(mine) == {"id", "device", "address", "created_at", "used_at", "current"}
    assert mine["device"].startswith("Mozilla/5.0 (X11) Firefox/150.0 xx")
    assert len(mine["device"]) <= 120
    assert mine["address"] == person.address


@pytest.mark.parametrize("cursor", ["x", "WyJ4IiwieSJd", "W10", "WzEsMl0"])
def test_a_cursor_of_somebody_s_own_making_is_refused(person: Person, cursor: str) -> None:
    answer = person.get(f"/auth/sessions?cursor={cursor}")
    assert (answer.status_code, answer.json["errors"][0]["field"]) == (422, "cursor")


def test_a_person_signs_another_device_out(person: Person) -> None:
    other = person.device()
    sessions = person.get("/auth/sessions").json["items"]
    target = next(item["id"] for item in sessions if not item["current"])
    with orders_to(person.id) as orders:
        assert person.call("DELETE", f"/auth/sessions/{target}").status_code == 204
        assert orders(1) == [{"control": "session_revoked", "subject": target}]
    assert other.get("/auth/me").status_code == 401
    assert [item["id"] for item in person.get("/auth/sessions").json["items"]] == [session_of(person)]
    assert person.call("DELETE", f"/auth/sessions/{target}").status_code == 404


def test_nobody_signs_out_somebody_else(person: Person, stranger: Stranger) -> None:
    eve = stranger().sign_up()
    answer = eve.call("DELETE", f"/auth/sessions/{session_of(person)}")
    unknown = eve.call("DELETE", f"/auth/sessions/{uuid4()}")
    assert answer.status_code == unknown.status_code == 404
    assert answer.json["code"] == unknown.json["code"]
    assert eve.call("DELETE", "/auth/sessions/not-a-uuid").status_code == 404
    assert person.get("/auth/me").status_code == 200
