"""Who hears of a deletion, in which order, and that nobody is ever shown the words afterwards."""

from __future__ import annotations

import orjson

from app.infra.redis_writer import writer
from app.messages import events, queries
from tests.factories import run, scalar
from tests.messages.deleting import delete
from tests.messages.scenes import People
from tests.processes import Api


def test_deleting_twice_is_as_good_as_once_and_told_once(people: People) -> None:
    ada, bob = people(2)
    chat_id = ada.direct_chat(bob)
    for whom in ("me", "everyone"):
        message_id = ada.send(chat_id, "words")["id"]
        with ada.socket() as socket:
            assert [delete(ada, message_id, whom) for _ in range(2)] == [204, 204]
            ada.send(chat_id, "a sign that all before has come")
            socket.next("new_message")
            told = [event["data"] for event in socket.events if event["event"] == "message_deleted"]
            assert [data["message_ids"] for data in told] == [[message_id]]
        assert delete(ada, message_id, "me") == 204


def test_everybody_in_the_chat_hears_of_a_deletion_with_its_revision(people: People, second_api: Api) -> None:
    ada, bob = people(2)
    chat_id = ada.direct_chat(bob)
    message_id = ada.send(chat_id, "words")["id"]
    with ada.socket() as own, bob.socket(second_api.url) as other:
        assert delete(ada, message_id) == 204
        revision = scalar("SELECT revision FROM messages WHERE id = :id", id=message_id)
        expected = {"chat_id": chat_id, "message_ids": [message_id], "revision": revision}
        assert own.next("message_deleted") == other.next("message_deleted") == expected
        assert ada.get(f"/chats/{chat_id}")["revision"] == revision


def test_deleting_for_oneself_is_told_to_ones_own_devices_only(people: People, second_api: Api) -> None:
    ada, bob = people(2)
    chat_id = ada.direct_chat(bob)
    message_id = ada.send(chat_id, "words")["id"]
    with ada.socket(second_api.url) as own, bob.socket() as other:
        assert delete(ada, message_id, "me") == 204
        assert own.next("message_deleted")["message_ids"] == [message_id]
        ada.send(chat_id, "a sign that all before has come")
        other.next("new_message")
        assert [event for event in other.events if event["event"] == "message_deleted"] == []


def test_a_deletion_that_overtakes_its_message_shows_nobody_the_words(people: People) -> None:
    ada, bob = people(2)
    chat_id = ada.group(bob)
    with bob.socket() as socket:
        send = queries.Send(chat_id, ada.id, ada.session_id, None, b"", "text", "never shown", None)
        (stored,) = queries.send_batch([send])
        assert stored.message_id is not None
        assert delete(ada, stored.message_id) == 204
        assert socket.next("message_deleted")["message_ids"] == [stored.message_id]
        after = ada.send(chat_id, "after")
        assert socket.next("new_message") == after
        assert [event["data"]["seq"] for event in socket.events if event["event"] == "new_message"] == [2]


def test_a_message_that_is_told_after_its_deletion_does_not_stay(people: People) -> None:
    ada, bob = people(2)
    chat_id = ada.group(bob)
    with bob.socket() as socket:
        send = queries.Send(chat_id, ada.id, ada.session_id, None, b"", "text", "told late", None)
        (stored,) = queries.send_batch([send])
        assert stored.message_id is not None
        late = ada.get(f"/messages/{stored.message_id}")
        assert delete(ada, stored.message_id) == 204
        socket.quiet()
        # The process that stored it comes to publish it only now.
        events.message_sent(chat_id, late["seq"], 0, orjson.dumps(late), None)
        assert writer().flush(20)
        ada.send(chat_id, "a sign that all before has come")
        socket.next("new_message", seq=2)
        told = [event["event"] for event in socket.events if event["event"] in ("new_message", "message_deleted")]
        # Where the process was too late, the room has closed the gap by itself and drops what comes.
        assert told[-2:] == ["message_deleted", "new_message"]


def test_a_gap_with_a_deleted_message_in_it_closes_without_its_words(people: People) -> None:
    ada, bob = people(2)
    chat_id = ada.group(bob)
    with bob.socket() as socket:
        ada.send(chat_id, "before")
        send = queries.Send(chat_id, ada.id, ada.session_id, None, b"", "text", "never shown", None)
        (stored,) = queries.send_batch([send])
        run("UPDATE messages SET deleted_at = now(), text = NULL WHERE id = :id", id=stored.message_id)
        ada.send(chat_id, "after")
        kinds = ("new_message", "message_deleted")
        told = [socket.until(lambda event: event["event"] in kinds) for _ in range(3)]
        assert [event["event"] for event in told] == ["new_message", "message_deleted", "new_message"]
        assert told[1]["data"]["message_ids"] == [stored.message_id]


def test_deletions_come_with_the_next_sync(people: People) -> None:
    ada, bob = people(2)
    chat_id = ada.direct_chat(bob)
    for_all, for_bob = ada.send(chat_id, "for all")["id"], ada.send(chat_id, "for bob")["id"]
    cursors = {"ada": ada.caught_up(), "bob": bob.caught_up()}
    assert delete(ada, for_all) == 204
    assert delete(bob, for_bob, "me") == 204
    seen = {message["id"]: message for message in bob.get("/sync", cursor=cursors["bob"])["messages"]}
    assert (seen[for_all]["deleted"], seen[for_all]["text"]) == (True, None)
    assert (seen[for_bob]["deleted"], seen[for_bob]["text"]) == (True, None)
    hers = {message["id"]: message for message in ada.get("/sync", cursor=cursors["ada"])["messages"]}
    assert hers[for_all]["deleted"] is True
    # Rows may come twice, but not as his.
    assert not hers.get(for_bob, {"deleted": False})["deleted"]
