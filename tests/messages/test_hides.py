"""What one deletes for oneself: nothing changes for others, counts agree, and what was so before stays so."""

from __future__ import annotations

from uuid import uuid4

import pytest
from sqlalchemy import text

from app.chats import service as chats
from app.chats.queries import preferences
from app.infra import jobs, migrations
from app.infra.db import unit_of_work
from app.messages import queries, removal_queries, service, unread
from config import settings
from tests.chats.membership import during
from tests.conventions.test_migrations import empty_database
from tests.factories import make_chat, make_users, member_states, run, scalar, send_messages
from tests.messages.scenes import People, leave, together
from tests.people import Person
from tests.workers.counting import recount

# From an hour ago, so that their own revisions lie before every cursor of the tests.
_OLD = text("""
    WITH touched AS (UPDATE chats SET last_seq = :count WHERE id = :chat)
    INSERT INTO messages (id, chat_id, seq, sender_id, text, revision)
    SELECT id, :chat, n, :sender, 'hello', id
    FROM (SELECT n, message_id_at(now() - interval '1 hour') + n AS id FROM generate_series(1, :count) n) drawn
    ORDER BY n RETURNING id""")


def hide(person: Person, message_id: int) -> int:
    return person.call("DELETE", f"/messages/{message_id}").status_code


def hidden(person: Person) -> list[int]:
    """The messages that are noted as hidden from a person, in whatever chat."""
    found = scalar(
        "SELECT array_agg(message_id ORDER BY message_id) FROM message_hides WHERE user_id = :u", u=person.id
    )
    return list(found) if isinstance(found, list) else []


def hide_here(user_id: int, message_id: int) -> None:
    """Deletes a message for oneself in this process."""
    with unit_of_work() as unit:
        service.delete_message(unit, user_id, message_id, for_everyone=False)


def test_what_one_deletes_for_oneself_moves_neither_the_chat_nor_the_sync_of_others(people: People) -> None:
    ada, bob, eve = people(3)
    chat_id = ada.group(bob, eve)
    message_id = ada.send(chat_id, "words")["id"]
    unread.fan_out_all([chat_id])
    others = {person.id: (person.get(f"/chats/{chat_id}"), person.caught_up()) for person in (ada, eve)}
    cursor = bob.caught_up()
    stored = scalar("SELECT to_jsonb(x) FROM messages x WHERE id = :id", id=message_id)
    assert hide(bob, message_id) == 204
    for person in (ada, eve):
        chat, hers = others[person.id]
        changes = person.get("/sync", cursor=hers)
        assert (changes["chats"], changes["messages"], changes["removed_chat_ids"]) == ([], [], [])
        assert person.get(f"/chats/{chat_id}") == chat
    assert scalar("SELECT to_jsonb(x) FROM messages x WHERE id = :id", id=message_id) == stored
    own = bob.get("/sync", cursor=cursor)
    assert [(m["id"], m["deleted"], m["text"]) for m in own["messages"]] == [(message_id, True, None)]
    assert [(chat["id"], chat["unread_count"], chat["last_message"]) for chat in own["chats"]] == [(chat_id, 0, None)]


def test_the_event_and_sync_name_the_same_revision_which_is_past_that_of_the_message(people: People) -> None:
    ada, bob = people(2)
    chat_id = ada.direct_chat(bob)
    message = ada.send(chat_id, "words")
    cursor = bob.caught_up()
    with bob.socket() as socket:
        assert hide(bob, message["id"]) == 204
        revision = socket.next("message_deleted")["revision"]
    (tombstone,) = bob.get("/sync", cursor=cursor)["messages"]
    assert tombstone["revision"] == revision > message["revision"]
    assert bob.get(f"/chats/{chat_id}")["revision"] == revision
    # An edit after that is told as what it is for whoever deleted it.
    assert ada.call("PUT", f"/messages/{message['id']}", {"text": "other words"}).status_code == 200
    newest = bob.get("/sync", cursor=cursor)["messages"][-1]
    assert (newest["deleted"], newest["text"]) == (True, None)
    assert newest["revision"] > revision


def test_who_has_left_the_chat_or_cleared_it_gets_no_tombstones_of_it(people: People) -> None:
    ada, bob, eve = people(3)
    chat_id = ada.group(bob, eve)
    message_id = ada.send(chat_id, "words")["id"]
    cursors = {person.id: person.caught_up() for person in (bob, eve)}
    assert [hide(person, message_id) for person in (bob, eve)] == [204, 204]
    leave(chat_id, bob)
    assert eve.call("DELETE", f"/chats/{chat_id}/history").status_code == 204
    assert [person.get("/sync", cursor=cursors[person.id])["messages"] for person in (bob, eve)] == [[], []]


