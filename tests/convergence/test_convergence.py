"""Whatever happens in whatever order: every client ends up with what a new device is answered, and with what SQL says.

Four people, each with one device, use groups and direct chats (also Saved Messages) through two API processes. Steps:
sends over REST and sockets, also repeated ones; edits; deletions for oneself and for everyone; reads and signs of
delivery; groups and direct chats made; people added, removed, leaving and joining; new names and roles; pins and mutes;
histories cleared and direct chats deleted; sockets opened and dropped; catching up in between; fan-outs, statuses and
sweeps, doubled and shuffled. Steps follow one another: races are for the tests of each part. Channels are not among
them.

A client cannot see in a Chat up to where its history was cleared. So a history is cleared for both, or a direct chat
deleted for both, only while the other side is connected and learns of it by an event.

`elsewhere` is another device of the person: what it does the client is not answered, but told or has by catching up.
"""

from __future__ import annotations

import secrets
from typing import Any
from uuid import uuid4

from flask import Flask
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from app.messages import statuses, unread, unread_jobs
from tests.convergence.client import Client
from tests.convergence.truth import View, by_sql, details, difference, held, leave_out
from tests.people import make_people
from tests.processes import Api, eventually

_PEOPLE = 4
# More would leave each with too few messages.
_MOST_CHATS = 5
who = st.integers(0, _PEOPLE - 1)
which = st.integers(0, 11)
yes_or_no = st.booleans()


