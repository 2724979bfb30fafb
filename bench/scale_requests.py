"""Times requests one by one over a keep-alive connection, and beside each its own statements by themselves.

Run with the port, the number of repetitions and the path of a Scene; prints milliseconds by action, as Times.
"""

from __future__ import annotations

import http.client
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypedDict
from uuid import uuid4

from app.chats.queries import views
from app.infra.db import reading
from app.messages.queries import Send, send_batch
from app.sync import page_queries
from app.web.input import LARGEST_ID
from bench.scale_fill import Hall, Scene

_LIST_PAGE, _SYNC_PAGE = 50, 500
CHANGED = 5


class Times(TypedDict):
    """Milliseconds of each repetition."""

    request: list[float]
    alone: list[float]
    """The same statements in this process, without the API."""


class Door:
    """The API."""

    def __init__(self, port: int) -> None:
        """Connects."""
        self._connection = http.client.HTTPConnection("127.0.0.1", port)

    def ask(self, method: str, path: str, token: str, body: Any = None) -> Any:
        """One request: its JSON. Raises RuntimeError where it is refused."""
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        content = None if body is None else json.dumps(body)
        self._connection.request(method, f"/api{path}", content, headers)
        answer = self._connection.getresponse()
        text = answer.read()
        if answer.status >= 400:
            raise RuntimeError(f"{method} {path}: {answer.status} {text[:500]!r}")
        return json.loads(text) if text else None


class _Requests:
    """All actions on one scene."""

    def __init__(self, door: Door, scene: Scene) -> None:
        self._ask = door.ask
        self._scene = scene
        self._last_page = ""
        self._last_position: views.ListPosition | None = None
        page = self._list("")
        while page["next_cursor"]:
            last = page["items"][-1]
            self._last_position = views.ListPosition(last["is_pinned"], last["last_message"]["id"], last["id"])
            self._last_page = f"?cursor={page['next_cursor']}"
            page = self._list(self._last_page)
        self._cursor = self._snapshot()
        changed = list(scene["friends"])[:CHANGED]
        sent = [self.send(int(chat), scene["friends"][chat]) for chat in changed]
        # Where the statements alone begin; what a cursor holds is the application's own business.
        self._after = min(message["revision"] for message in sent) - 1

    def actions(self) -> dict[str, tuple[Callable[[], object], Callable[[], object]]]:
        """Each action over HTTP and as its statements alone."""
        found: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
            "list, first page": (lambda: self._list(""), lambda: self._list_alone(None)),
            "list, last page": (
                lambda: self._list(self._last_page),
                lambda: self._list_alone(self._last_position),
            ),
            "sync, snapshot, all pages": (self._snapshot, self._snapshot_alone),
            f"sync, {CHANGED} changed chats": (self._sync, self._sync_alone),
        }
        for hall in self._scene["halls"]:
            found[f"send to {hall['members']:,} members"] = (
                lambda hall=hall: self.send(hall["chat"], hall["token"]),  # type: ignore[misc]
                lambda hall=hall: _send_alone(hall),  # type: ignore[misc]
            )
        return found

    def deletions(self, hall: Hall, repeat: int) -> list[float]:
        """Milliseconds of deleting a message for everyone."""
        found = []
        for _ in range(1 + repeat):
            message = self.send(hall["chat"], hall["token"])
            path = f"/messages/{message['id']}?for=everyone"
            found.append(_timed(lambda path=path: self._ask("DELETE", path, hall["token"])))  # type: ignore[misc]
        return found[1:]

    def send(self, chat: int, token: str) -> Any:
        """Sends a message."""
        return self._ask("POST", "/messages", token, {"chat_id": chat, "text": "Hello", "client_id": str(uuid4())})

    def _list(self, query: str) -> Any:
        return self._ask("GET", f"/chats{query}", self._scene["token"])

    def _snapshot(self) -> str:
        page = self._ask("GET", "/sync", self._scene["token"])
        while page["has_more"]:
            page = self._ask("GET", f"/sync?cursor={page['next_cursor']}", self._scene["token"])
        return str(page["next_cursor"])

    def _sync(self) -> None:
        page = self._ask("GET", f"/sync?cursor={self._cursor}", self._scene["token"])
        if len(page["chats"]) != CHANGED or len(page["messages"]) != CHANGED:
            raise RuntimeError(f"{len(page['chats'])} chats and {len(page['messages'])} messages instead of {CHANGED}")

    def _list_alone(self, after: views.ListPosition | None) -> list[views.Row]:
        with reading() as unit:
            return views.list_chats(unit, self._scene["busy"], None, False, after, _LIST_PAGE + 1)

    def _snapshot_alone(self) -> None:
        after = 0
        with reading() as unit:
            while True:
                page = page_queries.page(unit, self._scene["busy"], after, 0, _SYNC_PAGE + 1, LARGEST_ID)
                if len(page.chats) <= _SYNC_PAGE:
                    return
                after = page.chats[_SYNC_PAGE - 1].revision

    def _sync_alone(self) -> None:
        with reading() as unit:
            page_queries.page(unit, self._scene["busy"], self._after, _SYNC_PAGE + 1, _SYNC_PAGE + 1, self._after)


def _send_alone(hall: Hall) -> None:
    send_batch([Send(hall["chat"], hall["owner"], None, str(uuid4()), b"hash", "text", "Hello", None)])


def _timed(act: Callable[[], object]) -> float:
    begun = time.perf_counter()
    act()
    return (time.perf_counter() - begun) * 1e3


def _main(port: int, repeat: int, scene: Scene) -> dict[str, Times]:
    requests = _Requests(Door(port), scene)
    found: dict[str, Times] = {}
    for name, (act, alone) in requests.actions().items():
        for warm_up in (act, alone):
            warm_up()
        # Turn by turn, so that both meet the same moments of the machine.
        pairs = [(_timed(act), _timed(alone)) for _ in range(repeat)]
        found[name] = {"request": [pair[0] for pair in pairs], "alone": [pair[1] for pair in pairs]}
    for hall in scene["halls"]:
        found[f"delete among {hall['members']:,}"] = {"request": requests.deletions(hall, repeat), "alone": []}
    return found


if __name__ == "__main__":
    json.dump(_main(int(sys.argv[1]), int(sys.argv[2]), json.loads(Path(sys.argv[3]).read_text())), sys.stdout)
