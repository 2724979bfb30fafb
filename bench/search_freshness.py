"""How soon a message is found: sent over HTTP, indexed by the real worker, searched for over HTTP until it is there.

Run with a Plan as JSON; prints a Freshness.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any, TypedDict
from uuid import uuid4

from app.factory import create_app
from app.infra.db import unit_of_work
from app.messages.queries import Send, send_batch
from bench.http_client import HttpClient
from bench.people import access_token, sign_in
from bench.search_fill import Scene

_POLL = 0.01
# Between two messages: by then nothing of the first is on its way any more.
_IDLE = 2.5
_JUST_NOW = 0.05
_LONGEST = 120.0
_MOST_LOST = 3


class Plan(TypedDict):
    """What to do."""

    scene: Scene
    port: int
    rounds: int


class Freshness(TypedDict):
    """Milliseconds until found, of each message."""

    idle: list[float]
    """Sent when nothing else was going on."""
    behind_another: list[float]
    """Sent just after another one, for which a job was on its way."""
    edited: list[float]
    lost: list[float]
    """Stored without a mark, as if its process or Redis had died just then: only the sweep of beat finds it."""


class _Searcher:
    """Who writes and looks for it."""

    def __init__(self, plan: Plan) -> None:
        self._user_id = plan["scene"]["searcher"]
        with unit_of_work() as unit:
            sign_in(unit, [self._user_id])
        with create_app().app_context():
            self._token = access_token(self._user_id)
        self._http = HttpClient(plan["port"])
        self._chats = plan["scene"]["chats"]
        self._number = 0

    def word(self) -> str:
        """One that nobody has ever said."""
        return f"fresh{uuid4().hex}"

    def chat(self) -> int:
        """The next one, around and around."""
        self._number += 1
        return self._chats[self._number % len(self._chats)]

    def send(self, word: str) -> int:
        """Sends a message with the word; its id."""
        self._http.post("/api/messages", self._token, json.dumps({"chat_id": self.chat(), "text": f"so {word} then"}))
        return int(self._answer(201)["id"])

    def edit(self, message_id: int, word: str) -> None:
        """Puts the word into a message."""
        self._http.put(f"/api/messages/{message_id}", self._token, json.dumps({"text": f"now {word}"}))
        self._answer(200)

    def store(self, word: str) -> None:
        """The same as `send` without a mark for any job."""
        send_batch([Send(self.chat(), self._user_id, None, str(uuid4()), b"", "text", f"so {word} then", None)])

    def until_found(self, word: str, began: float) -> float:
        """Milliseconds since `began` when the word is found in all chats. Raises RuntimeError where it never is."""
        while time.monotonic() < began + _LONGEST:
            self._http.get(f"/api/messages/search?q={word}", self._token)
            if self._answer(200)["items"]:
                return (time.monotonic() - began) * 1000
            time.sleep(_POLL)
        raise RuntimeError(f"What was sent is not found after {_LONGEST:.0f} s.")

    def _answer(self, wanted: int) -> dict[str, Any]:
        status, body = self._http.answer()
        if status != wanted:
            raise RuntimeError(f"The answer was {status}: {body[:200].decode(errors='replace')}")
        found: dict[str, Any] = json.loads(body)
        return found


def _main(plan: Plan) -> Freshness:
    searcher = _Searcher(plan)

    def timed(write: Callable[[str], object]) -> float:
        word = searcher.word()
        began = time.monotonic()
        write(word)
        return searcher.until_found(word, began)

    found: Freshness = {"idle": [], "behind_another": [], "edited": [], "lost": []}
    for _ in range(plan["rounds"]):
        time.sleep(_IDLE)
        found["idle"].append(timed(searcher.send))
        time.sleep(_IDLE)
        message_id = searcher.send(searcher.word())
        time.sleep(_JUST_NOW)
        found["behind_another"].append(timed(searcher.send))
        time.sleep(_IDLE)
        found["edited"].append(timed(lambda word, message_id=message_id: searcher.edit(message_id, word)))  # type: ignore[misc]
    found["lost"] += [timed(searcher.store) for _ in range(min(plan["rounds"], _MOST_LOST))]
    return found


if __name__ == "__main__":
    json.dump(_main(json.loads(sys.argv[1])), sys.stdout)
