"""Two API processes on one PostgreSQL and one Valkey are one Paperplane."""

from __future__ import annotations

from collections.abc import Callable

from tests.people import Person
from tests.processes import Api, Worker

People = Callable[[int], list[Person]]


def test_a_message_sent_at_one_process_arrives_at_a_socket_of_another(people: People, second_api: Api) -> None:
    ada, bob = people(2)
    chat_id = ada.direct_chat(bob)
    with bob.socket(second_api.url) as socket:
        message = ada.send(chat_id, "over there")
        assert socket.next("new_message") == message


def test_a_chat_made_while_its_member_is_connected_delivers_at_once(people: People, second_api: Api) -> None:
    ada, bob = people(2)
    with bob.socket(second_api.url) as socket:
        chat_id = ada.group(bob)
        assert socket.next("chat_updated", id=chat_id)["role"] == "member"
        sent = ada.send(chat_id, "welcome")
        assert socket.next("new_message") == sent


def test_a_message_sent_right_after_its_chat_was_made_arrives(people: People, second_api: Api) -> None:
    for _ in range(20):
        ada, bob = people(2)
        with bob.socket(second_api.url) as socket:
            chat_id = ada.direct_chat(bob)
            sent = [ada.send(chat_id, str(number)) for number in range(3)]
            assert [socket.next("new_message")["id"] for _ in sent] == [message["id"] for message in sent]


def test_messages_of_two_senders_at_two_processes_arrive_in_the_order_of_seq(people: People, second_api: Api) -> None:
    ada, bob, eve = people(3)
    chat_id = ada.group(bob, eve)
    with eve.socket() as socket, ada.socket() as here, bob.socket(second_api.url) as there:
        for number in range(100):
            sender = here if number % 2 else there
            sender.frame("message", {"chat_id": chat_id, "text": str(number)}, ref=number)
        received = [socket.next("new_message")["seq"] for _ in range(100)]
    assert received == list(range(1, 101))


def test_reading_at_one_device_is_told_to_all_devices_and_to_the_sender(people: People, second_api: Api) -> None:
    ada, bob = people(2)
    chat_id = ada.direct_chat(bob)
    with ada.socket() as sender, bob.socket(second_api.url) as other_device:
        message = ada.send(chat_id, "read me")
        state = bob.post(f"/chats/{chat_id}/read", {"message_id": message["id"]})
        assert state == {"last_read_message_id": message["id"], "last_read_seq": message["seq"], "unread_count": 0}
        assert sender.next("read_receipt", user_id=bob.id)["message_id"] == message["id"]
        assert other_device.next("unread", chat_id=chat_id, unread_count=0)


def test_the_worker_tells_unread_counts_over_the_socket(people: People, second_api: Api, worker: Worker) -> None:
    ada, bob = people(2)
    chat_id = ada.direct_chat(bob)
    with bob.socket(second_api.url) as socket:
        for number in range(3):
            ada.send(chat_id, str(number))
        assert socket.next("unread", chat_id=chat_id, unread_count=3)
