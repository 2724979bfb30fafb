"""The client's loop in README.md, run as it stands there."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import requests
import websocket

from tests.people import Person
from tests.processes import eventually

_README = Path(__file__).parents[2] / "README.md"


def test_the_loop_catches_up_and_then_follows(people: Callable[[int], list[Person]]) -> None:
    ada, bob = people(2)
    chat_id = ada.direct_chat(bob)
    before = ada.send(chat_id, "before")
    found = re.search(r"```python\n(def run\(.*?)```", _README.read_text(), re.DOTALL)
    assert found is not None
    opened: list[websocket.WebSocket] = []

    class Recording:
        """Keeps the socket that the loop opens, so that the test can close it."""

        @staticmethod
        def create_connection(address: str) -> websocket.WebSocket:
            opened.append(websocket.create_connection(address, timeout=20))
            return opened[-1]

    names: dict[str, Any] = {"json": json, "requests": requests, "websocket": Recording}
    exec(found[1], names)
    kept: list[tuple[str, Any]] = []
    state: dict[str, str] = {}
    ended: list[str] = []

    def follow() -> None:
        try:
            names["run"](bob.url.removeprefix("http://"), bob.access_token, state, lambda *row: kept.append(row))
        except (websocket.WebSocketException, OSError) as error:
            ended.append(type(error).__name__)

    thread = threading.Thread(target=follow)
    thread.start()
    try:
        eventually(lambda: "cursor" in state)
        assert [row["last_message"] for kind, row in kept if kind == "chats"] == [before]
        after = ada.send(chat_id, "after")
        eventually(lambda: ("new_message", after) in kept)
    finally:
        bob.post("/auth/logout", status=204)
        thread.join(20)
        for socket in opened:
            socket.shutdown()
    assert not thread.is_alive()
