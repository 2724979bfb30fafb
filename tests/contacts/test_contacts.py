"""Whom people know: adding, removing, listing, and who sees whose number."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from app.contacts import service
from app.contacts.schemas import ContactQuery
from app.infra.db import reading
from tests.chats.membership import pages
from tests.counting import counted_statements
from tests.factories import make_users, run
from tests.people import Person
from tests.processes import eventually

People = Callable[[int], list[Person]]


def rename(person: Person, first_name: str, last_name: str | None = None) -> None:
    answer = person.call("PATCH", "/auth/me", {"first_name": first_name, "last_name": last_name})
    assert answer.status_code == 200, answer.text


def contacts(person: Person, **query: Any) -> list[int]:
    return [user["id"] for user in person.get("/contacts", **query)["items"]]


def test_adding_is_answered_with_the_person_and_twice_is_once(people: People) -> None:
    ada, bob = people(2)
    first = ada.call("POST", f"/users/{bob.id}/contacts")
    again = ada.call("POST", f"/users/{bob.id}/contacts")
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json() == ada.get(f"/users/{bob.id}")
    assert contacts(ada) == [bob.id]
    assert contacts(bob) == []


def test_adding_shows_ones_own_number_to_the_contact_and_removing_hides_it(people: People) -> None:
    ada, bob = people(2)
    assert ada.post(f"/users/{bob.id}/contacts")["phone"] is None
    assert bob.get(f"/users/{ada.id}")["phone"] == ada.phone
    assert bob.post(f"/users/{ada.id}/contacts")["phone"] == ada.phone
    assert ada.get("/contacts")["items"][0]["phone"] == bob.phone
    assert ada.call("DELETE", f"/users/{bob.id}/contacts").status_code == 204
    assert bob.get(f"/users/{ada.id}")["phone"] is None
    assert ada.get(f"/users/{bob.id}")["phone"] == bob.phone


def test_removing_twice_and_removing_nobody_succeed(people: People) -> None:
    ada, bob = people(2)
    ada.post(f"/users/{bob.id}/contacts")
    for _ in range(2):
        assert ada.call("DELETE", f"/users/{bob.id}/contacts").status_code == 204
        assert contacts(ada) == []


def test_adding_at_the_same_moment_makes_one_contact(people: People) -> None:
    ada, bob = people(2)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: ada.call("POST", f"/users/{bob.id}/contacts").status_code, range(8)))
    assert sorted(answers) == [200] * 7 + [201]


@pytest.mark.parametrize("path", ["contacts", "block"])
@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_neither_oneself_nor_the_unknown_nor_the_erased(people: People, method: str, path: str) -> None:
    ada, gone = people(2)
    run("UPDATE users SET deleted_at = now(), first_name = '', phone = NULL, username = NULL WHERE id = :g", g=gone.id)
    itself = ada.call(method, f"/users/{ada.id}/{path}")
    assert (itself.status_code, itself.json()["errors"][0]["field"]) == (422, "user_id")
    for user_id in (gone.id, 2**53 - 1):
        assert ada.call(method, f"/users/{user_id}/{path}").status_code == 404


def test_contacts_are_listed_by_name_without_regard_to_case_and_accents(people: People) -> None:
    ada, *others = people(7)
    named = [("zoe", None), ("Åsa", "Öberg"), ("asa", "Norén"), ("Ada", None), ("Ada", "Z"), ("Émile", None)]
    for person, name in zip(others, named, strict=True):
        rename(person, *name)
        ada.post(f"/users/{person.id}/contacts")
    zoe, asa_o, asa_n, ada_only, ada_z, emile = (person.id for person in others)
    assert contacts(ada) == [ada_only, ada_z, asa_n, asa_o, emile, zoe]


def test_pages_of_contacts_hold_everybody_once_also_those_of_one_name(people: People) -> None:
    ada, *others = people(6)
    rename(others[0], "B" * 64, "𒐫" * 64)
    for person in others[1:4]:
        rename(person, "Åsa")
    for person in others:
        ada.post(f"/users/{person.id}/contacts")
    seen = [user["id"] for page in pages(ada, "/contacts", limit=1) for user in page]
    assert len(seen) == 5
    assert seen == contacts(ada)


@pytest.mark.parametrize(
    "query",
    [{"cursor": "x"}, {"cursor": "WzFd"}, {"cursor": "WyJcdTAwMDAiLDFd"}, {"limit": 0}, {"limit": 101}, {"q": "ada"}],
    ids=str,
)
def test_a_list_that_cannot_be_is_refused(people: People, query: dict[str, Any]) -> None:
    (ada,) = people(1)
    assert ada.call("GET", "/contacts", params=query).status_code == 422


def test_erased_people_leave_the_list(people: People) -> None:
    ada, bob, gone = people(3)
    for person in (bob, gone):
        ada.post(f"/users/{person.id}/contacts")
    run("UPDATE users SET deleted_at = now() WHERE id = :g", g=gone.id)
    assert contacts(ada) == [bob.id]


def test_a_page_of_contacts_is_one_statement_however_many_they_are(people: People) -> None:
    (ada,) = people(1)
    others = make_users(60)
    run("INSERT INTO contacts SELECT :a, unnest(CAST(:ids AS bigint[]))", a=ada.id, ids=others)
    with counted_statements() as statements, reading() as unit:
        page = service.list_contacts(unit, ada.id, ContactQuery(limit=50))
    assert len(page["items"]) == 50
    assert len(statements) == 1


def test_a_contact_added_while_there_is_shown_so_and_from_then_on_told_of(people: People) -> None:
    ada, bob = people(2)
    with bob.socket() as his, ada.socket() as hers:
        eventually(lambda: ada.get(f"/users/{bob.id}")["status"] == "online")
        assert ada.post(f"/users/{bob.id}/contacts")["status"] == "online"
        his.ask("presence", {"status": "away"})
        assert hers.next("presence", user_id=bob.id)["status"] == "away"
        assert ada.get("/contacts")["items"][0]["status"] == "away"
