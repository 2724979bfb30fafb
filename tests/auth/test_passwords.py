"""Changing a password, by the old one and by a code."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from config import settings
from tests.auth.clients import Person, codes_to, messages_to, wrong_code
from tests.auth.test_sessions import orders_to

Stranger = Callable[[], Person]
NEW = "another password"


def _change(person: Person, old: str, new: str) -> tuple[int, str | None]:
    answer = person.call("PUT", "/auth/password", {"old_password": old, "new_password": new})
    return answer.status_code, (answer.json or {}).get("code")


def _forgot(person: Person) -> str:
    before = len(codes_to(person.phone))
    assert person.post("/auth/password/forgot", {"phone": person.phone}).status_code == 202
    assert len(codes_to(person.phone)) == before + 1
    return codes_to(person.phone)[-1]


def _reset(person: Person, code: str, new: str = NEW) -> tuple[int, str | None]:
    body = {"phone": person.phone, "code": code, "new_password": new}
    answer = person.post("/auth/password/reset", body)
    return answer.status_code, (answer.json or {}).get("code")


def test_a_new_password_ends_every_other_session(person: Person) -> None:
    others = [person.device(), person.device()]
    with orders_to(person.id) as orders:
        assert _change(person, person.password, NEW) == (204, None)
        assert {order["control"] for order in orders(2)} == {"session_revoked"}
        assert len({order["subject"] for order in orders(2)}) == 2
    assert person.get("/auth/me").status_code == 200
    assert [other.get("/auth/me").status_code for other in others] == [401, 401]
    assert [person.login(password).status_code for password in (person.password, NEW)] == [401, 200]


def test_the_old_password_is_needed(person: Person) -> None:
    other = person.device()
    assert _change(person, "wrong password", NEW) == (401, "invalid_credentials")
    assert _change(person, person.password, "short")[0] == 422
    assert other.get("/auth/me").status_code == 200
    assert person.login().status_code == 200


def test_guesses_of_the_old_password_are_limited(person: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings(), "login_limit_per_phone", 2)
    codes = [_change(person, guess, NEW)[1] for guess in ("first guess", "second guess", person.password)]
    assert codes == ["invalid_credentials", "invalid_credentials", "rate_limited"]


def test_of_two_changes_at_the_same_moment_one_counts(person: Person) -> None:
    with ThreadPoolExecutor(2) as threads:
        changes = list(threads.map(lambda new: (new, _change(person, person.password, new)[0]), [NEW + "1", NEW + "2"]))
    assert sorted(status for _, status in changes) == [204, 401]
    won = next(new for new, status in changes if status == 204)
    assert person.login(won).status_code == 200


def test_a_forgotten_password_is_reset_by_code_and_ends_every_session(person: Person) -> None:
    other = person.device()
    code = _forgot(person)
    assert _reset(person, wrong_code(person.phone)) == (422, "invalid_code")
    assert _reset(person, code) == (204, None)
    assert person.get("/auth/me").status_code == other.get("/auth/me").status_code == 401
    assert [person.login(password).status_code for password in (person.password, NEW)] == [401, 200]
    assert _reset(person, code, "third password") == (422, "invalid_code")


def test_a_code_resets_once_also_at_the_same_moment(person: Person) -> None:
    code = _forgot(person)
    with ThreadPoolExecutor(4) as threads:
        statuses = sorted(status for status, _ in threads.map(lambda _: _reset(person, code), range(4)))
    assert statuses == [204, 422, 422, 422]


def test_wrong_codes_of_a_reset_use_up_its_tries(person: Person) -> None:
    code = _forgot(person)
    for place in range(settings().code_tries):
        assert _reset(person, wrong_code(person.phone, place)) == (422, "invalid_code")
    assert _reset(person, code) == (422, "invalid_code")
    assert person.login().status_code == 200


def test_a_reset_lets_in_who_was_locked_out(person: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings(), "login_limit_per_phone", 1)
    assert person.login("wrong password").status_code == 401
    assert person.login().status_code == 429
    assert _reset(person, _forgot(person)) == (204, None)
    assert person.login(NEW).status_code == 200


def test_an_unknown_number_is_sent_nothing_and_resets_nothing(stranger: Stranger) -> None:
    nobody = stranger()
    assert nobody.post("/auth/password/forgot", {"phone": nobody.phone}).status_code == 202
    assert messages_to(nobody.phone) == []
    assert _reset(nobody, "123456") == (422, "invalid_code")


def test_a_sign_up_that_was_never_verified_has_no_password_to_reset(stranger: Stranger) -> None:
    ada = stranger()
    ada.register()
    ada.post("/auth/password/forgot", {"phone": ada.phone})
    assert len(messages_to(ada.phone)) == 1
    assert _reset(ada, codes_to(ada.phone)[-1]) == (422, "invalid_code")
