"""Who is removed from a chat while a hub takes their sockets into it receives nothing of what follows."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import text
from sqlalchemy.engine import Connection

from app.infra import bus
from app.infra.db import reading
from config import settings
from local.servers import Valkey
from tests.faults.hurting import (
    hung_valkey,
    locked,
    publish,
    put_back_untold,
    remove_untold,
    subscribers,
)
from tests.people import Person, Socket
from tests.processes import Worker, eventually
from tests.waiting import waiting_for

Folk = Callable[[int], list[Person]]
People = Callable[[int], list[Person]]


def texts(events: list[dict[str, object]]) -> list[object]:
    """The texts of the new messages among events."""
    return [event["data"]["text"] for event in events if event["event"] == "new_message"]  # type: ignore[index]


def waiting(connection: Connection) -> tuple[int, str]:
    """The process of PostgreSQL that came last to wait for what this one holds, and the statement in which it does."""
    statement = """
        SELECT pid, query FROM pg_stat_activity
        WHERE pg_backend_pid() = ANY (pg_blocking_pids(pid)) ORDER BY query_start DESC LIMIT 1"""
    pid, query = connection.execute(text(statement)).one()
    return pid, query


def is_counted(chat_id: int) -> bool:
    """Whether the worker has counted all messages of a chat."""
    with reading() as unit:
        statement = text("SELECT fanned_out_seq = last_seq FROM chats WHERE id = :chat")
        return bool(unit.execute(statement, {"chat": chat_id}).scalar_one())


def has_gone_on(pid: int, query: str) -> bool:
    """Whether a process of PostgreSQL has finished a statement that came after the given one."""
    statement = "SELECT state = 'idle' AND query <> :query FROM pg_stat_activity WHERE pid = :pid"
    with reading() as unit:
        return bool(unit.execute(text(statement), {"pid": pid, "query": query}).scalar_one())


def test_who_is_removed_untold_between_the_look_at_the_members_and_the_joining_receives_nothing(
    folk: Folk, own_valkey: Valkey
) -> None:
    ada, bob = folk(2)
    chat_id, other_chat_id = ada.group(bob), ada.direct_chat(bob)
    with ThreadPoolExecutor(1) as pool:
        with locked("LOCK TABLE sessions IN ACCESS EXCLUSIVE MODE") as connection:
            opening = pool.submit(bob.socket)
            # The own channels are subscribed; next come session and memberships, and then the chats' channels.
            eventually(lambda: waiting_for(connection) > 0)
            eventually(lambda: subscribers(own_valkey.url(), bus.user_notifications(bob.id)) == [1])
            pid, query = waiting(connection)
            with hung_valkey(own_valkey):
                connection.rollback()
                eventually(lambda: has_gone_on(pid, query))
                remove_untold(chat_id, bob.id)
        with opening.result() as socket:
            ada.send(chat_id, "not for bob")
            ada.send(other_chat_id, "for bob")
            assert socket.next("new_message")["text"] == "for bob"
            # No resync has come to the rescue: what is tested is that none is needed.
            assert [event["event"] for event in socket.events].count("hello") == 1


def joined_late(chat_id: int, person: Person, header: bus.Header) -> None:
    """Publishes an order to join that was overtaken by what happened since, and nothing else."""
    header |= {"control": "chat_joined", "subject": chat_id}
    publish(settings().redis, (bus.user_notifications(person.id), bus.payload(header)))


def removed(people: People) -> tuple[Person, Person, Person, int]:
    """Ada and Eve, Bob, whom Ada has removed from their group, and the group."""
    ada, bob, eve = people(3)
    chat_id = ada.group(bob, eve)
    ada.send(chat_id, "before")
    assert ada.call("DELETE", f"/chats/{chat_id}/members/{bob.id}").status_code == 204
    return ada, bob, eve, chat_id


def settled(socket: Socket, person: Person) -> list[object]:
    """The texts that have come once an event has come that was published after them."""
    chat_id = person.group()
    socket.next("chat_updated", id=chat_id)
    return texts(socket.events)


def test_an_order_to_join_that_a_removal_overtook_lets_nobody_in(people: People) -> None:
    ada, bob, eve, chat_id = removed(people)
    with eve.socket() as member, bob.socket() as former:
        member.quiet()
        joined_late(chat_id, bob, {})
        settled(former, bob)
        ada.send(chat_id, "after")
        assert member.next("new_message")["text"] == "after"
        assert settled(former, bob) == []


def test_an_order_to_join_that_a_removal_overtook_replays_nothing(people: People) -> None:
    ada, bob, eve, chat_id = removed(people)
    with eve.socket() as member, bob.socket() as former:
        ada.send(chat_id, "after")
        assert member.next("new_message")["text"] == "after"
        joined_late(chat_id, bob, {"seq": 0})
        member.quiet()
        assert settled(former, bob) == []


def test_who_is_let_in_late_is_told_how_many_messages_of_the_time_before_are_unread(
    people: People, worker: Worker
) -> None:
    ada, bob = people(2)
    chat_id = ada.group(bob)
    with bob.socket() as socket:
        assert ada.call("DELETE", f"/chats/{chat_id}/members/{bob.id}").status_code == 204
        socket.next("chat_removed", chat_id=chat_id)
        last_seq = ada.get(f"/chats/{chat_id}")["last_seq"]
        put_back_untold(chat_id, bob.id)
        ada.send(chat_id, "missed")
        eventually(lambda: is_counted(chat_id))
        joined_late(chat_id, bob, {"seq": last_seq})
        assert socket.next("new_message")["text"] == "missed"
        assert socket.next("unread", chat_id=chat_id)["unread_count"] == bob.get(f"/chats/{chat_id}")["unread_count"]


def left_late(chat_id: int, person: Person, revision: int) -> None:
    """Publishes an order to leave that was overtaken by what happened since, as the process that is late does."""
    header: bus.Header = {"control": "chat_left", "subject": chat_id, "members_revision": revision}
    frame = bus.encode("chat_removed", {"chat_id": chat_id, "revision": revision})
    publish(settings().redis, (bus.user_notifications(person.id), bus.payload(header, frame)))


def test_an_order_to_leave_that_came_after_the_return_cuts_nobody_off(people: People) -> None:
    ada, bob = people(2)
    chat_id = ada.group(bob)
    with bob.socket() as socket:
        assert ada.call("DELETE", f"/chats/{chat_id}/members/{bob.id}").status_code == 204
        revision = socket.next("chat_removed", chat_id=chat_id)["revision"]
        ada.post(f"/chats/{chat_id}/members", {"user_ids": [bob.id]})
        socket.next("chat_updated", id=chat_id)
        left_late(chat_id, bob, revision)
        assert socket.next("chat_removed", chat_id=chat_id)["revision"] == revision
        ada.send(chat_id, "for bob")
        assert socket.next("new_message", text="for bob")


def test_an_order_to_leave_is_obeyed_before_what_was_said_without_that_member(people: People) -> None:
    ada, bob = people(2)
    chat_id = ada.group(bob)
    with bob.socket() as socket:
        remove_untold(chat_id, bob.id)
        with reading() as unit:
            statement = text("SELECT members_revision FROM chats WHERE id = :chat")
            revision = unit.execute(statement, {"chat": chat_id}).scalar_one()
        left_late(chat_id, bob, revision)
        socket.next("chat_removed", chat_id=chat_id)
        # Its event is made under a membership that is older, as if its process did not know.
        frame = bus.encode("new_message", {"chat_id": chat_id, "text": "not for bob"})
        publish(settings().redis, (bus.chat_messages(chat_id), bus.payload({}, frame)))
        assert settled(socket, bob) == []
