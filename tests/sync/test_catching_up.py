"""GET /api/sync: whoever was away gets all of it, whatever was slow meanwhile."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import text

from app.infra.db import engine, reading, unit_of_work
from app.sync import queries, service
from tests.chats.membership import leave
from tests.counting import counted_statements
from tests.factories import NEWEST_ID, scalar
from tests.people import Person
from tests.processes import eventually

People = Callable[[int], list[Person]]


def catch_up(person: Person, cursor: str | None) -> tuple[dict[int, Any], dict[int, Any], set[int], str]:
    """All pages from a cursor: chats and messages by id, removed chats, and the cursor for the next time."""
    chats: dict[int, Any] = {}
    messages: dict[int, Any] = {}
    removed: set[int] = set()
    while True:
        page = person.get("/sync", **({} if cursor is None else {"cursor": cursor}))
        for kept, rows in ((chats, page["chats"]), (messages, page["messages"])):
            for row in rows:
                if row["id"] not in kept or kept[row["id"]]["revision"] <= row["revision"]:
                    kept[row["id"]] = row
        removed |= set(page["removed_chat_ids"])
        cursor = page["next_cursor"]
        assert cursor is not None
        if not page["has_more"]:
            return chats, messages, removed, cursor


def test_the_first_snapshot_has_the_chats_with_their_last_message_and_no_others(people: People) -> None:
    ada, bob = people(2)
    chat_id = ada.direct_chat(bob)
    first, last = ada.send(chat_id, "one"), ada.send(chat_id, "two")
    chats, messages, removed, cursor = catch_up(bob, None)
    assert list(chats) == [chat_id]
    assert chats[chat_id]["last_message"] == last
    assert chats[chat_id]["unread_count"] == 2
    assert (messages, removed) == ({}, set())
    assert catch_up(bob, cursor)[1].keys() <= {first["id"], last["id"]}


def test_what_came_after_a_cursor_is_answered_oldest_first(people: People) -> None:
    ada, bob = people(2)
    chat_id = ada.group(bob)
    _, _, _, cursor = catch_up(bob, None)
    sent = [ada.send(chat_id, str(number)) for number in range(5)]
    page = bob.get("/sync", cursor=cursor)
    assert page["messages"] == sent
    assert [chat["id"] for chat in page["chats"]] == [chat_id]
    assert page["chats"][0]["unread_count"] == 5


def test_the_cursor_of_the_greeting_begins_where_the_socket_begins(people: People) -> None:
    ada, bob = people(2)
    chat_id = ada.direct_chat(bob)
    with bob.socket() as socket:
        cursor = socket.hello["cursor"]
    missed = ada.send(chat_id, "while away")
    assert missed["id"] in catch_up(bob, cursor)[1]


def test_a_read_mark_set_on_another_device_is_caught_up_with(people: People) -> None:
    ada, bob = people(2)
    chat_id = ada.direct_chat(bob)
    message = ada.send(chat_id, "read me")
    _, _, _, cursor = catch_up(bob, None)
    bob.post(f"/chats/{chat_id}/read")
    chats = catch_up(bob, cursor)[0]
    assert (chats[chat_id]["unread_count"], chats[chat_id]["last_read_message_id"]) == (0, message["id"])


def test_who_was_away_learns_up_to_where_the_other_side_cleared_the_history_for_both(people: People) -> None:
    ada, bob = people(2)
    chat_id = ada.direct_chat(bob)
    ada.send(chat_id, "one")
    _, _, _, cursor = catch_up(bob, None)
    cleared = ada.send(chat_id, "two")
    assert ada.call("DELETE", f"/chats/{chat_id}/history?for_everyone=true").status_code == 204
    after = ada.send(chat_id, "three")
    chats, messages, removed, _ = catch_up(bob, cursor)
    assert (chats[chat_id]["cleared_seq"], chats[chat_id]["last_message"], removed) == (2, after, set())
    assert messages == {after["id"]: after}
    assert chats[chat_id]["cleared_seq"] == cleared["seq"]


def test_what_one_deleted_for_oneself_comes_to_ones_other_devices_as_a_tombstone(people: People) -> None:
    ada, bob = people(2)
    chat_id = ada.direct_chat(bob)
    message = ada.send(chat_id, "not for me")
    cursors = {person.id: catch_up(person, None)[3] for person in (ada, bob)}
    assert bob.call("DELETE", f"/messages/{message['id']}?for=me").status_code == 204
    tombstone = catch_up(bob, cursors[bob.id])[1][message["id"]]
    assert (tombstone["deleted"], tombstone["text"]) == (True, None)
    assert tombstone["revision"] > message["revision"]
    theirs = catch_up(ada, cursors[ada.id])[1].get(message["id"], message)
    assert (theirs["deleted"], theirs["text"]) == (False, "not for me")


def test_strangers_and_former_members_get_nothing_of_a_chat(people: People) -> None:
    ada, bob, eve = people(3)
    chat_id = ada.group(bob)
    cursors = {person.id: catch_up(person, None)[3] for person in (bob, eve)}
    with unit_of_work() as unit:
        unit.execute(
            text("""
                UPDATE chat_members SET left_at = now(), revision = next_message_id(revision)
                WHERE chat_id = :chat AND user_id = :user"""),
            {"chat": chat_id, "user": bob.id},
        )
    ada.send(chat_id, "in private")
    chats, messages, removed, cursor = catch_up(bob, cursors[bob.id])
    assert (chats, messages, removed) == ({}, {}, {chat_id})
    assert catch_up(eve, cursors[eve.id])[:3] == ({}, {}, set())
    ada.send(chat_id, "still in private")
    assert catch_up(bob, cursor)[1] == {}


def test_the_first_snapshot_names_no_chat_that_the_device_never_had(people: People) -> None:
    ada, bob, eve = people(3)
    ada.direct_chat(bob)
    assert leave(bob, eve.group(bob)).status_code == 204
    listed = eve.group(bob)
    chats, messages, removed, _ = catch_up(bob, None)
    assert (list(chats), messages, removed) == ([listed], {}, set())


def test_a_chat_that_is_left_between_the_pages_of_a_snapshot_is_named(people: People) -> None:
    ada, bob = people(2)
    chat_id = ada.group(bob)
    with reading() as unit:
        first = service.Cursor(queries.horizon(unit), 0, True).text
    assert leave(bob, chat_id).status_code == 204
    assert catch_up(bob, first)[2] == {chat_id}


def test_nobody_learns_by_catching_up_that_somebody_opened_a_chat_and_wrote_nothing(people: People) -> None:
    ada, bob = people(2)
    _, _, _, cursor = catch_up(bob, None)
    chat_id = ada.direct_chat(bob)
    assert catch_up(bob, cursor)[:3] == ({}, {}, set())
    assert ada.call("DELETE", f"/chats/{chat_id}?for_everyone=true").status_code == 204
    assert catch_up(bob, cursor)[:3] == ({}, {}, set())
    assert catch_up(ada, cursor)[2] == {chat_id}


def test_a_direct_chat_that_another_device_deleted_is_named(people: People) -> None:
    ada, bob = people(2)
    chat_id = ada.direct_chat(bob)
    ada.send(chat_id, "hello")
    cursors = {person.id: catch_up(person, None)[3] for person in (ada, bob)}
    assert bob.call("DELETE", f"/chats/{chat_id}").status_code == 204
    assert catch_up(bob, cursors[bob.id])[2] == {chat_id}
    assert ada.call("DELETE", f"/chats/{chat_id}?for_everyone=true").status_code == 204
    assert catch_up(ada, cursors[ada.id])[2] == {chat_id}


def test_many_changes_come_in_pages_of_500_without_a_gap(people: People) -> None:
    ada, bob = people(2)
    chats = [ada.direct_chat(bob), ada.group(bob)]
    _, _, _, cursor = catch_up(bob, None)
    with unit_of_work() as unit:
        for chat_id in chats:
            unit.execute(
                text(f"""
                    WITH made AS (
                      INSERT INTO messages (id, chat_id, seq, sender_id, text, revision)
                      SELECT r.id, :chat, n, :sender, 'x', r.id
                      FROM generate_series(1, 620) n, LATERAL (SELECT {NEWEST_ID} + n AS id OFFSET 0) r
                      RETURNING id)
                    UPDATE chats SET last_seq = 620, last_message_id = m.id, revision = m.id
                    FROM (SELECT max(id) AS id FROM made) m WHERE chats.id = :chat"""),
                {"chat": chat_id, "sender": ada.id},
            )
    first = bob.get("/sync", cursor=cursor)
    assert (len(first["messages"]), first["has_more"]) == (500, True)
    revisions = [message["revision"] for message in first["messages"]]
    assert revisions == sorted(revisions)
    _, messages, _, _ = catch_up(bob, cursor)
    assert len(messages) == 1240


def test_a_slow_transaction_is_found_by_the_next_run_though_newer_rows_were_answered(people: People) -> None:
    ada, bob = people(2)
    slow_chat, chat_id = ada.direct_chat(bob), ada.group(bob)
    _, _, _, cursor = catch_up(bob, None)
    with engine().connect() as slow, slow.begin():
        slow.execute(text("SELECT 1 FROM chats WHERE id = :chat FOR UPDATE"), {"chat": slow_chat})
        late = slow.execute(
            text("""
                WITH made AS (
                  INSERT INTO messages (id, chat_id, seq, sender_id, text, revision)
                  SELECT r.id, :chat, 1, :sender, 'late', r.id FROM (SELECT next_message_id() AS id OFFSET 0) r
                  RETURNING id)
                UPDATE chats SET last_seq = 1, last_message_id = made.id, revision = made.id
                FROM made WHERE chats.id = :chat RETURNING last_message_id"""),
            {"chat": slow_chat, "sender": ada.id},
        ).scalar_one()
        newer = ada.send(chat_id, "newer, and committed first")
        assert newer["id"] > late
        _, messages, _, cursor = catch_up(bob, cursor)
        assert set(messages) == {newer["id"]}
    _, messages, _, cursor = catch_up(bob, cursor)
    assert late in messages
    assert catch_up(bob, cursor)[1].keys() <= {late, newer["id"]}


@pytest.mark.parametrize("tracking", ["on", "off"])
def test_the_horizon_stays_below_what_an_open_transaction_has_drawn(app: Flask, tracking: str) -> None:
    with engine().connect() as slow:
        slow.execute(text(f"SET track_activities = {tracking}"))
        slow.execute(text("CREATE TEMPORARY TABLE written (number integer) ON COMMIT DROP"))
        drawn = slow.execute(text("SELECT next_message_id()")).scalar_one()
        # Until the clock is past it: otherwise the horizon is below it without looking at anybody.
        eventually(lambda: bool(scalar("SELECT message_id_at(clock_timestamp()) > :drawn", drawn=drawn)))
        with reading() as unit:
            assert queries.horizon(unit) < drawn
        slow.invalidate()
    eventually(lambda: _horizon_is_past(drawn), message="the horizon stayed behind")


def _horizon_is_past(revision: int) -> bool:
    with reading() as unit:
        return queries.horizon(unit) > revision


def test_nothing_is_missed_by_who_syncs_all_the_time_under_load(people: People, second_api: Any) -> None:
    ada, bob, eve = people(3)
    chats = [ada.group(bob, eve) for _ in range(3)]
    bob.url = second_api.url
    sent: set[int] = set()
    _, _, _, cursor = catch_up(eve, None)

    def send_all(sender: Person) -> None:
        for number in range(60):
            sent.add(sender.send(chats[number % 3], str(number))["id"])

    senders = [threading.Thread(target=send_all, args=(person,)) for person in (ada, bob)]
    for sender in senders:
        sender.start()
    received: set[int] = set()
    while any(sender.is_alive() for sender in senders):
        _, messages, _, cursor = catch_up(eve, cursor)
        received |= set(messages)
    _, messages, _, _ = catch_up(eve, cursor)
    assert received | set(messages) == sent


def test_a_cursor_that_is_not_ours_is_refused(people: People) -> None:
    (ada,) = people(1)
    for cursor in ("x", "W10", "WzEsMl0", ""):
        assert ada.call("GET", f"/sync?cursor={cursor}").status_code == 422


def test_a_page_is_one_statement_after_a_look_and_one_round_trip_however_many_chats(people: People, app: Flask) -> None:
    ada, bob = people(2)
    with reading() as unit:
        cursor = service.current_cursor(unit)
    for number in range(8):
        ada.send(ada.group(bob, name=str(number)), "hello")
    with app.app_context(), counted_statements() as statements, reading() as unit:
        page = service.changes(unit, bob.id, cursor)
    assert (len(page["chats"]), len(page["messages"])) == (8, 8)
    (sent,) = statements
    assert re.findall(r"EXECUTE (\w+)", sent) == ["sync_look", "sync_page"]
