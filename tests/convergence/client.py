"""A client as its author would write it from docs/events.md: what it keeps, from events, answers and GET /api/sync."""

from __future__ import annotations

import json
import time
from typing import Any

import requests
import websocket

from app.infra import presence
from tests.people import Person, Socket
from tests.processes import eventually

# Pages are small, so that histories take several.
_PAGE = 5
_RANK = {"sent": 0, "delivered": 1, "read": 2}
# What reading from a socket, or opening one, raises where the server closes it; no answer in time is no such thing.
CLOSED = (websocket.WebSocketConnectionClosedException, ConnectionError, json.JSONDecodeError)
_LONGEST_WAIT = 30.0


class Client:
    """One person's only device.

    `messages` holds what is visible by chat and id; `gone` the ids of deleted ones; `removed` the revisions with which
    chats went from the list; `unread` the newest counts that events told, with their revisions.
    """

    def __init__(self, person: Person) -> None:
        self.person = person
        self.chats: dict[int, dict[str, Any]] = {}
        self.messages: dict[int, dict[int, dict[str, Any]]] = {}
        self.gone: set[int] = set()
        self.removed: dict[int, int] = {}
        self.unread: dict[int, tuple[int, int]] = {}
        self.cursor: str | None = None
        self.socket: Socket | None = None
        self._url = ""
        self._handled = 0
        self._is_shown_by_dead_lease = False
        self.sync()

    # --- being there or not ---

    def connect(self, url: str) -> None:
        """Opens a socket, then catches up: in this order nothing falls in between."""
        assert self.socket is None
        self._url = url
        eventually(self._open, message="no socket could be opened")
        # Who is told unread counts is asked of presence, which begins a moment after the greeting.
        eventually(lambda: presence.connected([self.person.id]) == {self.person.id}, message="presence did not begin")
        self.absorb()

    def _open(self) -> bool:
        try:
            self.socket = self.person.socket(self._url)
        except CLOSED:
            return False
        self._handled = 0
        return True

    def reconnect(self) -> None:
        """The server has closed the socket, as it may: another one, and what was missed by catching up."""
        assert self.socket is not None
        self.socket.socket.shutdown()
        self.socket = None
        self.connect(self._url)

    def disconnect(self) -> None:
        """Drops the socket, and with it what has not been read from it."""
        if self.socket is not None:
            self.socket.socket.shutdown()
            self.socket = None
            if not self._is_shown_by_dead_lease:
                eventually(lambda: presence.connected([self.person.id]) == set(), message="presence did not end")

    def is_connected_to(self, url: str) -> bool:
        """Whether there is a socket to that API process."""
        return self.socket is not None and self._url == url

    def lose_socket(self) -> None:
        """The API process at the other end has died; the lease that it held runs out some time."""
        assert self.socket is not None
        self.socket.socket.shutdown()
        self.socket = None
        self._is_shown_by_dead_lease = True

    def sync(self) -> None:
        """Everything past the cursor, page by page."""
        has_more = True
        while has_more:
            answer = self._ask_until_answered(
                "GET", "/sync" + ("" if self.cursor is None else f"?cursor={self.cursor}")
            )
            assert answer.status_code == 200, answer.text
            page = answer.json()
            for removal in page["removed_chats"]:
                self._on_chat_removed(removal)
            for chat in page["chats"]:
                self.keep_chat(chat)
            for message in page["messages"]:
                self.keep_message(message)
            self.cursor, has_more = page["next_cursor"], page["has_more"]

    def absorb(self) -> None:
        """Handles every event that has come."""
        if self.socket is None:
            return
        try:
            self.socket.quiet()
        except CLOSED:
            self.reconnect()
        else:
            self._handle_read()

    def ask(self, kind: str, data: dict[str, Any]) -> dict[str, Any] | None:
        """A frame's `ack`, None where it is refused; what came before it is handled first."""
        assert self.socket is not None
        try:
            answer = self.socket.ask(kind, data)
        except CLOSED:
            # What it did, if anything, is caught up on.
            self.reconnect()
            return None
        self._handle_read()
        if answer["event"] == "error":
            assert answer["data"]["code"] != "internal_error", answer
            return None
        return {name: value for name, value in answer["data"].items() if name != "ref"}

    def call(
        self, method: str, path: str, body: Any = None, refusals: tuple[int, ...] = (403, 404, 409)
    ) -> requests.Response | None:
        """A request; None where it is refused, which is right for who does not know yet what has changed."""
        answer = self._ask_until_answered(method, path, body)
        assert answer.status_code in (200, 201, 204, *refusals), answer.text
        return answer if answer.status_code < 300 else None

    def _ask_until_answered(self, method: str, path: str, body: Any = None) -> requests.Response:
        """Asks again, after as long as it is told, while the server cannot answer just now."""
        deadline = time.monotonic() + _LONGEST_WAIT
        while True:
            answer = self.person.call(method, path, body)
            if answer.status_code not in (429, 503):
                return answer
            assert time.monotonic() < deadline, answer.text
            time.sleep(float(answer.headers["Retry-After"]))

    # --- what answers and pages tell ---

    def keep_chat(self, chat: dict[str, Any]) -> None:
        """Keeps the newer version of a chat; of one that is new here the messages come from its history."""
        chat_id = chat["id"]
        known = self.chats.get(chat_id)
        if chat["revision"] < self.removed.get(chat_id, 0):
            return
        if known is None:
            history = self.history(chat_id)
            if history is None:
                return
            self.messages[chat_id] = {}
            self.chats[chat_id] = dict(chat)
            for message in history:
                self.keep_message(message)
        elif chat["revision"] >= known["revision"]:
            self.chats[chat_id] = dict(chat)
            count, revision = self.unread.get(chat_id, (0, 0))
            if revision > chat["revision"]:
                self.chats[chat_id]["unread_count"] = count
        else:
            return
        self._drop_up_to(chat_id, chat["cleared_seq"])

    def keep_message(self, message: dict[str, Any]) -> None:
        """Keeps the newer version of a message; what is deleted stays so."""
        chat_id, message_id = message["chat_id"], message["id"]
        if chat_id not in self.chats or message["seq"] <= self.chats[chat_id]["cleared_seq"]:
            return
        if message["deleted"]:
            self.drop_message(chat_id, message_id)
        elif message_id not in self.gone:
            held = self.messages[chat_id].get(message_id)
            if held is None or message["revision"] >= held["revision"]:
                self.messages[chat_id][message_id] = dict(message)
            self.chats[chat_id]["last_seq"] = max(self.chats[chat_id]["last_seq"], message["seq"])

    def drop_message(self, chat_id: int, message_id: int) -> None:
        """Takes a message away for good."""
        self.gone.add(message_id)
        self.messages.get(chat_id, {}).pop(message_id, None)

    def keep_read(self, chat_id: int, state: dict[str, Any]) -> None:
        """What an answer to reading says."""
        if chat_id in self.chats:
            self.chats[chat_id]["unread_count"] = state["unread_count"]
            self._keep_mark(chat_id, state["last_read_message_id"], state["last_read_seq"])

    def reload(self, chat_id: int) -> None:
        """Drops what is held of a chat whose history this device has cleared, and reads what is left."""
        history = self.history(chat_id)
        if history is not None and chat_id in self.chats:
            self.messages[chat_id] = {}
            for message in history:
                self.keep_message(message)

    def forget_own(self, chat_id: int) -> None:
        """This device left or deleted the chat."""
        self._forget(chat_id)

    def history(self, chat_id: int) -> list[dict[str, Any]] | None:
        """All pages of a chat's history; None for who is not in it."""
        items: list[dict[str, Any]] = []
        query = f"limit={_PAGE}"
        while True:
            answer = self._ask_until_answered("GET", f"/chats/{chat_id}/messages?{query}")
            if answer.status_code == 404:
                return None
            assert answer.status_code == 200, answer.text
            page = answer.json()
            items += page["items"]
            if not page["has_more_before"]:
                return items
            query = f"limit={_PAGE}&before={page['items'][-1]['id']}"

    def _forget(self, chat_id: int) -> None:
        self.chats.pop(chat_id, None)
        self.messages.pop(chat_id, None)

    def _drop_up_to(self, chat_id: int, seq: int) -> None:
        held = self.messages[chat_id]
        self.messages[chat_id] = {key: message for key, message in held.items() if message["seq"] > seq}

    def _keep_mark(self, chat_id: int, message_id: int | None, seq: int) -> None:
        chat = self.chats[chat_id]
        if seq > chat["last_read_seq"]:
            chat["last_read_message_id"], chat["last_read_seq"] = message_id, seq

    # --- what events tell ---

    def _handle_read(self) -> None:
        while self.socket is not None and self._handled < len(self.socket.events):
            # One whose handling fails is handled again: of a greeting whose sync failed there is no other.
            self.handle(self.socket.events[self._handled])
            self._handled += 1

    def handle(self, event: dict[str, Any]) -> None:
        """Does what an event asks for."""
        handler = getattr(self, f"_on_{event['event']}", None)
        if handler is not None:
            handler(event["data"])

    def _on_hello(self, _: dict[str, Any]) -> None:
        self.sync()

    def _on_new_message(self, message: dict[str, Any]) -> None:
        if message["chat_id"] not in self.chats:
            answer = self._ask_until_answered("GET", f"/chats/{message['chat_id']}")
            # One that came late from before the chat was removed does not bring it back.
            if answer.status_code == 200 and answer.json()["cleared_seq"] < message["seq"]:
                self.keep_chat(answer.json())
        self.keep_message(message)

    def _on_message_updated(self, message: dict[str, Any]) -> None:
        # Unknown is only what was deleted or cleared here.
        if message["id"] in self.messages.get(message["chat_id"], {}):
            self.keep_message(message)

    def _on_message_deleted(self, data: dict[str, Any]) -> None:
        for message_id in data["message_ids"]:
            self.drop_message(data["chat_id"], message_id)

    def _on_message_status(self, data: dict[str, Any]) -> None:
        for message in self.messages.get(data["chat_id"], {}).values():
            is_meant = message["sender_id"] == self.person.id and message["id"] <= data["up_to_message_id"]
            if is_meant and _RANK[message["status"]] < _RANK[data["status"]]:
                message["status"] = data["status"]

    def _on_read_receipt(self, data: dict[str, Any]) -> None:
        if data["user_id"] == self.person.id and data["chat_id"] in self.chats:
            self._keep_mark(data["chat_id"], data["message_id"], data["seq"])

    def _on_unread(self, data: dict[str, Any]) -> None:
        chat = self.chats.get(data["chat_id"])
        _, newest = self.unread.get(data["chat_id"], (0, 0))
        # One that is older came late, from another process.
        if chat is not None and data["revision"] >= max(newest, chat["revision"]):
            self.unread[chat["id"]] = (data["unread_count"], data["revision"])
            chat["unread_count"] = data["unread_count"]

    def _on_chat_updated(self, chat: dict[str, Any]) -> None:
        self.keep_chat(chat)

    def _on_chat_removed(self, data: dict[str, Any]) -> None:
        chat_id, revision = data["chat_id"], data["revision"]
        self.removed[chat_id] = max(revision, self.removed.get(chat_id, 0))
        if chat_id in self.chats and self.chats[chat_id]["revision"] > revision:
            # The person is back already; what happened in between was not told.
            self.reload(chat_id)
        else:
            self._forget(chat_id)
