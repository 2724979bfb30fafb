"""Unread counts while messages are deleted, also by many and beside all else."""

from __future__ import annotations

from app.messages import unread
from tests.factories import run
from tests.messages.deleting import assert_counts_are_right, delete
from tests.messages.scenes import People, together
from tests.processes import Api


def test_8_deletions_at_once_count_down_once_and_are_told_once(people: People, second_api: Api) -> None:
    people_of_chat = people(8)
    ada, bob = people_of_chat[:2]
    chat_id = ada.group(*people_of_chat[1:])
    for person in people_of_chat[2:]:
        run("UPDATE chat_members SET role = 'admin' WHERE chat_id = :c AND user_id = :u", c=chat_id, u=person.id)
    message_id = [ada.send(chat_id, str(number))["id"] for number in range(3)][1]
    unread.fan_out_all([chat_id])
    assert bob.get(f"/chats/{chat_id}")["unread_count"] == 3
    callers = [ada, *people_of_chat[2:], ada]
    for caller in callers[4:]:
        caller.url = second_api.url
    with bob.socket() as socket:
        assert together(*[lambda caller=caller: delete(caller, message_id) for caller in callers]) == [204] * 8
        ada.send(chat_id, "a sign that all before has come")
        socket.next("new_message")
        told = [event["data"] for event in socket.events if event["event"] == "message_deleted"]
        assert [data["message_ids"] for data in told] == [[message_id]]
    assert bob.get(f"/chats/{chat_id}")["unread_count"] == 3
    unread.fan_out_all([chat_id])
    assert_counts_are_right(chat_id)


def test_unread_counts_follow_deletions_at_once_counted_or_not_and_are_told(people: People) -> None:
    ada, bob, eve = people(3)
    chat_id = ada.group(bob, eve)
    counted = [ada.send(chat_id, str(number))["id"] for number in range(3)]
    eve.post(f"/chats/{chat_id}/read", {"message_id": counted[0]})
    unread.fan_out_all([chat_id])
    not_counted = ada.send(chat_id, "new")["id"]
    with bob.socket() as socket:
        assert delete(ada, counted[1]) == 204
        socket.next("unread", chat_id=chat_id, unread_count=3)
    assert [delete(ada, message_id) for message_id in (counted[0], not_counted)] == [204, 204]
    assert [p.get(f"/chats/{chat_id}")["unread_count"] for p in (ada, bob, eve)] == [0, 1, 1]
    unread.fan_out_all([chat_id])
    assert_counts_are_right(chat_id)
    assert [p.get(f"/chats/{chat_id}")["unread_count"] for p in (ada, bob, eve)] == [0, 1, 1]


def test_deletions_reads_sends_and_counts_at_once_leave_right_counts(people: People, second_api: Api) -> None:
    ada, bob, eve = people(3)
    chat_id = ada.group(bob, eve)
    ids = [ada.send(chat_id, str(number))["id"] for number in range(40)]
    eve.url = second_api.url

    def delete_all(step: int) -> None:
        for message_id in ids[step::3]:
            assert delete(ada, message_id) == 204

    def read_all() -> None:
        for message_id in ids[::5]:
            eve.post(f"/chats/{chat_id}/read", {"message_id": message_id})

    def send_all() -> None:
        for number in range(10):
            bob.send(chat_id, f"new {number}")

    def count_all() -> None:
        for _ in range(10):
            unread.fan_out_all([chat_id])

    together(lambda: delete_all(0), lambda: delete_all(1), lambda: delete_all(0), read_all, send_all, count_all)
    unread.fan_out_all([chat_id])
    assert_counts_are_right(chat_id)
