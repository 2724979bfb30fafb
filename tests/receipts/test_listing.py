"""GET /api/messages/ID/receipts: who has read, when, and who may know."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from app.infra.db import reading
from app.messages import receipts, statuses
from app.messages.receipt_schemas import ReceiptQuery
from tests import factories
from tests.counting import counted_statements
from tests.people import Person

People = Callable[[int], list[Person]]


def refusal(person: Person, message_id: int) -> tuple[int, str]:
    answer = person.call("GET", f"/messages/{message_id}/receipts")
    return answer.status_code, answer.json().get("code", "")


def test_readers_are_listed_the_latest_first_with_the_time(people: People) -> None:
    ada, bob, eve, dan = people(4)
    chat_id = ada.group(bob, eve, dan)
    message = ada.send(chat_id, "who reads me?")
    assert ada.get(f"/messages/{message['id']}/receipts") == {"items": [], "next_cursor": None}
    for reader in (eve, bob):
        reader.post(f"/chats/{chat_id}/read")
    assert statuses.update_all([chat_id])
    items = ada.get(f"/messages/{message['id']}/receipts")["items"]
    assert [item["user"]["id"] for item in items] == [bob.id, eve.id]
    assert items[0].keys() == {"user", "read_at"}
    assert items[0]["read_at"] >= items[1]["read_at"] >= message["created_at"]
    assert items[0]["user"] == ada.get(f"/users/{bob.id}")


def test_pages_join_without_gap_or_double_also_where_times_are_the_same(people: People) -> None:
    ada, *others = people(8)
    chat_id = ada.group(*others)
    message = ada.send(chat_id, "hello")
    for number, reader in enumerate(others):
        factories.run(
            "INSERT INTO message_read_receipts VALUES (:m, :u, timestamptz '2026-01-01' + make_interval(secs => :s))",
            m=message["id"],
            u=reader.id,
            s=number // 3,
        )
    whole = [item["user"]["id"] for item in ada.get(f"/messages/{message['id']}/receipts")["items"]]
    assert set(whole) == {reader.id for reader in others}
    paged, cursor = [], None
    while True:
        page = ada.get(f"/messages/{message['id']}/receipts", limit=2, **({"cursor": cursor} if cursor else {}))
        paged += [item["user"]["id"] for item in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
        assert len(page["items"]) == 2
    assert paged == whole


def test_the_sender_and_admins_may_know_and_other_members_may_not(people: People) -> None:
    ada, bob, eve, dan = people(4)
    chat_id = ada.group(bob, eve, dan)
    factories.run("UPDATE chat_members SET role = 'admin' WHERE chat_id = :c AND user_id = :u", c=chat_id, u=dan.id)
    message_id = bob.send(chat_id, "mine")["id"]
    for allowed in (ada, bob, dan):
        assert refusal(allowed, message_id) == (200, "")
    assert refusal(eve, message_id) == (403, "forbidden")


def test_in_a_direct_chat_only_the_sender_knows(people: People) -> None:
    ada, bob = people(2)
    chat_id = ada.direct_chat(bob)
    message_id = ada.send(chat_id, "read me")["id"]
    bob.post(f"/chats/{chat_id}/read")
    assert statuses.update_all([chat_id])
    assert [item["user"]["id"] for item in ada.get(f"/messages/{message_id}/receipts")["items"]] == [bob.id]
    assert refusal(bob, message_id) == (403, "forbidden")


def test_strangers_former_members_and_deleted_messages_are_not_found(people: People) -> None:
    ada, bob, eve = people(3)
    chat_id = ada.group(bob)
    kept, hidden, deleted = (ada.send(chat_id, text)["id"] for text in ("kept", "hidden", "deleted"))
    factories.run("UPDATE messages SET deleted_at = now() WHERE id = :m", m=deleted)
    assert ada.call("DELETE", f"/messages/{hidden}").status_code == 204
    assert refusal(eve, kept) == (404, "not_found")
    assert refusal(ada, hidden) == (404, "not_found")
    assert refusal(ada, deleted) == (404, "not_found")
    assert refusal(ada, 1) == (404, "not_found")
    factories.run("UPDATE chat_members SET left_at = now() WHERE chat_id = :c AND user_id = :u", c=chat_id, u=ada.id)
    assert refusal(ada, kept) == (404, "not_found")


def test_channels_and_groups_of_more_than_two_hundred_have_none(people: People) -> None:
    ada, bob = people(2)
    channel = ada.post("/chats", {"type": "channel", "name": "News", "member_ids": [bob.id]})["id"]
    others = factories.make_users(199)
    full, large = (factories.make_chat([ada.id, *others[:count]]) for count in (198, 199))
    factories.run("UPDATE chats SET member_count = member_count + 1 WHERE id = ANY (:c)", c=[full, large])
    outcomes = [refusal(ada, ada.send(chat_id, "hello")["id"]) for chat_id in (channel, full, large)]
    assert outcomes == [(403, "receipts_unavailable"), (200, ""), (403, "receipts_unavailable")]


@pytest.mark.parametrize("cursor", ["nonsense", "WzFd", "WzEsInR3byJd", "W3RydWUsMV0"])
def test_a_cursor_that_is_not_ours_is_refused(people: People, cursor: str) -> None:
    (ada,) = people(1)
    message_id = ada.send(ada.direct_chat(ada), "note")["id"]
    answer = ada.call("GET", f"/messages/{message_id}/receipts", params={"cursor": cursor})
    assert (answer.status_code, answer.json()["code"]) == (422, "validation_failed")


def test_a_page_takes_two_statements_however_many_have_read() -> None:
    people = factories.make_users(60)
    chat_id = factories.make_chat(people)
    (message_id,) = factories.send_messages(chat_id, [people[0]])
    for count in (1, 59):
        factories.run(
            "INSERT INTO message_read_receipts SELECT :m, unnest(CAST(:u AS bigint[])) ON CONFLICT DO NOTHING",
            m=message_id,
            u=people[1 : 1 + count],
        )
        with counted_statements() as statements, reading() as unit:
            page = receipts.list_receipts(unit, people[0], message_id, ReceiptQuery())
        assert len(page["items"]) == min(count, 50)
        assert len(statements) == 2
