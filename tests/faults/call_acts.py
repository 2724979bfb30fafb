"""What is done to calls, each ready to happen: a pair or a group of people, and how the call stood before."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.calls.scenes import make_overdue, ring, talk
from tests.people import Person

Folk = Callable[[int], list[Person]]


@dataclass
class Act:
    """One transition: `who` posts to `path`; `call_id` is that of the call before, if there is one."""

    name: str
    who: Person
    other: Person
    path: str
    body: dict[str, Any]
    chat_id: int
    call_id: int | None
    after: str
    """How it stands then: the state, or the reason of the end."""

    def do(self) -> Any:
        """Does it, over REST: the answer's JSON, whatever the status."""
        return self.who.call("POST", self.path, self.body).json()


def start_body(callee: Person) -> dict[str, Any]:
    return {"user_id": callee.id, "call_type": "audio"}


def acts_of_two(folk: Folk) -> list[Act]:
    """Each transition that an API process makes of a call of two."""
    return [
        _ringing(folk),
        _busy(folk),
        _after_missed(folk),
        _of("answer", folk, ring_id, by_callee=True, path="answer", after="active"),
        _of("decline", folk, ring_id, by_callee=True, path="end", after="declined"),
        _of("cancel", folk, ring_id, by_callee=False, path="end", after="cancelled"),
        _of("hang up", folk, talk, by_callee=True, path="end", after="hangup"),
    ]


def ring_id(caller: Person, callee: Person) -> int:
    call_id: int = ring(caller, callee)["id"]
    return call_id


def _ringing(folk: Folk) -> Act:
    ada, bob = folk(2)
    return Act("ring", ada, bob, "/calls/start", start_body(bob), ada.direct_chat(bob), None, "ringing")


def _busy(folk: Folk) -> Act:
    ada, bob, eve = folk(3)
    talk(bob, eve)
    return Act("busy", ada, bob, "/calls/start", start_body(bob), ada.direct_chat(bob), None, "busy")


def _after_missed(folk: Folk) -> Act:
    """Calling somebody who is still rung by a call that is overdue, and that no sweep has ended."""
    ada, bob = folk(2)
    call = ring(ada, bob)
    make_overdue(call["id"])
    return Act("overdue", ada, bob, "/calls/start", start_body(bob), call["chat_id"], call["id"], "missed")


def _of(
    name: str, folk: Folk, begin: Callable[[Person, Person], int], *, by_callee: bool, path: str, after: str
) -> Act:
    ada, bob = folk(2)
    call_id = begin(ada, bob)
    chat_id = ada.get(f"/calls/{call_id}")["chat_id"]
    who, other = (bob, ada) if by_callee else (ada, bob)
    return Act(name, who, other, f"/calls/{call_id}/{path}", {}, chat_id, call_id, after)


def acts_of_groups(folk: Folk) -> list[Act]:
    """Each transition that an API process makes of a call of a group: it begins, somebody joins, or leaves; it ends."""
    return [_of_group(name, folk) for name in ("begin", "join", "leave", "leave last")]


def _of_group(name: str, folk: Folk) -> Act:
    ada, bob = folk(2)
    group = ada.group(bob)
    start = {"chat_id": group, "call_type": "audio"}
    if name == "begin":
        return Act(name, ada, bob, "/calls/start", start, group, None, "active")
    call_id = ada.post("/calls/start", start, 201)["id"]
    if name == "leave last":
        return Act(name, ada, bob, f"/calls/{call_id}/end", {}, group, call_id, "hangup")
    if name == "leave":
        bob.post(f"/calls/{call_id}/answer", status=200)
    path = f"/calls/{call_id}/{'answer' if name == 'join' else 'end'}"
    return Act(name, bob, ada, path, {}, group, call_id, "active")
