"""Tickets: one WebSocket handshake each."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from app.auth import service
from app.errors import TokenExpired, Unauthenticated, Unavailable
from app.infra.redis import make_client
from app.infra.redis_batches import RedisBatches
from app.web.authentication import Caller, read_token
from config import settings
from tests.auth.clients import Person


def _caller(person: Person) -> Caller:
    with person.app.app_context():
        return read_token(person.tokens["access_token"])


def test_a_ticket_stands_for_the_access_token_once(person: Person) -> None:
    answer = person.post("/auth/ws-ticket")
    assert (answer.status_code, set(answer.json)) == (200, {"ticket", "expires_in"})
    assert answer.json["expires_in"] == 30
    assert service.redeem_ticket(answer.json["ticket"]) == _caller(person)
    with pytest.raises(Unauthenticated):
        service.redeem_ticket(answer.json["ticket"])


def test_of_many_uses_at_the_same_moment_one_succeeds(person: Person) -> None:
    ticket = person.post("/auth/ws-ticket").json["ticket"]

    def redeem(_: int) -> bool:
        try:
            service.redeem_ticket(ticket)
        except Unauthenticated:
            return False
        return True

    with ThreadPoolExecutor(8) as threads:
        assert sorted(threads.map(redeem, range(8))) == [False] * 7 + [True]


def test_the_socket_door_takes_either_kind(person: Person) -> None:
    caller = _caller(person)
    with person.app.app_context():
        assert service.authenticate_socket(person.tokens["access_token"]) == caller
        assert service.authenticate_socket(person.post("/auth/ws-ticket").json["ticket"]) == caller
        for wrong in ("", "ticket.", "ticket.a.b.c", person.tokens["refresh_token"], "ticket.\ud800"):
            with pytest.raises(Unauthenticated):
                service.authenticate_socket(wrong)


def test_an_access_token_in_a_ticket_s_clothes_is_refused(person: Person) -> None:
    with pytest.raises(Unauthenticated):
        service.redeem_ticket(f"ticket.{person.tokens['access_token']}")


def test_a_ticket_expires(person: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings(), "ws_ticket_expiry", -1)
    ticket = service.make_ticket(_caller(person))["ticket"]
    with pytest.raises(TokenExpired):
        service.redeem_ticket(ticket)


def test_a_ticket_lives_no_longer_than_its_access_token(person: Person) -> None:
    dying = replace(_caller(person), expires_at=time.time() + 5)
    ticket = service.make_ticket(dying)
    assert ticket["expires_in"] <= 5
    assert service.redeem_ticket(ticket["ticket"]).expires_at == dying.expires_at


def test_no_ticket_is_taken_while_redis_is_away(person: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    ticket = person.post("/auth/ws-ticket").json["ticket"]
    monkeypatch.setattr("app.auth.service.tickets._batches", RedisBatches())
    nowhere = make_client("redis://127.0.0.1:9/0")
    monkeypatch.setattr("app.infra.redis_batches.client", lambda: nowhere)
    with pytest.raises(Unavailable):
        service.redeem_ticket(ticket)
