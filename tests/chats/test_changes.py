"""What a chat is called, and its end."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from app.auth.schemas import ProfileChange
from app.auth.service import change_profile
from app.chats import service
from app.chats.schemas import ChatChange
from app.infra.db import UnitOfWork
from tests.auth import clients
from tests.chats.membership import (
    People,
    assert_whole,
    change,
    channel,
    crowd,
    during,
    join,
    make_public,
    notices,
    outcome,
    with_admins,
)
from tests.factories import run, scalar
from tests.people import Person
from tests.processes import Api, running_api


def test_the_owner_and_admins_change_name_and_description(people: People) -> None:
    owner, admin, member, stranger = people(4)
    for make in (Person.group, channel):
        chat_id = with_admins(make, owner, [admin], member)
        tries = [change(person, chat_id, name="Mine") for person in (member, stranger)]
        assert [outcome(answer) for answer in tries] == ["forbidden", "not_found"]
        chat = change(owner, chat_id, name="Chess", description="Mondays").json()
        assert (chat["name"], chat["description"], chat["username"]) == ("Chess", "Mondays", None)
        assert change(admin, chat_id, description=None).json()["description"] is None
        assert change(admin, chat_id, name="Go").json()["name"] == "Go"
        chat = member.get(f"/chats/{chat_id}")
        assert (chat["name"], chat["description"]) == ("Go", None)
        assert notices(member, chat_id) == [
            {"action": "name_changed", "name": "Chess", "by": owner.id},
            {"action": "name_changed", "name": "Go", "by": admin.id},
        ]


def test_what_is_the_same_changes_nothing(people: People) -> None:
    ada, bob = people(2)
    group = ada.group(bob, name="Chess")
    before = ada.get(f"/chats/{group}")
    for fields in ({}, {"name": "Chess"}, {"description": None}, {"description": ""}, {"username": None}):
        assert change(ada, group, **fields).json() == before


@pytest.mark.parametrize(
    "fields",
    [
        {"name": None},
        {"name": ""},
        {"name": "  "},
        {"name": "x" * 129},
        {"name": "x\0"},
        {"description": "x" * 1025},
        {"description": 5},
        {"username": ""},
        {"username": "a b"},
        {"username": "x" * 33},
        {"username": "1st"},
        {"type": "channel"},
        {"role": "owner"},
    ],
    ids=lambda fields: str(fields)[:40],
)
def test_a_change_that_is_none_is_refused(people: People, fields: dict[str, Any]) -> None:
    (ada,) = people(1)
    assert change(ada, ada.group(), **fields).status_code == 422


def test_only_the_owner_makes_a_chat_public_or_private(people: People) -> None:
    owner, admin = people(2)
    group = with_admins(Person.group, owner, [admin])
    assert outcome(change(admin, group, username="chess_" + secrets.token_hex(6))) == "forbidden"
    username = make_public(owner, group)
    assert outcome(change(admin, group, username=None)) == "forbidden"
    assert outcome(change(admin, group, username=username, name="Go")) == 200
    assert owner.get(f"/chats/{group}")["username"] == username


def test_a_username_is_one_chats_or_one_persons_in_whatever_case(people: People) -> None:
    ada, bob = people(2)
    group, news = ada.group(), channel(ada)
    username = make_public(ada, group)
    assert outcome(change(ada, news, username=username.upper(), name="Other")) == "username_taken"
    assert outcome(change(ada, news, username=bob.username.upper())) == "username_taken"
    assert ada.get(f"/chats/{news}")["name"] == "News"
    assert change(ada, group, username=username.upper()).json()["username"] == username.upper()
    assert outcome(bob.call("PATCH", "/auth/me", {"username": username.upper()})) == "username_taken"
    change(ada, group, username=None)
    assert outcome(change(ada, news, username=username)) == 200


def test_of_many_who_take_one_username_at_once_one_gets_it(people: People) -> None:
    persons = people(8)
    chats = [person.group() for person in persons]
    username = f"chat_{secrets.token_hex(8)}"
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda pair: change(*pair, username=username), zip(persons, chats, strict=True)))
    assert sorted(str(outcome(answer)) for answer in answers) == ["200", *["username_taken"] * 7]


def test_a_username_that_a_person_is_just_taking_is_no_chats_and_the_other_way(people: People) -> None:
    ada, bob = people(2)
    group = bob.group()
    first, second = (f"chat_{secrets.token_hex(8)}" for _ in range(2))

    def as_a_person(unit: UnitOfWork) -> None:
        change_profile(unit, ada.id, ProfileChange(username=first))

    def as_a_chat(unit: UnitOfWork) -> None:
        service.change_chat(unit, bob.id, group, ChatChange(username=second))

    as_a_chat_too = partial(change, bob, group, username=first.upper())
    as_a_person_too = partial(ada.call, "PATCH", "/auth/me", {"username": second.upper()})
    assert outcome(during(as_a_person, as_a_chat_too)) == "username_taken"
    assert outcome(during(as_a_chat, as_a_person_too)) == "username_taken"


def test_a_username_that_a_chat_is_just_taking_opens_no_account(people: People, app: Flask) -> None:
    (ada,) = people(1)
    group, newcomer = ada.group(), clients.Person(app)
    newcomer.register()

    def take(unit: UnitOfWork) -> None:
        service.change_chat(unit, ada.id, group, ChatChange(username=newcomer.username))

    assert during(take, newcomer.verify).json["code"] == "username_taken"


@pytest.fixture
def impatient(data_dir: Path) -> Iterator[Api]:
    """An API process whose statements take a second at most."""
    with running_api(data_dir, DB_STATEMENT_TIMEOUT="1s", DB_LOCK_TIMEOUT="1s") as process:
        yield process


@pytest.fixture
def slow_channel(people: People) -> Iterator[tuple[Person, int]]:
    """The owner of a channel whose 12,000 members take some seconds to be changed, and its id."""
    (ada,) = people(1)
    news = channel(ada)
    crowd(news, 12_000)
    run("CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.001); RETURN NEW; END'")
    run(
        "CREATE TRIGGER dawdle BEFORE UPDATE ON chat_members FOR EACH ROW"
        f" WHEN (NEW.chat_id = {news} AND NEW.user_id % 5 = 0) EXECUTE FUNCTION dawdle()"
    )
    yield ada, news
    run("DROP FUNCTION dawdle CASCADE")


def test_a_channel_ends_however_many_members_it_has(slow_channel: tuple[Person, int], impatient: Api) -> None:
    ada, news = slow_channel
    elsewhere = replace(ada, url=impatient.url)
    assert outcome(elsewhere.call("DELETE", f"/chats/{news}")) == 204
    assert_whole(news)


def test_the_owner_deletes_a_chat_for_all(people: People) -> None:
    owner, admin, member, stranger = people(4)
    for make in (Person.group, channel):
        chat_id = with_admins(make, owner, [admin], member)
        username = make_public(owner, chat_id)
        owner.send(chat_id, "hello")
        tries = [person.call("DELETE", f"/chats/{chat_id}") for person in (admin, member, stranger, owner)]
        assert [outcome(answer) for answer in tries] == ["forbidden", "forbidden", "not_found", 204]
        for person in (owner, admin, member):
            assert chat_id not in [chat["id"] for chat in person.get("/chats")["items"]]
            assert outcome(person.call("GET", f"/chats/{chat_id}")) == "not_found"
            assert outcome(person.call("GET", f"/chats/{chat_id}/messages")) == "not_found"
            answer = person.call("POST", "/messages", {"chat_id": chat_id, "text": "still here"})
            assert outcome(answer) == "not_found"
            assert outcome(join(person, chat_id)) == "not_found"
        assert outcome(owner.call("DELETE", f"/chats/{chat_id}")) == "not_found"
        assert scalar("SELECT deleted_at IS NOT NULL FROM chats WHERE id = :id", id=chat_id)
        assert_whole(chat_id)
        assert outcome(change(stranger, stranger.group(), username=username)) == 200


def test_a_deleted_chat_is_among_the_removed_of_the_next_sync(people: People) -> None:
    ada, bob = people(2)
    group, kept = ada.group(bob), ada.group(bob)
    cursor = bob.caught_up()
    assert ada.call("DELETE", f"/chats/{group}").status_code == 204
    changes = bob.get("/sync", cursor=cursor)
    assert group in changes["removed_chat_ids"]
    assert kept not in changes["removed_chat_ids"]
