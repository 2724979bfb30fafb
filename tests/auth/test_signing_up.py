"""Signing up: a number proves itself by a code, and nobody learns whether it is known."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import text

from app.infra.db import unit_of_work
from config import settings
from tests.auth.clients import Person, codes_to, messages_to, new_username, wrong_code
from tests.unique import fresh_block, new_phone

Stranger = Callable[[], Person]


def _expire_code(phone: str) -> None:
    with unit_of_work() as unit:
        unit.execute(text("UPDATE one_time_codes SET expires_at = now() WHERE phone = :phone"), {"phone": phone})


def _age_code(phone: str) -> None:
    """Lets the pause before the next code be over."""
    with unit_of_work() as unit:
        unit.execute(
            text("UPDATE one_time_codes SET sent_at = sent_at - interval '1 hour' WHERE phone = :phone"),
            {"phone": phone},
        )


def test_a_person_signs_up_with_the_code_sent_to_the_number(stranger: Stranger) -> None:
    ada = stranger()
    asked = ada.register(last_name=None)
    assert asked.status_code == 202
    assert asked.json == {"phone": ada.phone, "expires_in": 300, "resend_after": 60}
    answer = ada.verify()
    assert answer.status_code == 201
    assert set(answer.json) == {"user", "access_token", "refresh_token", "expires_in"}
    user = answer.json["user"]
    assert (user["phone"], user["username"], user["first_name"]) == (ada.phone, ada.username, "Ada")
    assert (user["last_name"], user["bio"], user["avatar_url"], user["status"]) == (None, None, None, "offline")
    ada.keep(answer)
    assert ada.get("/auth/me").json == user
    assert ada.login().status_code == 200


def test_no_account_exists_before_the_code_has_come_back(stranger: Stranger) -> None:
    ada = stranger()
    ada.register()
    assert ada.login().status_code == 401


@pytest.mark.parametrize("spelling", ["+1 ({}) {}-{}", "+1-{}-{}-{}", "+1.{}.{}.{}"])
def test_spellings_of_a_number_are_one_number(stranger: Stranger, spelling: str) -> None:
    ada = stranger()
    answer = ada.register(phone=spelling.format(ada.phone[2:5], ada.phone[5:8], ada.phone[8:]))
    assert answer.json["phone"] == ada.phone
    assert ada.verify().status_code == 201


@pytest.mark.parametrize(
    "number",
    [
        "",
        "15550001111",
        "+1",
        "+1555",
        "+999123456789",
        "+1555000111a",
        "+1 555 \u0660\u0660\u0660 \u0661\u0661\u0661\u0661",
    ],
)
def test_what_is_no_number_is_refused_by_its_field(stranger: Stranger, number: str) -> None:
    answer = stranger().register(phone=number)
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json["errors"]] == ["phone"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("password", "seven77"),
        ("password", "x" * 257),
        ("password", "nul\0nul\0nul"),
        ("username", "ab"),
        ("username", "1abc"),
        ("username", "with space"),
        ("username", "trailing\n"),
        ("username", "x" * 33),
        ("first_name", ""),
        ("first_name", "   "),
        ("first_name", "two\nlines"),
        ("first_name", "x" * 65),
        ("last_name", "\x1b[31m"),
        ("username", None),
        ("unknown", 1),
    ],
)
def test_bad_fields_are_refused_by_name_and_not_repeated(stranger: Stranger, field: str, value: object) -> None:
    answer = stranger().register(**{field: value})
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json["errors"]] == [field]
    assert "seven77" not in answer.get_data(as_text=True)


def test_a_known_number_gets_the_same_answer_and_its_owner_is_told(person: Person, stranger: Stranger) -> None:
    _age_code(person.phone)
    thief, nobody = stranger(), stranger()
    thief.phone = person.phone
    answer, unknown = thief.register(), nobody.register()
    assert (answer.status_code, answer.json | {"phone": ""}) == (unknown.status_code, unknown.json | {"phone": ""})
    assert len(codes_to(person.phone)) == 1
    assert "Somebody tried to sign up" in messages_to(person.phone)[-1]
    assert thief.verify().status_code == 422
    assert person.login().status_code == 200
    early, early_unknown = thief.register(), nobody.register()
    assert early.status_code == early_unknown.status_code == 429


def test_a_taken_username_is_refused_whatever_its_case(person: Person, stranger: Stranger) -> None:
    answer = stranger().register(username=person.username.upper())
    assert (answer.status_code, answer.json["code"]) == (409, "username_taken")


def test_taken_usernames_use_up_no_codes(person: Person, stranger: Stranger) -> None:
    ada = stranger()
    for _ in range(settings().code_limit_per_phone + 1):
        assert ada.register(username=person.username).status_code == 409
    assert ada.register().status_code == 202


def test_whose_username_was_taken_meanwhile_signs_up_again_at_once(stranger: Stranger) -> None:
    ada, eve = stranger(), stranger()
    eve.username = ada.username
    ada.register()
    eve.sign_up()
    answer = ada.verify()
    assert (answer.status_code, answer.json["code"]) == (409, "username_taken")
    assert ada.verify().json["code"] == "invalid_code"
    ada.username = new_username()
    ada.sign_up()


def test_of_two_with_one_username_at_the_same_moment_one_gets_it(stranger: Stranger) -> None:
    people = [stranger() for _ in range(6)]
    for one in people:
        one.username = people[0].username
        assert one.register().status_code == 202
    with ThreadPoolExecutor(6) as threads:
        statuses = sorted(answer.status_code for answer in threads.map(Person.verify, people))
    assert statuses == [201, 409, 409, 409, 409, 409]


def test_a_code_is_good_once_also_at_the_same_moment(stranger: Stranger) -> None:
    ada = stranger()
    ada.register()
    code = codes_to(ada.phone)[-1]
    with ThreadPoolExecutor(4) as threads:
        statuses = sorted(threads.map(lambda _: ada.verify(code).status_code, range(4)))
    assert statuses == [201, 422, 422, 422]


def test_a_code_bears_five_wrong_tries_and_then_not_even_the_right_one(stranger: Stranger) -> None:
    ada = stranger()
    ada.register()
    for place in range(4):
        assert ada.verify(wrong_code(ada.phone, place)).json["code"] == "invalid_code"
    ada_in_time = stranger()
    ada_in_time.register()
    assert ada_in_time.verify().status_code == 201
    assert ada.verify(wrong_code(ada.phone)).json["code"] == "invalid_code"
    assert ada.verify().json["code"] == "invalid_code"


def test_wrong_guesses_at_the_same_moment_get_no_more_tries(stranger: Stranger) -> None:
    ada = stranger()
    ada.register()
    guesses = [wrong_code(ada.phone, place) for place in range(8)]
    with ThreadPoolExecutor(8) as threads:
        statuses = {answer.status_code for answer in threads.map(ada.verify, guesses)}
    assert statuses == {422}
    with unit_of_work() as unit:
        tries = unit.execute(text("SELECT tries FROM one_time_codes WHERE phone = :phone"), {"phone": ada.phone})
        assert tries.scalar() == settings().code_tries
    assert ada.verify().status_code == 422


def test_an_expired_code_is_refused(stranger: Stranger) -> None:
    ada = stranger()
    ada.register()
    _expire_code(ada.phone)
    assert ada.verify().json["code"] == "invalid_code"


def test_a_code_for_one_purpose_or_number_is_nothing_for_another(person: Person, stranger: Stranger) -> None:
    ada = stranger()
    ada.register()
    code = codes_to(ada.phone)[-1]
    other = stranger()
    other.register()
    if code != codes_to(other.phone)[-1]:
        assert other.verify(code).status_code == 422
    person.post("/auth/password/forgot", {"phone": person.phone})
    assert person.verify(codes_to(person.phone)[-1]).json["code"] == "invalid_code"


def test_a_stored_code_put_under_another_purpose_does_not_fit(person: Person) -> None:
    person.post("/auth/password/forgot", {"phone": person.phone})
    with unit_of_work() as unit:
        moved = text("UPDATE one_time_codes SET purpose = 'register' WHERE phone = :phone AND purpose = 'reset'")
        unit.execute(moved, {"phone": person.phone})
        unit.execute(text("UPDATE users SET phone = NULL WHERE id = :id"), {"id": person.id})
        pending = text(
            "INSERT INTO pending_registrations (phone, first_name, password_hash) VALUES (:phone, 'Eve', 'none')"
        )
        unit.execute(pending, {"phone": person.phone})
    assert person.verify().json["code"] == "invalid_code"


def test_a_new_code_replaces_the_last_after_a_pause(stranger: Stranger) -> None:
    ada = stranger()
    ada.register()
    first = codes_to(ada.phone)[-1]
    early = ada.post("/auth/code", {"phone": ada.phone})
    assert (early.status_code, early.json["code"]) == (429, "rate_limited")
    assert 0 < int(early.headers["Retry-After"]) <= 60
    _age_code(ada.phone)
    assert ada.post("/auth/code", {"phone": ada.phone}).status_code == 202
    assert len(codes_to(ada.phone)) == 2
    if first != codes_to(ada.phone)[-1]:
        assert ada.verify(first).status_code == 422
    assert ada.verify().status_code == 201


def test_asking_for_a_code_tells_nothing_of_the_number(person: Person, stranger: Stranger) -> None:
    nobody = stranger()
    _age_code(person.phone)
    for path in ("/auth/code", "/auth/password/forgot"):
        known = person.post(path, {"phone": person.phone})
        unknown = nobody.post(path, {"phone": nobody.phone})
        assert (known.status_code, known.json | {"phone": ""}) == (202, unknown.json | {"phone": ""})
        assert unknown.status_code == 202
    assert messages_to(nobody.phone) == []
    assert len(codes_to(person.phone)) == 2


def test_the_last_sign_up_of_a_number_counts(stranger: Stranger) -> None:
    ada = stranger()
    ada.register(first_name="First")
    _age_code(ada.phone)
    ada.register(first_name="Second")
    assert ada.verify().json["user"]["first_name"] == "Second"


def test_codes_and_tokens_are_nowhere_in_the_database_as_sent(person: Person, stranger: Stranger) -> None:
    ada = stranger()
    ada.register()
    code = codes_to(ada.phone)[-1]
    with unit_of_work() as unit:
        query = text("SELECT code_hash FROM one_time_codes WHERE phone = :phone")
        stored = bytes(unit.execute(query, {"phone": ada.phone}).scalar_one())
        rows = unit.execute(text("SELECT s::text FROM sessions s WHERE user_id = :id"), {"id": person.id}).scalars()
        assert person.tokens["refresh_token"] not in "".join(rows)
    assert code.encode() not in stored
    assert len(stored) == 32


def test_the_limit_of_a_number_holds_from_many_addresses(stranger: Stranger) -> None:
    phone = new_phone()
    limit = settings().code_limit_per_phone
    for _ in range(limit):
        assert stranger().post("/auth/code", {"phone": phone}).status_code == 202
        _age_code(phone)
    answer = stranger().post("/auth/code", {"phone": phone})
    assert answer.status_code == 429
    assert int(answer.headers["Retry-After"]) > 3000


def test_the_limit_of_a_number_holds_with_rate_limits_off(stranger: Stranger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings(), "rate_limit_enabled", False)
    monkeypatch.setattr(settings(), "code_limit_per_phone", 1)
    phone = new_phone()
    assert stranger().post("/auth/code", {"phone": phone}).status_code == 202
    _age_code(phone)
    assert stranger().post("/auth/code", {"phone": phone}).status_code == 429


@pytest.mark.parametrize("setting", ["code_limit_per_address", "code_limit_per_prefix", "code_limit_total"])
def test_limits_of_many_numbers_hold_until_rate_limits_are_off(
    stranger: Stranger, monkeypatch: pytest.MonkeyPatch, setting: str
) -> None:
    monkeypatch.setattr(settings(), "rate_limit_enabled", True)
    start = fresh_block()
    asking = stranger()
    if setting == "code_limit_total":
        with unit_of_work() as unit:
            unit.execute(text("DELETE FROM attempt_counts WHERE bucket = 'code:all'"))
    monkeypatch.setattr(settings(), setting, 2)
    statuses = [asking.post("/auth/code", {"phone": f"{start}{last}"}).status_code for last in range(1000, 1003)]
    assert statuses == [202, 202, 429]
    monkeypatch.setattr(settings(), "rate_limit_enabled", False)
    assert asking.post("/auth/code", {"phone": f"{start}2000"}).status_code == 202


def test_requests_at_the_same_moment_do_not_pass_a_limit(stranger: Stranger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings(), "rate_limit_enabled", True)
    monkeypatch.setattr(settings(), "code_limit_per_address", 3)
    asking = stranger()
    with ThreadPoolExecutor(8) as threads:
        answers = threads.map(lambda _: asking.post("/auth/code", {"phone": new_phone()}), range(8))
        statuses = sorted(answer.status_code for answer in answers)
    assert statuses == [202, 202, 202, 429, 429, 429, 429, 429]


def test_a_refused_code_is_not_counted(stranger: Stranger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings(), "rate_limit_enabled", True)
    monkeypatch.setattr(settings(), "code_limit_per_address", 2)
    asking = stranger()
    phone = new_phone()
    assert [asking.post("/auth/code", {"phone": phone}).status_code for _ in range(4)] == [202, 429, 429, 429]
    assert asking.post("/auth/code", {"phone": new_phone()}).status_code == 202
