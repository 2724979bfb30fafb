"""Signing in by password."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from argon2 import PasswordHasher
from sqlalchemy import text

from app.auth import service
from app.auth.schemas import Client
from app.errors import InvalidCredentials
from app.infra import passwords
from app.infra.db import engine, unit_of_work
from config import settings
from tests.auth.clients import PASSWORD, Device, Person
from tests.counting import counted_statements
from tests.processes import eventually
from tests.waiting import waiting_for

Stranger = Callable[[], Person]


def test_a_wrong_password_and_an_unknown_number_are_told_the_same(person: Person, stranger: Stranger) -> None:
    wrong, unknown = person.login("wrong password"), stranger().login()
    assert wrong.status_code == unknown.status_code == 401
    assert wrong.json["code"] == "invalid_credentials"
    answers = [
        {name: part for name, part in answer.json.items() if name != "request_id"} for answer in (wrong, unknown)
    ]
    assert answers[0] == answers[1]


def test_an_unknown_number_costs_the_same_hash_and_statements(person: Person, stranger: Stranger) -> None:
    assert not passwords.is_outdated(passwords.NOBODYS_HASH)
    with counted_statements() as wrong:
        person.login("wrong password")
    with counted_statements() as unknown:
        stranger().login()
    assert len(wrong) == len(unknown) == 2


def test_a_login_takes_four_statements(person: Person) -> None:
    with counted_statements() as statements:
        assert person.login().status_code == 200
    assert len(statements) == 4, statements


def test_one_s_profile_takes_two_statements(person: Person) -> None:
    with counted_statements() as statements:
        assert person.get("/auth/me").status_code == 200
    assert len(statements) == 2, statements


def test_no_connection_is_held_while_a_password_is_checked(person: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    held: list[int] = []
    verify = passwords._verified

    def watched(password_hash: str, password: str) -> bool:
        held.append(engine().pool.checkedout())  # type: ignore[attr-defined]
        return verify(password_hash, password)

    monkeypatch.setattr(passwords, "_verified", watched)
    before = engine().pool.checkedout()  # type: ignore[attr-defined]
    assert person.login().status_code == 200
    assert held == [before]


def test_failed_sign_ins_to_a_number_are_limited_from_everywhere(person: Person, stranger: Stranger) -> None:
    for _ in range(settings().login_limit_per_phone):
        person.address = stranger().address
        assert person.login("wrong password").status_code == 401
    answer = person.login()
    assert (answer.status_code, answer.json["code"]) == (429, "rate_limited")
    assert 0 < int(answer.headers["Retry-After"]) <= 900


def test_failed_sign_ins_of_an_unknown_number_are_limited_alike(stranger: Stranger) -> None:
    nobody = stranger()
    statuses = [nobody.login().status_code for _ in range(settings().login_limit_per_phone + 1)]
    assert statuses == [401] * settings().login_limit_per_phone + [429]


def test_guesses_at_the_same_moment_get_no_more_than_the_limit(person: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings(), "login_limit_per_phone", 3)
    with ThreadPoolExecutor(8) as threads:
        statuses = sorted(threads.map(lambda _: person.login("wrong password").status_code, range(8)))
    assert statuses == [401, 401, 401, 429, 429, 429, 429, 429]


def test_sign_ins_that_succeed_are_not_counted(person: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings(), "rate_limit_enabled", True)
    monkeypatch.setattr(settings(), "login_limit_per_phone", 2)
    monkeypatch.setattr(settings(), "login_limit_per_address", 2)
    assert person.login("wrong password").status_code == 401
    assert [person.login().status_code for _ in range(4)] == [200, 200, 200, 200]
    assert person.login("wrong password").status_code == 401
    assert person.login().status_code == 429


def test_failed_sign_ins_from_an_address_are_limited_unless_rate_limits_are_off(
    stranger: Stranger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings(), "rate_limit_enabled", True)
    monkeypatch.setattr(settings(), "login_limit_per_address", 2)
    guessing = stranger()

    def guess() -> int:
        return guessing.post("/auth/login", {"phone": stranger().phone, "password": "guess"}).status_code

    assert [guess() for _ in range(3)] == [401, 401, 429]
    monkeypatch.setattr(settings(), "rate_limit_enabled", False)
    assert guess() == 401


def test_addresses_of_one_ipv6_network_are_counted_as_one(stranger: Stranger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings(), "rate_limit_enabled", True)
    monkeypatch.setattr(settings(), "login_limit_per_address", 1)
    network = f"2001:db8:{stranger().phone[-4:]}:{stranger().phone[-4:]}"
    first, second = stranger(), stranger()
    first.address, second.address = f"{network}::1", f"{network}:1:2:3:4"
    assert first.login().status_code == 401
    assert second.login().status_code == 429


def test_a_hash_of_other_costs_is_made_anew_at_the_next_login(person: Person) -> None:
    old = PasswordHasher(time_cost=1, memory_cost=8 * 1024, parallelism=1).hash(PASSWORD)
    query = text("UPDATE users SET password_hash = :hash WHERE id = :id")
    with unit_of_work() as unit:
        unit.execute(query, {"hash": old, "id": person.id})
    assert person.login().status_code == 200
    with unit_of_work() as unit:
        new = unit.execute(text("SELECT password_hash FROM users WHERE id = :id"), {"id": person.id}).scalar_one()
    assert new != old
    assert not passwords.is_outdated(new)
    assert person.login().status_code == 200


def test_a_password_changed_during_a_login_lets_nobody_in(person: Person) -> None:
    client = Client("test", person.address)
    with unit_of_work() as unit:
        attempt = service.count_login(unit, person.phone, client)
    checked = service.check_password(attempt, PASSWORD)
    with unit_of_work() as unit:
        service.reset_password(unit, person.id, passwords.hash_password("another password"))
    with pytest.raises(InvalidCredentials), unit_of_work() as unit:
        service.sign_in(unit, checked, client)


def test_a_session_opened_while_the_password_is_being_reset_ends_with_the_others(person: Person) -> None:
    client = Client("test", person.address)
    with unit_of_work() as unit:
        attempt = service.count_login(unit, person.phone, client)
    checked = service.check_password(attempt, PASSWORD)
    new_hash = passwords.hash_password("another password")

    def reset() -> None:
        with unit_of_work() as unit:
            service.reset_password(unit, person.id, new_hash)

    with person.app.app_context(), ThreadPoolExecutor(1) as threads:
        with unit_of_work() as unit:
            signed_in = service.sign_in(unit, checked, client)
            waiting = threads.submit(reset)
            eventually(lambda: waiting_for(unit.connection) == 1)
        waiting.result(timeout=10)
    device = Device(person.app)
    assert device.get("/auth/me", token=signed_in["access_token"]).json["code"] == "session_revoked"
