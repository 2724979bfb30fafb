"""Load for a Paperplane of your own, by Locust: `locust -f bench/locustfile.py --host https://chat.example.org`.

Locust is not installed with Paperplane: `pip install locust websocket-client`, in an environment of its own. The people
must exist, and be in chats: those of `make demo` by default, as many as DEMO_PEOPLE says; or, with USERS_FILE, those of
a file with a phone number and a password on each line, separated by a comma.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import time
import uuid
from pathlib import Path
from typing import Any

import websocket
from locust import HttpUser, between, task
from locust.exception import StopUser

_DEMO_PASSWORD = "paperplane-demo"
_ANSWER_SECONDS = 10.0


def _people() -> list[tuple[str, str]]:
    """Phone numbers and passwords."""
    if file := os.environ.get("USERS_FILE"):
        lines = [line.strip() for line in Path(file).read_text().splitlines() if line.strip()]
        return [(phone.strip(), password.strip()) for phone, _, password in (line.partition(",") for line in lines)]
    count = int(os.environ.get("DEMO_PEOPLE", "20"))
    return [(f"+1555{number:07d}", _DEMO_PASSWORD) for number in range(count)]


# More users of Locust than people are further devices of theirs.
_turns = itertools.cycle(_people())


class _Person(HttpUser):
    """Somebody who is signed in and knows their chats."""

    abstract = True
    wait_time = between(2, 8)

    def on_start(self) -> None:
        """Signs in; ends where that fails, or where there is no chat to write to."""
        phone, password = next(_turns)
        answer = self.client.post("/api/auth/login", json={"phone": phone, "password": password})
        if answer.status_code != 200:
            raise StopUser
        self.client.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
        # In channels only some may write.
        chats = self.client.get("/api/chats").json()["items"]
        self.chat_ids = [chat["id"] for chat in chats if chat["type"] != "channel"]
        if not self.chat_ids:
            raise StopUser
        self.cursor = self.client.get("/api/sync").json()["next_cursor"]

    def ask_for_changes(self) -> None:
        """Catches up from where the last answer ended."""
        answer = self.client.get("/api/sync", params={"cursor": self.cursor}, name="/api/sync?cursor")
        if answer.status_code == 200:
            self.cursor = answer.json()["next_cursor"]

    def new_message(self) -> dict[str, Any]:
        """A message to one of the chats."""
        return {
            "chat_id": random.choice(self.chat_ids),
            "text": f"It is {time.strftime('%X')} here.",
            "client_id": str(uuid.uuid4()),
        }


class RestPerson(_Person):
    """Somebody without a socket, who asks."""

    @task(5)
    def send(self) -> None:
        """Sends a message."""
        self.client.post("/api/messages", json=self.new_message())

    @task(5)
    def read(self) -> None:
        """Opens a chat."""
        chat_id = random.choice(self.chat_ids)
        self.client.get(f"/api/chats/{chat_id}/messages", name="/api/chats/ID/messages")
        self.client.post(f"/api/chats/{chat_id}/read", json={}, name="/api/chats/ID/read")

    @task(2)
    def list_chats(self) -> None:
        """Looks at the list of chats."""
        self.client.get("/api/chats")

    @task(2)
    def catch_up(self) -> None:
        """Asks for what has changed."""
        self.ask_for_changes()


class SocketPerson(_Person):
    """Somebody who is online over a socket, as web clients are."""

    weight = 3

    def on_start(self) -> None:
        """Signs in and opens a socket by a ticket."""
        super().on_start()
        self.socket: Any = None
        self._connect()

    def on_stop(self) -> None:
        """Closes the socket."""
        if self.socket is not None:
            self.socket.close()

    @task(5)
    def send(self) -> None:
        """Sends a message and waits for its acknowledgement, past all that comes meanwhile."""
        self._ask("message", self.new_message())

    @task(5)
    def ping(self) -> None:
        """Asks whether the server is there, and takes what has come."""
        self._ask("ping", {})

    @task(1)
    def reconnect(self) -> None:
        """Loses the socket, opens another one and catches up."""
        self.socket.close()
        self._connect()
        self.ask_for_changes()

    def _connect(self) -> None:
        ticket = self.client.post("/api/auth/ws-ticket").json()["ticket"]
        url = f"{self.host.replace('http', 'ws', 1)}/ws?token={ticket}"
        began = time.perf_counter()
        try:
            # An Origin is for browsers, and others than those allowed are refused.
            self.socket = websocket.create_connection(url, timeout=_ANSWER_SECONDS, suppress_origin=True)
            self._read_until(lambda event: event["event"] == "hello")
        except (OSError, websocket.WebSocketException) as error:
            self._tell("connect", began, error)
            raise StopUser from error
        self._tell("connect", began, None)

    def _ask(self, kind: str, data: dict[str, Any]) -> None:
        ref = str(uuid.uuid4())
        began = time.perf_counter()
        failure: Exception | None = None
        try:
            self.socket.send(json.dumps({"type": kind, "ref": ref, "data": data}))
            event = self._read_until(lambda event: event["data"].get("ref") == ref)
            if event["event"] == "error":
                failure = RuntimeError(event["data"]["code"])
        except (OSError, websocket.WebSocketException) as error:
            failure = error
        self._tell(kind, began, failure)
        if failure is not None and not isinstance(failure, RuntimeError):
            self._connect()

    def _read_until(self, is_wanted: Any) -> dict[str, Any]:
        while True:
            text = self.socket.recv()
            if not text:
                raise websocket.WebSocketConnectionClosedException("closed")
            event: dict[str, Any] = json.loads(text)
            if is_wanted(event):
                return event

    def _tell(self, name: str, began: float, error: Exception | None) -> None:
        """Shows a frame among Locust's requests."""
        self.environment.events.request.fire(
            request_type="WS",
            name=name,
            response_time=(time.perf_counter() - began) * 1000,
            response_length=0,
            exception=error,
            context={},
        )
