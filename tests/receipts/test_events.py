"""`message_status` reaches the devices of those who wrote the messages, at any process, and nobody else's."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from app.infra.db import unit_of_work
from tests import factories
from tests.chats import membership
from tests.messages.scenes import leave
from tests.people import Person, Socket
from tests.processes import Api, Worker, eventually
from tests.receipts import marks
from tests.waiting import waiting_for

People = Callable[[int], list[Person]]


def told(socket: Socket) -> list[dict[str, Any]]:
    """The statuses that a socket was told until now."""
    socket.quiet()
    return [event["data"] for event in socket.events if event["event"] == "message_status"]


def deliver(socket: Socket, chat_id: int, message_id: int) -> None:
    """The frame `delivered`, which must be acknowledged."""
    answer = socket.ask("delivered", {"chat_id": chat_id, "message_id": message_id})
    assert answer["event"] == "ack", answer
    assert answer["data"].keys() == {"ref"}


def test_the_senders_devices_are_told_at_every_process_and_the_receivers_are_not(
    people: People, second_api: Api
) -> None:
    ada, bob = people(2)
    chat_id = ada.direct_chat(bob)
    with ada.socket() as here, ada.socket(second_api.url) as there, bob.socket(second_api.url) as his:
        sent = [ada.send(chat_id, text)["id"] for text in ("one", "two")]
        deliver(his, chat_id, sent[1])
        expected = {"chat_id": chat_id, "up_to_message_id": sent[1], "status": "delivered", "user_id": bob.id}
        assert here.next("message_status") == there.next("message_status") == expected
        his.ask("read_receipt", {"chat_id": chat_id, "message_id": sent[1]})
        assert here.next("message_status") == there.next("message_status") == expected | {"status": "read"}
        assert told(his) == []


def test_reading_over_rest_tells_the_sender_too(people: People) -> None:
    ada, bob = people(2)
    chat_id = ada.direct_chat(bob)
    with ada.socket() as hers:
        sent = ada.send(chat_id, "hello")["id"]
        bob.post(f"/chats/{chat_id}/read")
        assert hers.next("message_status") == {
            "chat_id": chat_id,
            "up_to_message_id": sent,
            "status": "read",
            "user_id": bob.id,
        }


def test_a_sign_that_moves_nothing_tells_nobody(people: People) -> None:
    ada, bob = people(2)
    chat_id = ada.direct_chat(bob)
    with ada.socket() as hers, bob.socket() as his:
        first, second = (ada.send(chat_id, text)["id"] for text in ("one", "two"))
        for message_id in (second, second, first):
            deliver(his, chat_id, message_id)
        his.ask("read_receipt", {"chat_id": chat_id, "message_id": second})
        deliver(his, chat_id, second)
        hers.next("message_status", status="read")
        assert [data["status"] for data in told(hers)] == ["delivered", "read"]


def test_in_a_group_only_the_authors_of_what_was_new_are_told(people: People) -> None:
    ada, bob, eve, dan = people(4)
    chat_id = ada.group(bob, eve, dan)
    with ada.socket() as adas, bob.socket() as bobs, eve.socket() as eves, dan.socket() as dans:
        first = ada.send(chat_id, "from ada")["id"]
        deliver(dans, chat_id, first)
        second = bob.send(chat_id, "from bob")["id"]
        dan.send(chat_id, "from dan himself")
        deliver(dans, chat_id, second)
        bobs.next("message_status", user_id=dan.id, up_to_message_id=second)
        adas.next("message_status", user_id=dan.id, up_to_message_id=first)
        assert [data["up_to_message_id"] for data in told(adas)] == [first]
        assert [data["up_to_message_id"] for data in told(bobs)] == [second]
        assert told(eves) == told(dans) == []


def test_an_author_who_has_left_is_told_nothing_more(people: People) -> None:
    ada, bob, eve = people(3)
    chat_id = ada.group(bob, eve)
    with bob.socket() as bobs, ada.socket() as adas, eve.socket() as eves:
        bob.send(chat_id, "before I go")
        newest = ada.send(chat_id, "stay")["id"]
        factories.run(
            "UPDATE chat_members SET left_at = now() WHERE chat_id = :c AND user_id = :u", c=chat_id, u=bob.id
        )
        deliver(eves, chat_id, newest)
        adas.next("message_status", user_id=eve.id)
        assert told(bobs) == []


def test_channels_tell_nobody(people: People) -> None:
    ada, bob = people(2)
    channel = ada.post("/chats", {"type": "channel", "name": "News", "member_ids": [bob.id]})["id"]
    group = ada.group(bob)
    with ada.socket() as hers, bob.socket() as his:
        for chat_id in (channel, group):
            newest = ada.send(chat_id, "hello")["id"]
            deliver(his, chat_id, newest)
            his.ask("read_receipt", {"chat_id": chat_id, "message_id": newest})
        hers.next("message_status", chat_id=group, status="read")
        assert {data["chat_id"] for data in told(hers)} == {group}


def test_in_a_group_of_more_than_two_hundred_authors_are_told_once_and_not_by_whom(
    people: People, worker: Worker
) -> None:
    ada, bob, eve = people(3)
    chat_id = factories.make_chat([ada.id, bob.id, eve.id, *factories.make_users(198)])
    with ada.socket() as hers, bob.socket() as his, eve.socket() as eves:
        newest = [ada.send(chat_id, text)["id"] for text in ("one", "two")][-1]
        for socket in (his, eves):
            deliver(socket, chat_id, newest)
        expected = {"chat_id": chat_id, "up_to_message_id": newest, "status": "delivered", "user_id": None}
        assert hers.next("message_status") == expected
        for socket in (his, eves):
            socket.ask("read_receipt", {"chat_id": chat_id, "message_id": newest})
        assert hers.next("message_status") == expected | {"status": "read"}
        # What comes last has come behind all that was queued before it.
        last = bob.send(chat_id, "three")["id"]
        hers.ask("read_receipt", {"chat_id": chat_id, "message_id": last})
        assert his.next("message_status")["up_to_message_id"] == last
        assert len(told(hers)) == 2
        assert told(eves) == []


def test_the_status_follows_by_the_worker_and_by_sync(people: People, worker: Worker) -> None:
    ada, bob = people(2)
    chat_id = ada.direct_chat(bob)
    with bob.socket() as his, ada.socket() as hers:
        sent = ada.send(chat_id, "hello")

        def status() -> str:
            found: str = ada.get(f"/messages/{sent['id']}")["status"]
            return found

        deliver(his, chat_id, sent["id"])
        eventually(lambda: status() == "delivered")
        his.ask("read_receipt", {"chat_id": chat_id, "message_id": sent["id"]})
        eventually(lambda: status() == "read")
        changed = {message["id"]: message for message in ada.get("/sync", cursor=hers.hello["cursor"])["messages"]}
        assert changed[sent["id"]]["status"] == "read"
        assert changed[sent["id"]]["revision"] > sent["revision"]


def test_where_others_are_not_told_of_reading_ones_other_devices_are(people: People) -> None:
    ada, bob = people(2)
    news = membership.channel(ada, bob)
    with ada.socket() as hers, bob.socket() as his:
        sent = ada.send(news, "news")
        state = bob.post(f"/chats/{news}/read")
        assert state == {"last_read_message_id": sent["id"], "last_read_seq": 1, "unread_count": 0}
        receipt = his.next("read_receipt", chat_id=news)
        assert (receipt["user_id"], receipt["message_id"], receipt["seq"]) == (bob.id, sent["id"], 1)
        assert "read_receipt" not in {event["event"] for event in hers.quiet()}


def test_who_has_left_while_a_mark_waits_is_answered_nothing_and_moves_nothing(people: People) -> None:
    ada, bob = people(2)
    chat_id = ada.group(bob)
    for text in ("one", "two"):
        ada.send(chat_id, text)
    with ThreadPoolExecutor(1) as threads, bob.socket() as his, ada.socket() as hers:
        with unit_of_work() as holder:
            holder.connection.exec_driver_sql(
                "SELECT 1 FROM user_chat_states WHERE chat_id = %s AND user_id = %s FOR UPDATE", (chat_id, bob.id)
            )
            reading = threads.submit(bob.call, "POST", f"/chats/{chat_id}/read", {})
            eventually(lambda: waiting_for(holder.connection) == 1)
            leave(chat_id, bob)
        assert reading.result(20).status_code == 404
        assert marks.marks(bob.id, chat_id) == (0, 0)
        bob.direct_chat(ada)
        his.next("chat_updated")
        ada.send(chat_id, "a sign that all before has come")
        hers.next("new_message", chat_id=chat_id, seq=3)
        assert {e["event"] for e in hers.events}.isdisjoint({"message_status", "read_receipt"})
        # A worker of other tests may have told him of unread messages, but nothing says that they are read.
        told = {(e["event"], e["data"].get("unread_count")) for e in his.events}
        assert told.isdisjoint({("unread", 0), ("read_receipt", None)})
