"""Finding and seeing other people."""

from __future__ import annotations

import secrets
from collections.abc import Callable

import pytest
from sqlalchemy import text

from app.auth.profile import User
from app.infra import presence
from app.infra.db import UnitOfWork, engine, reading, unit_of_work
from app.users import queries, service
from tests.auth.clients import Person
from tests.counting import counted_statements
from tests.plans import explain
from tests.unique import new_phone

Stranger = Callable[[], Person]


def _run(statement: str, **parameters: object) -> None:
    with unit_of_work() as unit:
        unit.execute(text(statement), parameters)


def _found(viewer: Person, q: str) -> list[int]:
    answer = viewer.get("/users", query_string={"q": q})
    assert answer.status_code == 200, answer.json
    return [user["id"] for user in answer.json["items"]]


def test_a_profile_shows_no_phone_number_to_strangers(viewer: Person, stranger: Stranger) -> None:
    ada = stranger().sign_up()
    user = viewer.get(f"/users/{ada.id}").json
    assert set(user) == set(User.__annotations__)
    assert (user["username"], user["phone"], user["status"]) == (ada.username, None, "offline")
    assert viewer.get(f"/users/{viewer.id}").json["phone"] == viewer.phone


def test_a_number_shows_to_whom_its_owner_keeps_as_a_contact_not_the_other_way(
    viewer: Person, stranger: Stranger
) -> None:
    ada = stranger().sign_up()
    _run("INSERT INTO contacts (user_id, contact_id) VALUES (:viewer, :ada)", viewer=viewer.id, ada=ada.id)
    assert viewer.get(f"/users/{ada.id}").json["phone"] is None
    assert ada.get(f"/users/{viewer.id}").json["phone"] == viewer.phone


def test_presence_shows_but_not_to_whom_the_person_blocks(viewer: Person, stranger: Stranger) -> None:
    ada = stranger().sign_up()
    _run("UPDATE users SET last_seen_at = now() WHERE id = :ada", ada=ada.id)
    presence.renew(ada.id, "connection", 60, "away")
    seen = viewer.get(f"/users/{ada.id}").json
    assert seen["status"] == "away"
    assert seen["last_seen_at"] is not None
    _run("INSERT INTO blocks (user_id, blocked_id) VALUES (:ada, :viewer)", ada=ada.id, viewer=viewer.id)
    hidden = viewer.get(f"/users/{ada.id}").json
    assert (hidden["status"], hidden["last_seen_at"]) == ("offline", None)
    assert ada.get("/auth/me").json["status"] == "away"


@pytest.mark.parametrize("user_id", ["0", "-1", "9007199254740991", "99999999999999999999", "x", "1.5"])
def test_an_unknown_person_is_not_found(viewer: Person, user_id: str) -> None:
    assert viewer.get(f"/users/{user_id}").status_code == 404


def test_an_erased_person_is_not_found_but_still_loads(viewer: Person, stranger: Stranger) -> None:
    ada = stranger().sign_up()
    _run(
        "UPDATE users SET deleted_at = now(), phone = NULL, username = NULL, first_name = '', last_name = NULL,"
        " password_hash = NULL WHERE id = :ada",
        ada=ada.id,
    )
    assert viewer.get(f"/users/{ada.id}").status_code == 404
    assert ada.id not in _found(viewer, ada.username)
    assert ada.login().status_code == 401
    with reading() as unit:
        loaded = service.load_users(unit, viewer.id, [ada.id, 2**40])
    assert [(user["id"], user["first_name"]) for user in loaded.values()] == [(ada.id, "Deleted account")]


def test_people_are_found_by_the_beginning_of_names_in_any_case(viewer: Person, stranger: Stranger) -> None:
    mark = "Q" + secrets.token_hex(4)
    ada = stranger().sign_up(first_name=f"{mark}Ada", last_name=f"{mark}Last Óne")
    for q in (
        ada.username[:12],
        f"@{ada.username.upper()}",
        f"{mark}ada".lower(),
        f"{mark}last ó",
        f"{mark}ADA {mark}l",
    ):
        assert ada.id in _found(viewer, q), q
    assert ada.id not in _found(viewer, f"{mark}x")
    assert ada.id not in _found(viewer, ada.username[3:])


def test_a_whole_number_finds_its_owner_and_a_part_nobody(viewer: Person, stranger: Stranger) -> None:
    ada = stranger().sign_up()
    assert _found(viewer, ada.phone) == [ada.id]
    assert _found(viewer, f" +1 ({ada.phone[2:5]}) {ada.phone[5:8]}-{ada.phone[8:]}") == [ada.id]
    assert _found(viewer, ada.phone[:-1]) == _found(viewer, new_phone()) == []


@pytest.mark.parametrize("q", ["%", "_", "\\", "%%", "a%b", "'; --", "\\%"])
def test_signs_of_patterns_are_only_signs(viewer: Person, q: str) -> None:
    assert viewer.id not in _found(viewer, q)


@pytest.mark.parametrize("q", [None, "", "   ", "x" * 65, "a\0b"])
def test_a_search_needs_words_that_can_be_looked_for(viewer: Person, q: str | None) -> None:
    answer = viewer.get("/users", query_string={} if q is None else {"q": q})
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json["errors"]] == ["q"]


def test_pages_hold_everybody_once(viewer: Person, stranger: Stranger) -> None:
    mark = "Q" + secrets.token_hex(6)
    people = {stranger().sign_up(first_name=mark).id for _ in range(5)}
    seen: list[int] = []
    cursor: str | None = None
    for _ in range(3):
        query = {"q": mark, "limit": 2} | ({"cursor": cursor} if cursor else {})
        page = viewer.get("/users", query_string=query).json
        seen += [user["id"] for user in page["items"]]
        cursor = page["next_cursor"]
    assert cursor is None
    assert len(seen) == 5
    assert set(seen) == people


def test_many_people_load_in_one_statement(viewer: Person, stranger: Stranger) -> None:
    people = [stranger().sign_up().id for _ in range(4)]
    with counted_statements() as statements, reading() as unit:
        loaded = service.load_users(unit, viewer.id, people)
        assert service.load_users(unit, viewer.id, []) == {}
    assert set(loaded) == set(people)
    assert len(statements) == 1


def test_a_plan_made_before_anybody_was_blocked_still_looks_up_each_block_by_its_key(
    viewer: Person, stranger: Stranger
) -> None:
    ada = stranger().sign_up()
    with engine().connect() as connection, connection.begin() as transaction:
        # Whoever else has just looked at the table may take its time.
        connection.execute(text("SET LOCAL lock_timeout = '30s'"))
        connection.execute(text("TRUNCATE blocks"))
        plan = explain(UnitOfWork(connection), queries._LOAD, [ada.id], viewer.id)
        transaction.rollback()
    (look_up,) = [node["Index Cond"] for node in plan if node.get("Index Name") == "pk_blocks"]
    assert "user_id = u.id" in look_up