class Conversations(RuleBasedStateMachine):
    """People who do things, each as their client shows the world to them."""

    app: Flask
    urls: tuple[str, str]

    def __init__(self) -> None:
        super().__init__()
        people = make_people(self.app, _PEOPLE, self.urls[0])
        self.clients = [Client(person) for person in people]
        self.known_chats: list[int] = []
        self.step = 0

    # --- beginnings ---

    @initialize(connected=st.lists(yes_or_no, min_size=_PEOPLE, max_size=_PEOPLE))
    def begin(self, connected: list[bool]) -> None:
        """Some are connected; there is a public group of three, and a direct chat."""
        for number, is_connected in enumerate(connected):
            if is_connected:
                self.clients[number].connect(self.urls[number % 2])
        self.make_group(0, [1, 2], is_public=True)
        self.open_direct_chat(0, 1)
        for chat in range(2):
            self.talk([0, 1, 0], chat)

    @precondition(lambda self: len(self.known_chats) < _MOST_CHATS)
    @rule(person=who, others=st.lists(who, min_size=1, max_size=3, unique=True), is_public=yes_or_no)
    def make_group(self, person: int, others: list[int], is_public: bool) -> None:
        """A new group; a public one has a username."""
        client = self.client(person)
        members = [self.clients[other].person.id for other in others]
        made = client.call("POST", "/chats", {"type": "group", "name": "Friends", "member_ids": members})
        assert made is not None
        self.note_chat(client, made.json())
        if is_public:
            change = {"username": f"friends_{secrets.token_hex(6)}"}
            changed = client.call("PUT", f"/chats/{made.json()['id']}", change)
            assert changed is not None
            client.keep_chat(changed.json())

    @precondition(lambda self: len(self.known_chats) < _MOST_CHATS)
    @rule(person=who, other=who)
    def open_direct_chat(self, person: int, other: int) -> None:
        """Opens a direct chat, new or old; with oneself Saved Messages."""
        client = self.client(person)
        made = client.call("POST", "/chats", {"type": "direct", "user_id": self.clients[other].person.id})
        assert made is not None
        self.note_chat(client, made.json())

    # --- messages ---

    @rule(person=who, chat=which, by_socket=yes_or_no, again=yes_or_no, elsewhere=yes_or_no)
    def send(self, person: int, chat: int, by_socket: bool, again: bool, elsewhere: bool) -> None:
        """Sends a message, perhaps twice with the same client_id."""
        client = self.client(person)
        chat_id = self.chat_of(client, chat)
        if chat_id is None:
            return
        self.step += 1
        body = {"chat_id": chat_id, "text": f"words {self.step}", "client_id": str(uuid4())}
        for _ in range(2 if again else 1):
            if by_socket and not elsewhere and client.socket is not None:
                sent = client.ask("message", body)
            else:
                answer = client.call("POST", "/messages", body)
                sent = None if answer is None else answer.json()
            if sent is not None and not elsewhere:
                client.keep_message(sent)

    @rule(people=st.lists(who, min_size=2, max_size=6), chat=which)
    def talk(self, people: list[int], chat: int) -> None:
        """People send in turn to the same chat, over whatever they have."""
        chat_id = self.known_chats[chat % len(self.known_chats)]
        for person in people:
            shown = sorted(self.client(person).chats)
            if chat_id in shown:
                self.send(person, shown.index(chat_id), by_socket=True, again=False, elsewhere=False)

    @rule(person=who, chat=which, message=which, elsewhere=yes_or_no)
    def edit(self, person: int, chat: int, message: int, elsewhere: bool) -> None:
        """Edits one of one's own messages."""
        client = self.client(person)
        found = self.message_of(client, chat, message, own=True)
        if found is not None:
            self.step += 1
            edited = client.call("PUT", f"/messages/{found['id']}", {"text": f"other words {self.step}"})
            if edited is not None and not elsewhere:
                client.keep_message(edited.json())

    @rule(person=who, chat=which, message=which, everyone=yes_or_no, elsewhere=yes_or_no)
    def delete(self, person: int, chat: int, message: int, everyone: bool, elsewhere: bool) -> None:
        """Deletes a message that one sees."""
        client = self.client(person)
        found = self.message_of(client, chat, message)
        if found is not None:
            scope = "everyone" if everyone else "me"
            deleted = client.call("DELETE", f"/messages/{found['id']}?for={scope}")
            if deleted is not None and not elsewhere:
                client.drop_message(found["chat_id"], found["id"])

    @rule(
        person=who, chat=which, message=which, all_of_it=yes_or_no, way=st.sampled_from(["REST", "socket", "elsewhere"])
    )
    def read(self, person: int, chat: int, message: int, all_of_it: bool, way: str) -> None:
        """Reads up to a message, or all."""
        client = self.client(person)
        found = self.message_of(client, chat, message)
        if found is None:
            return
        chat_id = found["chat_id"]
        if way == "socket" and client.socket is not None:
            state = client.ask("read_receipt", {"chat_id": chat_id, "message_id": found["id"]})
        else:
            answer = client.call("POST", f"/chats/{chat_id}/read", {} if all_of_it else {"message_id": found["id"]})
            state = None if answer is None else answer.json()
        if state is not None and way != "elsewhere":
            client.keep_read(chat_id, state)

    @rule(person=who, chat=which, message=which)
    def confirm_delivery(self, person: int, chat: int, message: int) -> None:
        """Tells that everything up to a message has arrived."""
        client = self.client(person)
        found = self.message_of(client, chat, message)
        if found is not None and client.socket is not None:
            client.ask("delivered", {"chat_id": found["chat_id"], "message_id": found["id"]})

    # --- chats ---

    @rule(person=who, chat=which, other=who)
    def add(self, person: int, chat: int, other: int) -> None:
        """Adds somebody."""
        client = self.client(person)
        chat_id = self.chat_of(client, chat, "group")
        if chat_id is not None:
            body = {"user_ids": [self.clients[other].person.id]}
            self.keep(client, client.call("POST", f"/chats/{chat_id}/members", body))

    @rule(person=who, chat=which, other=who)
    def remove(self, person: int, chat: int, other: int) -> None:
        """Removes somebody."""
        client = self.client(person)
        chat_id = self.chat_of(client, chat, "group")
        if chat_id is not None:
            client.call("DELETE", f"/chats/{chat_id}/members/{self.clients[other].person.id}")

    @rule(person=who, chat=which, elsewhere=yes_or_no)
    def leave(self, person: int, chat: int, elsewhere: bool) -> None:
        """Leaves; an owner only as the last one, which ends the chat."""
        client = self.client(person)
        chat_id = self.chat_of(client, chat, "group")
        if chat_id is not None:
            left = client.call("POST", f"/chats/{chat_id}/leave")
            if left is not None and not elsewhere:
                client.forget_own(chat_id)

    @rule(person=who, chat=which)
    def join(self, person: int, chat: int) -> None:
        """Joins a chat, if it is public."""
        client = self.client(person)
        chat_id = self.known_chats[chat % len(self.known_chats)]
        self.keep(client, client.call("POST", f"/chats/{chat_id}/join"))

    @rule(person=who, chat=which, other=who, role=st.sampled_from(["owner", "admin", "member"]))
    def give_role(self, person: int, chat: int, other: int, role: str) -> None:
        """Gives somebody a role; the answer has no Chat, the event has."""
        client = self.client(person)
        chat_id = self.chat_of(client, chat, "group")
        if chat_id is not None:
            client.call("PATCH", f"/chats/{chat_id}/members/{self.clients[other].person.id}", {"role": role})

    @rule(person=who, chat=which)
    def rename(self, person: int, chat: int) -> None:
        """Gives a chat a new name."""
        client = self.client(person)
        chat_id = self.chat_of(client, chat, "group")
        if chat_id is not None:
            self.step += 1
            self.keep(client, client.call("PUT", f"/chats/{chat_id}", {"name": f"Friends {self.step}"}))

    @rule(person=who, chat=which, what=st.sampled_from(["pinned", "muted"]), value=yes_or_no, elsewhere=yes_or_no)
    def set_own(self, person: int, chat: int, what: str, value: bool, elsewhere: bool) -> None:
        """Pins or mutes a chat, or ends that."""
        client = self.client(person)
        chat_id = self.chat_of(client, chat)
        if chat_id is not None:
            path = {"pinned": "pin", "muted": "mute"}[what]
            answer = client.call("POST", f"/chats/{chat_id}/{path}", {what: value})
            if not elsewhere:
                self.keep(client, answer)

    @rule(person=who, chat=which, both=yes_or_no)
    def clear_history(self, person: int, chat: int, both: bool) -> None:
        """Clears a history, for oneself or, in a direct chat, for both."""
        client = self.client(person)
        chat_id = self.chat_of(client, chat)
        if chat_id is not None and not (both and self.is_peer_away(client, chat_id)):
            query = "?for_everyone=true" if both and client.chats[chat_id]["type"] == "direct" else ""
            if client.call("DELETE", f"/chats/{chat_id}/history{query}") is not None:
                client.reload(chat_id)

    @rule(person=who, chat=which, both=yes_or_no)
    def delete_chat(self, person: int, chat: int, both: bool) -> None:
        """Deletes a direct chat, for oneself or for both, or a group that one owns."""
        client = self.client(person)
        chat_id = self.chat_of(client, chat)
        if chat_id is not None and not (both and self.is_peer_away(client, chat_id)):
            query = "?for_everyone=true" if both else ""
            if client.call("DELETE", f"/chats/{chat_id}{query}") is not None:
                client.forget_own(chat_id)

    # --- sockets and workers ---

    @rule(person=who, api=st.integers(0, 1))
    def connect_or_drop(self, person: int, api: int) -> None:
        """Opens a socket at one of the processes, or drops the one there is."""
        client = self.client(person)
        if client.socket is None:
            client.connect(self.urls[api])
        else:
            client.disconnect()

    @rule(person=who)
    def catch_up(self, person: int) -> None:
        """Asks for changes, connected or not."""
        self.client(person).sync()

    @rule(chats=st.lists(which, min_size=1, max_size=4), sweeps=yes_or_no)
    def work(self, chats: list[int], sweeps: bool) -> None:
        """Jobs for chats in any order, some of them doubled; the sweeps beside them."""
        for chat in chats:
            chat_id = self.known_chats[chat % len(self.known_chats)]
            unread.fan_out(chat_id)
            statuses.update_all([chat_id])
        if sweeps:
            unread_jobs.take_dirty()
            unread_jobs.sweep()

    # --- the end ---

    def teardown(self) -> None:
        """Once all is done and told, everybody holds the same."""
        try:
            if self.known_chats:
                self.check()
        finally:
            for client in self.clients:
                client.disconnect()

    def check(self) -> None:
        """By events alone, where a socket is open; then by a last sync; then as a new device sees it."""
        unread.fan_out_all(self.known_chats)
        statuses.update_all(self.known_chats)
        for client in self.clients:
            truth = by_sql(client.person)
            if client.socket is not None:
                self.check_told(client, truth)
            client.sync()
            assert not difference(held(client), truth), "after the last sync (client, SQL)"
            new_device = Client(client.person)
            assert not difference(details(client), details(new_device)), "after the last sync (client, new device)"

    def check_told(self, client: Client, truth: View) -> None:
        """A client that is connected needs no sync; only `last_read_seq` stands in no event."""

        def missing() -> dict[int, Any]:
            return difference(leave_out(held(client), "last_read_seq"), leave_out(truth, "last_read_seq"))

        def is_told() -> bool:
            client.absorb()
            return not missing()

        try:
            eventually(is_told)
        except AssertionError:
            raise AssertionError(f"by events (client, SQL): {missing()}") from None

    # --- who and which ---

    def client(self, number: int) -> Client:
        """One of the clients, once it has handled what has come."""
        client = self.clients[number]
        client.absorb()
        return client

    def chat_of(self, client: Client, number: int, kind: str | None = None) -> int | None:
        """One of the chats that a client shows, of all or of one type."""
        shown = sorted(key for key, chat in client.chats.items() if kind in (None, chat["type"]))
        return shown[number % len(shown)] if shown else None

    def message_of(self, client: Client, chat: int, number: int, own: bool = False) -> dict[str, Any] | None:
        """One of the messages that a client shows in a chat where there are any, the newest first."""

        def fits(message: dict[str, Any]) -> bool:
            return not own or (message["sender_id"] == client.person.id and message["message_type"] == "text")

        chats = [[message for message in held.values() if fits(message)] for held in client.messages.values()]
        shown = [messages for messages in chats if messages]
        if not shown:
            return None
        found = sorted(shown[chat % len(shown)], key=lambda message: -int(message["id"]))
        return found[number % len(found)]

    def is_peer_away(self, client: Client, chat_id: int) -> bool:
        """Whether the other side of a direct chat would not hear of anything now."""
        peer = client.chats[chat_id]["peer"]
        return any(other.socket is None for other in self.clients if peer and other.person.id == peer["id"])

    def note_chat(self, client: Client, chat: dict[str, Any]) -> None:
        """A chat that was made or opened."""
        client.keep_chat(chat)
        if chat["id"] not in self.known_chats:
            self.known_chats.append(chat["id"])

    def keep(self, client: Client, answer: Any) -> None:
        """Keeps the Chat of an answer, if it was not refused."""
        if answer is not None:
            client.keep_chat(answer.json())


def test_every_client_ends_up_with_what_the_database_says(app: Flask, api: Api, second_api: Api) -> None:
    class Here(Conversations):
        pass

    Here.app, Here.urls = app, (api.url, second_api.url)
    run_state_machine_as_test(
        Here,
        settings=settings(
            max_examples=40,
            stateful_step_count=25,
            derandomize=True,
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