def test_a_tombstone_tells_neither_what_was_answered_nor_whose_words_they_were(people: People) -> None:
    ada, bob = people(2)
    chat_id = ada.direct_chat(bob)
    first = bob.send(chat_id, "words")
    cursor = bob.caught_up()
    client_id = str(uuid4())
    reply = bob.send(chat_id, "a reply", reply_to_id=first["id"], client_id=client_id)
    (forwarded,) = ada.post(f"/messages/{first['id']}/forward", {"chat_ids": [chat_id]})["items"]
    ids = {reply["id"], forwarded["id"]}
    assert [hide(bob, message_id) for message_id in ids] == [204, 204]
    tombstones = [message for message in bob.get("/sync", cursor=cursor)["messages"] if message["id"] in ids]
    tombstones.append(bob.send(chat_id, "a reply", reply_to_id=first["id"], client_id=client_id))
    for message in tombstones:
        assert message["deleted"]
        assert {message[name] for name in ("text", "reply_to_id", "forwarded_from_user_id", "service")} == {None}
    assert {message["id"] for message in tombstones} == ids


@pytest.mark.parametrize("path", ["/chats/{}", "/chats/{}/history", "/chats/{}/history?for_everyone=true"])
def test_what_was_hidden_is_forgotten_with_the_history_that_it_was_in(
    people: People, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preferences, "_HIDES_AT_ONCE", 2)
    ada, bob = people(2)
    chat_id, other = ada.direct_chat(bob), ada.group(bob)
    ids = [ada.send(chat_id, "words")["id"] for _ in range(5)]
    elsewhere = ada.send(other, "words")["id"]
    cursor = bob.caught_up()
    assert {hide(bob, message_id) for message_id in (*ids, elsewhere)} == {204}
    assert hide(ada, ids[0]) == 204
    with unit_of_work() as unit:
        if path == "/chats/{}":
            chats.delete_chat(unit, bob.id, chat_id, for_everyone=False)
        else:
            chats.clear_history(unit, bob.id, chat_id, for_everyone="everyone" in path)
    assert hidden(bob) == [elsewhere]
    assert hidden(ada) == ([] if "everyone" in path else ids[:1])
    assert {message["id"] for message in bob.get("/sync", cursor=cursor)["messages"]} == {elsewhere}
    assert bob.get(f"/chats/{chat_id}/messages")["items"] == []


def test_nothing_is_hidden_in_a_history_that_was_cleared_at_the_same_moment(people: People) -> None:
    ada, bob = people(2)
    chat_id = ada.direct_chat(bob)
    message_id = ada.send(chat_id, "words")["id"]
    clear = during(lambda unit: chats.clear_history(unit, bob.id, chat_id, False), lambda: hide(bob, message_id))
    assert clear == 204
    assert hidden(bob) == []


def test_many_tombstones_come_in_pages_without_a_gap_between_new_messages(people: People) -> None:
    ada, bob = people(2)
    chat_id, other = ada.direct_chat(bob), ada.group(bob)
    with unit_of_work() as unit:
        ids = list(unit.execute(_OLD, {"chat": chat_id, "sender": ada.id, "count": 700}).scalars())
    cursor = bob.caught_up()
    new: list[int] = []
    for number, message_id in enumerate(ids):
        hide_here(bob.id, message_id)
        # A whole page of nothing but tombstones comes first.
        if number > 600:
            new += send_messages(other, [ada.id])
    found: list[tuple[int, int, bool]] = []
    while True:
        page = bob.get("/sync", cursor=cursor)
        found += [(message["revision"], message["id"], message["deleted"]) for message in page["messages"]]
        cursor = page["next_cursor"]
        if not page["has_more"]:
            break
        assert len(page["messages"]) == 500
    assert found == sorted(found)
    assert [message_id for _, message_id, is_deleted in found if is_deleted] == ids
    assert [message_id for _, message_id, is_deleted in found if not is_deleted] == new


def test_what_is_hidden_before_it_is_counted_is_never_counted_for_who_hid_it() -> None:
    ada, bob, eve = make_users(3)
    chat_id = make_chat([ada, bob, eve])
    ids = send_messages(chat_id, [ada, ada, bob, ada])
    for message_id in ids[1:3]:
        hide_here(bob, message_id)
    unread.fan_out_all([chat_id])
    assert {user: state.unread_count for user, state in member_states(chat_id).items()} == {ada: 1, bob: 2, eve: 4}
    assert recount(chat_id) == []


