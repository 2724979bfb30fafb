"""People in every role towards a group, a channel and a direct chat."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.factories import run
from tests.files import tus
from tests.files.places import make_ready, uploaded
from tests.people import Person

People = Callable[[int], list[Person]]
Outcome = int | str
"""A status of success, or the `code` of the refusal, which stands for one status."""

SIGNED_OUT: dict[str, Outcome] = {"anonymous": "unauthenticated", "revoked": "session_revoked"}
ROLES = ("anonymous", "stranger", "member", "admin", "owner", "former", "blocked", "revoked")
HERE = ("owner", "admin", "member", "blocked")


@dataclass
class World:
    """A group and a channel of an owner; whom each role addresses; and a direct chat whose one side blocks the other.

    For the blocked the chat is that direct chat, and the person addressed is who blocks them.
    """

    callers: dict[str, Person]
    owner: Person
    peer: Person
    bystander: Person
    group: int
    channel: int
    direct: int

    def chat(self, role: str) -> int:
        """The chat that a role tries to use."""
        return self.direct if role == "blocked" else self.group

    def other(self, role: str) -> Person:
        """The person whom a role addresses."""
        return self.peer if role == "blocked" else self.bystander

    def with_bystander(self, body: Any) -> Any:
        """Sees to it that the person whom most roles address is in the group, and gives the body back."""
        self.owner.post(f"/chats/{self.group}/members", {"user_ids": [self.bystander.id]})
        return body

    def message(self, role: str) -> int:
        """A message in the chat of a role."""
        teller = self.peer if role == "blocked" else self.owner
        sent: int = teller.send(self.chat(role), "hello")["id"]
        return sent

    def file(self, role: str) -> str:
        """A file that was sent to the chat of a role, by the same person."""
        teller = self.peer if role == "blocked" else self.owner
        file_id: str = uploaded(teller, b"hello")["id"]
        make_ready(file_id)
        teller.post("/messages", {"chat_id": self.chat(role), "file_id": file_id})
        return file_id

    def upload(self) -> str:
        """An upload of the owner that is not finished."""
        return tus.begun(self.owner, 10).rpartition("/")[2]

    def call(self, role: str, is_answered: bool = False) -> int:
        """A call that the owner makes to the member, and to the blocked the one who blocks them."""
        self.hung_up(None)
        caller, callee = (self.peer, "blocked") if role == "blocked" else (self.owner, "member")
        start = {"user_id": self.callers[callee].id, "call_type": "audio"}
        call_id: int = caller.post("/calls/start", start)["id"]
        if is_answered:
            self.callers[callee].post(f"/calls/{call_id}/answer")
        return call_id

    def hung_up(self, body: Any) -> Any:
        """Ends all calls of these people, and gives the body back."""
        for person in (*self.callers.values(), self.peer):
            if not person.access_token:
                continue
            run(
                "WITH gone AS (UPDATE call_participants SET left_at = now() WHERE user_id = :id AND left_at IS NULL"
                " RETURNING call_id) UPDATE calls SET state = 'ended', end_reason = 'hangup', ended_at = now()"
                " WHERE id IN (SELECT call_id FROM gone) AND state <> 'ended'",
                id=person.id,
            )
            run(
                "UPDATE call_participants p SET left_at = now() FROM calls c"
                " WHERE c.id = p.call_id AND c.state = 'ended' AND p.left_at IS NULL"
                " AND :id IN (c.caller_id, c.callee_id)",
                id=person.id,
            )
        return body


def made_world(people: People) -> World:
    """New people in their roles; the former member has left, the revoked one is a member who signed out."""
    anonymous, stranger, member, admin, owner, former, blocked, revoked, peer, bystander = people(10)
    anonymous.access_token = ""
    group = owner.group(member, admin, former, revoked)
    body = {"type": "channel", "name": "News", "member_ids": [member.id, admin.id, former.id, revoked.id]}
    channel = owner.post("/chats", body)["id"]
    for chat_id in (group, channel):
        assert owner.call("PATCH", f"/chats/{chat_id}/members/{admin.id}", {"role": "admin"}).status_code == 200
    direct = blocked.direct_chat(peer)
    run("INSERT INTO blocks (user_id, blocked_id) VALUES (:peer, :blocked)", peer=peer.id, blocked=blocked.id)
    leave(former, group, channel)
    revoked.post("/auth/logout", status=204)
    callers = dict(zip(ROLES, (anonymous, stranger, member, admin, owner, former, blocked, revoked), strict=True))
    return World(callers, owner, peer, bystander, group, channel, direct)


def leave(person: Person, *chat_ids: int) -> None:
    """Ends memberships as leaving does."""
    for chat_id in chat_ids:
        run(
            "UPDATE chat_members SET left_at = now(), revision = next_message_id() WHERE chat_id = :c AND user_id = :u",
            c=chat_id,
            u=person.id,
        )
        run("UPDATE chats SET members_revision = members_revision + 1 WHERE id = :c", c=chat_id)
