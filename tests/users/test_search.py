"""Finding people: by which words, in which order, and at what cost."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import text

from app.auth.service import index_names
from app.infra import presence
from app.infra.db import reading, unit_of_work
from app.users import queries, service
from app.web.pagination import encode_cursor
from tests.auth.clients import Person
from tests.counting import counted_statements
from tests.factories import run, scalar
from tests.plans import explain

Stranger = Callable[[], Person]
CROWD = 20_000


@pytest.fixture
def mark() -> str:
    """A beginning of names that no other test has."""
    return "q" + secrets.token_hex(5)


def found(viewer: Person, q: str, **query: Any) -> list[int]:
    answer = viewer.get("/users", query_string={"q": q, **query})
    assert answer.status_code == 200, answer.json
    return [user["id"] for user in answer.json["items"]]


def every_page(viewer: Person, q: str, limit: int) -> list[int]:
    seen: list[int] = []
    cursor: str | None = None
    while True:
        query = {"q": q, "limit": limit} | ({"cursor": cursor} if cursor else {})
        page = viewer.get("/users", query_string=query).json
        assert len(page["items"]) <= limit
        seen += [user["id"] for user in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            return seen


def test_every_word_of_a_name_begins_a_match_without_case_accents_and_signs(
    viewer: Person, stranger: Stranger, mark: str
) -> None:
    person = stranger().sign_up(first_name=f"Ána-{mark} Zoë", last_name=f"O'Neill Łódź🎈 {mark}Øre")
    for q in (
        f"{mark} ana",
        f"ANA {mark}",
        f"ána-{mark}",
        f"{mark} zoe",
        f"{mark} oneill",
        f"{mark} o'neil",
        f"lodz {mark}or",
        f"{mark} {person.username[:9]}",
        f"  {mark}   zo  ",
    ):
        assert found(viewer, q) == [person.id], q
    for q in (f"{mark} na", f"{mark} ana b", f"{mark[1:]}", f"{mark} dz"):
        assert found(viewer, q) == [], q


def test_names_of_other_scripts_and_of_signs_alone_are_found(viewer: Person, stranger: Stranger, mark: str) -> None:
    names = {
        "Ёлка": "елк",
        "山田": "山",
        "がく": "か",
        "Ἀθηνᾶ": "αθη",
        "محمّد": "محمد",
        "한국": "하",
        "🦊🦊": "🦊",
        "ﬁsh": "fis",
    }
    for name, q in names.items():
        person = stranger().sign_up(first_name=name, last_name=mark)
        assert found(viewer, f"{mark} {q}") == [person.id], name


def test_after_an_at_sign_only_usernames_count(viewer: Person, stranger: Stranger) -> None:
    ada = stranger().sign_up()
    named_so = stranger().sign_up(first_name=ada.username[:-1])
    assert found(viewer, f"@{ada.username[:-1].upper()}") == [ada.id]
    assert found(viewer, ada.username[:-1]) == [ada.id, named_so.id]
    for nobody in ("@", "@@", f"@{ada.username} x", f"@{ada.username[:4]}é", "@%"):
        assert found(viewer, nobody) == []


def test_whose_username_it_is_comes_first_then_contacts_then_others_by_id(
    viewer: Person, stranger: Stranger, mark: str
) -> None:
    others = [stranger().sign_up(first_name=mark) for _ in range(4)]
    contacts = [stranger().sign_up(first_name="Ada", last_name=f"{mark}x") for _ in range(3)]
    longer, owner = stranger(), stranger()
    longer.username, owner.username = f"{mark}_too", mark
    for person in (longer, owner):
        person.sign_up()
    for contact in reversed(contacts):
        assert viewer.post(f"/users/{contact.id}/contacts").status_code == 201
    expected = [owner.id, *(p.id for p in contacts), *(p.id for p in others), longer.id]
    assert found(viewer, mark.upper()) == expected
    for limit in (1, 2, 3, 4):
        assert every_page(viewer, mark, limit) == expected
    assert found(viewer, f"@{mark}") == [owner.id, longer.id]


@pytest.mark.parametrize("cursor", ["x", "WzFd", "WzEsMiwzXQ", "W3RydWUsMV0"])
def test_a_cursor_of_something_else_is_refused(viewer: Person, cursor: str) -> None:
    assert viewer.get("/users", query_string={"q": "ada", "cursor": cursor}).status_code == 422


def test_a_cursor_with_numbers_of_any_size_is_answered(viewer: Person) -> None:
    for rank, user_id in ((2**62, 1), (-(2**62), -1), (0, 2**63 - 1)):
        assert (
            viewer.get("/users", query_string={"q": "ada", "cursor": encode_cursor(rank, user_id)}).status_code == 200
        )


def test_who_blocks_the_viewer_is_found_but_not_when_they_are_there(viewer: Person, stranger: Stranger) -> None:
    ada = stranger().sign_up()
    presence.renew(ada.id, "connection", 60, "online")
    run("UPDATE users SET last_seen_at = now() WHERE id = :ada", ada=ada.id)
    assert viewer.get("/users", query_string={"q": ada.username}).json["items"][0]["status"] == "online"
    assert ada.post(f"/users/{viewer.id}/block").status_code == 204
    (hidden,) = viewer.get("/users", query_string={"q": ada.username}).json["items"]
    assert (hidden["id"], hidden["status"], hidden["last_seen_at"]) == (ada.id, "offline", None)
    assert hidden["phone"] is None


def test_erased_people_are_not_found_whatever_is_left_of_them(viewer: Person, stranger: Stranger, mark: str) -> None:
    gone = stranger().sign_up(first_name=mark)
    assert viewer.post(f"/users/{gone.id}/contacts").status_code == 201
    run("UPDATE users SET deleted_at = now() WHERE id = :gone", gone=gone.id)
    for q in (mark, gone.username, f"@{gone.username}", gone.phone):
        assert found(viewer, q) == []


def test_a_search_is_one_statement_however_many_it_finds(viewer: Person, stranger: Stranger, mark: str) -> None:
    for _ in range(3):
        stranger().sign_up(first_name=mark)
    with counted_statements() as statements, reading() as unit:
        assert len(service.find_users(unit, viewer.id, mark, 50, None)["items"]) == 3
    assert len(statements) == 1


@pytest.fixture
def crowd(mark: str) -> tuple[str, list[int]]:
    """20,000 people of whom every hundredth is called alike; the beginning of all their names, and all their ids."""
    with unit_of_work() as unit:
        statement = text("""
            INSERT INTO users (first_name, last_name, username)
            SELECT :mark || n % 100, 'of ' || n, :mark || '_' || n FROM generate_series(1, :count) n RETURNING id""")
        user_ids = list(unit.execute(statement, {"mark": mark, "count": CROWD}).scalars())
        index_names(unit, user_ids)
    with unit_of_work() as unit:
        unit.execute(text("ANALYZE users, user_names"))
    return mark, user_ids


def test_a_search_among_20_000_people_reads_few_of_them_by_indexes(
    viewer: Person, crowd: tuple[str, list[int]]
) -> None:
    mark, user_ids = crowd
    assert scalar("SELECT count(*) FROM user_names WHERE user_id = ANY (:ids)", ids=user_ids) == 4 * CROWD
    run("INSERT INTO contacts SELECT :viewer, unnest(CAST(:ids AS bigint[]))", viewer=viewer.id, ids=user_ids[-3:])
    # What is looked for, and how many rows of an index may be read for it beside contacts and a username's owner.
    searches = {
        f"{mark}77": 200,
        f"{mark}77 19977": 200,
        f"{mark}_19977": 1,
        f"@{mark}_1997": 11,
        "+15550001111": 10,
        mark: queries.MOST_CANDIDATES,
        f"@{mark}": queries.MOST_CANDIDATES,
    }
    for q, most in searches.items():
        parameters = queries.search_parameters(service._wanted(q), viewer.id, service._BEFORE_ALL, 51)
        with reading() as unit:
            plan = explain(unit, queries._SEARCH, *parameters)
        scans = [node for node in plan if "Scan" in node["Node Type"]]
        assert "Seq Scan" not in {node["Node Type"] for node in scans}, q
        for node in scans:
            touched = (node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"]
            shown_only = node.get("Index Name") == "pk_users"
            assert touched <= (51 if shown_only else most + 4), (q, node)


def test_contacts_are_found_also_where_more_people_match_than_are_read(
    viewer: Person, crowd: tuple[str, list[int]]
) -> None:
    mark, user_ids = crowd
    last = user_ids[-1]
    assert len(every_page(viewer, f"{mark} of", 100)) <= queries.MOST_CANDIDATES
    run("INSERT INTO contacts VALUES (:viewer, :last)", viewer=viewer.id, last=last)
    assert found(viewer, mark)[0] == last
    assert found(viewer, f"{mark} of")[0] == last
    assert found(viewer, f"{mark}_{CROWD - 1}") == [user_ids[-2]]
