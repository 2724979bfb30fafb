"""One's own profile, and accounts made for operators."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from app.auth import service
from app.auth.schemas import NewUser
from app.errors import Conflict, UsernameTaken, ValidationFailed
from app.infra.db import unit_of_work
from app.infra.passwords import hash_password
from tests.auth.clients import PASSWORD, Person, new_username
from tests.unique import new_phone

Stranger = Callable[[], Person]


def _change(person: Person, **changes: Any) -> tuple[int, Any]:
    answer = person.call("PATCH", "/auth/me", changes)
    return answer.status_code, answer.json


def test_given_fields_change_and_the_others_stay(person: Person) -> None:
    before = person.get("/auth/me").json
    status, after = _change(person, bio="Analyst & metaphysician 🧮", first_name="  Augusta ")
    assert status == 200
    assert after == before | {"bio": "Analyst & metaphysician 🧮", "first_name": "Augusta"}
    assert person.get("/auth/me").json == after
    assert _change(person) == (200, after)


def test_null_clears_what_may_be_empty(person: Person) -> None:
    _change(person, bio="Hello")
    status, after = _change(person, bio=None, last_name=None, username=None)
    assert status == 200
    assert (after["bio"], after["last_name"], after["username"]) == (None, None, None)
    assert _change(person, first_name=None)[0] == 422


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("first_name", " "),
        ("bio", "x" * 141),
        ("bio", "\0"),
        ("username", "no"),
        ("phone", "+15550001111"),
        ("id", 1),
        ("last_name", "a\tb"),
    ],
)
def test_bad_or_foreign_fields_change_nothing(person: Person, field: str, value: object) -> None:
    before = person.get("/auth/me").json
    status, problem = _change(person, **{"bio": "Changed", field: value})
    assert status == 422
    assert [error["field"] for error in problem["errors"]] == [field]
    assert person.get("/auth/me").json == before


def test_a_username_of_somebody_else_is_refused_one_s_own_in_another_case_is_not(
    person: Person, stranger: Stranger
) -> None:
    other = stranger().sign_up()
    status, problem = _change(person, username=other.username.upper(), bio="Changed")
    assert (status, problem["code"]) == (409, "username_taken")
    assert person.get("/auth/me").json["bio"] is None
    assert _change(person, username=person.username.upper())[0] == 200


def test_of_two_who_want_one_username_at_the_same_moment_one_gets_it(stranger: Stranger) -> None:
    people = [stranger().sign_up() for _ in range(3)]
    name = new_username()
    with ThreadPoolExecutor(3) as threads:
        statuses = sorted(threads.map(lambda one: _change(one, username=name)[0], people))
    assert statuses == [200, 409, 409]


def test_an_operator_s_account_signs_in_without_a_code(stranger: Stranger) -> None:
    ada = stranger()
    with unit_of_work() as unit:
        user_id = service.create_user(unit, ada.phone, PASSWORD, "Ada", None, ada.username)
    assert ada.login().json["user"]["id"] == user_id
    with pytest.raises(Conflict, match="number"), unit_of_work() as unit:
        service.create_user(unit, ada.phone, PASSWORD, "Ada", None, new_username())
    with pytest.raises(UsernameTaken), unit_of_work() as unit:
        service.create_user(unit, new_phone(), PASSWORD, "Ada", None, ada.username)
    with pytest.raises(ValidationFailed) as refused, unit_of_work() as unit:
        service.create_user(unit, "12", "short", "Ada", None, new_username())
    assert {error["field"] for error in refused.value.errors} == {"phone", "password"}


def test_many_accounts_are_made_at_once_and_again_without_harm(stranger: Stranger) -> None:
    people = [stranger() for _ in range(300)]
    rows = [NewUser(one.phone, f"Name {place}", None, one.username) for place, one in enumerate(people)]
    with unit_of_work() as unit:
        ids = service.create_users(unit, rows, hash_password(PASSWORD))
    assert len(set(ids)) == len(rows)
    with unit_of_work() as unit:
        assert service.create_users(unit, rows, hash_password("something else")) == ids
    answer = people[7].login()
    assert (answer.json["user"]["id"], answer.json["user"]["first_name"]) == (ids[7], "Name 7")
    with pytest.raises(Conflict, match=people[0].username), unit_of_work() as unit:
        service.create_users(unit, [NewUser(new_phone(), "Eve", None, people[0].username)], hash_password(PASSWORD))