def test_the_same_message_hidden_at_once_on_all_devices_is_hidden_and_counted_once(people: People) -> None:
    ada, bob = people(2)
    chat_id = ada.group(bob)
    first, _ = (ada.send(chat_id, "words")["id"] for _ in range(2))
    unread.fan_out_all([chat_id])
    assert together(*[lambda: hide(bob, first)] * 8) == [204] * 8
    assert scalar("SELECT count(*) FROM message_hides WHERE message_id = :id", id=first) == 1
    assert (bob.get(f"/chats/{chat_id}")["unread_count"], recount(chat_id)) == (1, [])


@pytest.mark.parametrize("batch", [2, 1000], ids=["a large chat", "a small chat"])
def test_counts_stay_exact_while_messages_are_deleted_for_one_and_for_all_at_once(
    monkeypatch: pytest.MonkeyPatch, batch: int
) -> None:
    monkeypatch.setattr(settings(), "fanout_batch", batch)
    monkeypatch.setattr(jobs, "mark_for_fanout", lambda _chat_id: None)
    owner, *others = make_users(5)
    chat_id = make_chat([owner, *others])
    ids = send_messages(chat_id, [owner] * 30)
    run("UPDATE user_chat_states SET counted_seq = 15, unread_count = 15 WHERE chat_id = :c", c=chat_id)
    run("UPDATE user_chat_states SET unread_count = 0 WHERE chat_id = :c AND user_id = :u", c=chat_id, u=owner)

    def delete_all() -> None:
        for message_id in ids[::2]:
            with unit_of_work() as unit:
                service.delete_message(unit, owner, message_id, for_everyone=True)

    def hide_all(user_id: int) -> None:
        for message_id in ids:
            hide_here(user_id, message_id)

    def count_all() -> None:
        for _ in range(10):
            unread.fan_out_all([chat_id])

    together(delete_all, count_all, *[lambda user_id=user_id: hide_all(user_id) for user_id in others])
    assert recount(chat_id) == [], "what is shown while removals wait"
    unread.fan_out_all([chat_id])
    assert recount(chat_id) == []
    assert scalar("SELECT sum(unread_count) FROM user_chat_states WHERE chat_id = :c", c=chat_id) == 0


@pytest.mark.parametrize("is_large", [True, False])
def test_a_deletion_for_all_that_commits_after_one_for_oneself_counts_it_once(is_large: bool) -> None:
    owner, bob = make_users(2)
    chat_id = make_chat([owner, bob])
    first, _ = send_messages(chat_id, [owner] * 2)
    unread.fan_out_all([chat_id])
    with unit_of_work() as unit:
        assert queries.delete_for_everyone(unit, first, 1)
        if is_large:
            removal_queries.postpone(unit, chat_id, 1)
        # Neither sees the other.
        hide_here(bob, first)
        if not is_large:
            removal_queries.take_out(unit, chat_id, [1])
    assert recount(chat_id) == []
    run("UPDATE chats SET fanned_out_seq = 0 WHERE id = :c", c=chat_id)
    unread.fan_out_all([chat_id])
    assert recount(chat_id) == []
    assert scalar("SELECT unread_count FROM user_chat_states WHERE user_id = :u", u=bob) == 1


def test_what_was_deleted_for_oneself_before_is_moved_and_comes_back_with_the_schema_of_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with empty_database(monkeypatch, "hides"):
        migrations.upgrade("0003")
        with unit_of_work() as unit:
            # As the version before wrote them, with the same person twice and one that is deleted for all.
            unit.execute(
                text("""
                    INSERT INTO messages (id, chat_id, seq, sender_id, revision, deleted_for_users, deleted_at)
                    SELECT message_id_at(now()) + seq, 7, seq, 1, 100 + seq, users, gone
                    FROM (VALUES (1, ARRAY[5, 6, 5], NULL), (2, NULL, NULL), (3, ARRAY[]::bigint[], NULL),
                                 (4, ARRAY[6], now())) v (seq, users, gone)""")
            )
        migrations.upgrade()
        with unit_of_work() as unit:
            found = unit.execute(
                text("""
                    SELECT h.user_id, h.chat_id, h.seq, h.revision FROM message_hides h
                    JOIN messages x ON x.id = h.message_id AND x.seq = h.seq ORDER BY h.seq, h.user_id""")
            ).all()
        assert [tuple(row) for row in found] == [(5, 7, 1, 101), (6, 7, 1, 101), (6, 7, 4, 104)]
        with unit_of_work() as unit:
            unit.execute(
                text("INSERT INTO message_hides SELECT 9, chat_id, id, seq, 200 FROM messages WHERE seq IN (1, 2)")
            )
        migrations.downgrade("0003")
        with unit_of_work() as unit:
            users = unit.execute(text("SELECT deleted_for_users FROM messages ORDER BY seq")).scalars().all()
        assert users == [[5, 6, 9], [9], [], [6]]
