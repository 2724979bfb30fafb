"""What the steps play on: people with their clients, which chats there are, and what must hold in the end."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count
from typing import Any

import requests
from flask import Flask
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from app.infra import bus
from app.messages import statuses, unread
from tests.convergence.client import CLOSED, Client
from tests.convergence.truth import View, by_sql, details, difference, held, without_statuses
from tests.people import make_people
from tests.processes import eventually

PEOPLE = 6
who = st.integers(0, PEOPLE - 1)
which = st.integers(0, 11)
yes_or_no = st.booleans()

STEPS: dict[str, st.SearchStrategy[dict[str, Any]]] = {}
"""What people do by themselves, by name, with its arguments: `person` says who."""

Step = Callable[..., None]


def step(**arguments: st.SearchStrategy[Any]) -> Callable[[Step], Step]:
    """A rule that is also one of STEPS, which may happen while other people do theirs."""

    def note(function: Step) -> Step:
        STEPS[function.__name__] = st.fixed_dictionaries(arguments)
        made: Step = rule(**arguments)(function)  # type: ignore[call-overload]
        return made

    return note


def sees(client: Client, name: str, **fields: Any) -> bool:
    """Whether an event comes within a second."""
    socket = client.socket
    assert socket is not None
    begin, deadline = len(socket.events), time.monotonic() + 1
    while time.monotonic() < deadline:
        try:
            socket.quiet()
        except CLOSED:
            client.reconnect()
            return False
        for event in socket.events[begin:]:
            if event["event"] == name and all(event["data"].get(key) == value for key, value in fields.items()):
                return True
        time.sleep(0.01)
    return False


class Stage(RuleBasedStateMachine):
    """People, each with a client that a thread of its own may move while others move theirs."""

    app: Flask
    urls: list[str]

    def __init__(self) -> None:
        super().__init__()
        people = make_people(self.app, PEOPLE)
        for number, person in enumerate(people):
            person.url = self.urls[number % 2]
        # Chats that nobody uses: a change in one is a sign that what was published before has come.
        self.signs = {person.id: person.group(name="Signs") for person in people}
        self.clients = [Client(person) for person in people]
        self.known_chats: list[int] = []
        self.numbers = count(1)

    # --- who and which ---

    def client(self, number: int) -> Client:
        """One of the clients, once it has handled what has come."""
        client = self.clients[number]
        client.absorb()
        return client

    def chat_of(self, client: Client, number: int, *kinds: str) -> int | None:
        """One of the chats that a client shows, of all or of some types."""
        sign = self.signs[client.person.id]
        shown = sorted(
            key for key, chat in client.chats.items() if key != sign and (not kinds or chat["type"] in kinds)
        )
        return shown[number % len(shown)] if shown else None

    def message_of(self, client: Client, chat: int, number: int, own: bool = False) -> dict[str, Any] | None:
        """One of the messages that a client shows in a chat where there are any, the newest first."""

        def fits(message: dict[str, Any]) -> bool:
            return not own or (message["sender_id"] == client.person.id and message["message_type"] == "text")

        chats = [list(filter(fits, held.values())) for held in client.messages.values()]
        shown = [messages for messages in chats if messages]
        if not shown:
            return None
        found = sorted(shown[chat % len(shown)], key=lambda message: -int(message["id"]))
        return found[number % len(found)]

    def note_chat(self, client: Client, chat: dict[str, Any]) -> None:
        """A chat that was made or opened."""
        client.keep_chat(chat)
        if chat["id"] not in self.known_chats:
            self.known_chats.append(chat["id"])

    def keep(self, client: Client, answer: requests.Response | None) -> None:
        """Keeps the Chat of an answer, if it was not refused."""
        if answer is not None:
            client.keep_chat(answer.json())

    # --- after what happened at the same moment ---

    def settle(self) -> None:
        """Waits until everything that was published has come, then everybody catches up."""
        for client in self.clients:
            if client.socket is not None:
                self.await_signs(client)
            client.absorb()
            client.sync()

    def await_signs(self, client: Client) -> None:
        """Waits for a sign from every publisher: what each published before it for this person has come by then.

        A sign that is given while a hub is cut off is lost, so it is given again.
        """

        def by_api(url: str) -> bool:
            until = datetime(2100, 1, 1, tzinfo=UTC) + timedelta(seconds=next(self.numbers))
            person = replace(client.person, url=url)
            mute = {"muted": True, "until": until.isoformat()}
            answer = person.call("POST", f"/chats/{self.signs[person.id]}/mute", mute)
            if answer.status_code == 503:
                return False
            assert answer.status_code == 200, answer.text
            chat = answer.json()
            return sees(client, "chat_updated", id=chat["id"], revision=chat["revision"])

        def by_worker() -> bool:
            number = next(self.numbers)
            frame = bus.encode("sign", {"number": number})
            bus.send(bus.user_notifications(client.person.id), bus.payload({}, frame))
            return sees(client, "sign", number=number)

        for url in self.urls:
            eventually(partial(by_api, url), message="no sign came from an API process")
        eventually(by_worker, message="no sign came from this process")

    # --- the end ---

    def teardown(self) -> None:
        """Once all is done and told, everybody holds the same; what a step has raised is shown instead."""
        try:
            if self.known_chats and sys.exc_info()[1] is None:
                self.check()
        finally:
            for client in self.clients:
                client.disconnect()

    def check(self) -> None:
        """By events alone, where a socket is open; then by a last sync; then as a new device sees it."""
        unread.fan_out_all(self.known_chats)
        eventually(lambda: statuses.update_all(self.known_chats), message="statuses were never all up to date")
        for client in self.clients:
            if client.socket is not None:
                self.check_told(client)
            client.sync()
            assert not difference(held(client), by_sql(client.person)), "after the last sync (client, SQL)"
            new_device = Client(client.person)
            assert not difference(details(client), details(new_device)), "after the last sync (client, new device)"

    def check_told(self, client: Client) -> None:
        """A client that is connected needs no sync."""
        # A status is a hint: the message itself has it only after the next sync.
        truth = without_statuses(by_sql(client.person))

        def told() -> View:
            return without_statuses(held(client))

        def is_told() -> bool:
            client.absorb()
            return not difference(told(), truth)

        try:
            eventually(is_told)
        except AssertionError:
            raise AssertionError(f"by events (client, SQL): {difference(told(), truth)}") from None
