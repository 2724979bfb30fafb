"""What stands in for LiveKit: it takes people out of rooms as LiveKit's server API does, for who may ask for it."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import jwt

from tests.people import Person

KEY, SECRET = "key", "a secret that LiveKit knows too, of the tests"
_PATH = "/twirp/livekit.RoomService/RemoveParticipant"


class Rooms(ThreadingHTTPServer):
    """Who is in which room, by name; `asked` is what it was told to do, `is_away` has it answer like a broken proxy.

    `before_answer` happens once, when the next person was taken out and nobody knows it yet.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Door)
        self.people: set[tuple[str, str]] = set()
        self.asked: list[tuple[str, str]] = []
        self.is_away = False
        self.before_answer: Callable[[], None] | None = None

    @property
    def url(self) -> str:
        """As clients connect to it."""
        return f"ws://127.0.0.1:{self.server_address[1]}"

    def remove(self, room: str, identity: str) -> tuple[int, dict[str, str]]:
        """As LiveKit answers: the status, and the JSON."""
        self.asked.append((room, identity))
        if (room, identity) not in self.people:
            return 404, {"code": "not_found", "msg": "participant does not exist"}
        self.people.remove((room, identity))
        if self.before_answer is not None:
            self.before_answer()
            self.before_answer = None
        return 200, {}


class _Door(BaseHTTPRequestHandler):
    server: Rooms

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.server.is_away:
            self._answer(502, {})
        elif self.path != _PATH:
            self._answer(404, {"code": "bad_route", "msg": f"no handler for path {self.path}"})
        elif not self._may(asked["room"]):
            self._answer(401, {"code": "unauthenticated", "msg": "permissions denied"})
        else:
            self._answer(*self.server.remove(asked["room"], asked["identity"]))

    def _may(self, room: str) -> bool:
        """Whether the token is signed with our secret, is not over, and lets its holder manage this room."""
        try:
            token = self.headers["Authorization"].removeprefix("Bearer ")
            claims = jwt.decode(token, SECRET, algorithms=["HS256"], issuer=KEY, options={"require": ["exp"]})
        except jwt.InvalidTokenError:
            return False
        return bool(claims["video"] == {"room": room, "roomAdmin": True})

    def _answer(self, status: int, content: dict[str, str]) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@contextmanager
def running_rooms() -> Iterator[Rooms]:
    """A server of rooms."""
    with Rooms() as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        try:
            yield server
        finally:
            server.shutdown()


def group_call(starter: Person, *others: Person) -> tuple[int, int]:
    """A group and the call in it, in which all of these are."""
    group = starter.group(*others)
    call_id: int = starter.post("/calls/start", {"chat_id": group, "call_type": "video"}, 201)["id"]
    for person in others:
        person.post(f"/calls/{call_id}/answer", status=200)
    return group, call_id
