"""What people do with chats, each as their client shows the world to them.

`elsewhere` is another device of the person: what it does the client is not answered, but told or has by catching up.
"""

from __future__ import annotations

import secrets

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from tests.convergence.stage import Stage, step, which, who, yes_or_no

# More would leave each with too few messages.
_MOST_CHATS = 6
_SHARED = ("group", "channel")


class Gathering(Stage):
    """Steps with chats."""

    @precondition(lambda self: len(self.known_chats) < _MOST_CHATS)
    @rule(
        person=who,
        others=st.lists(who, min_size=1, max_size=3, unique=True),
        kind=st.sampled_from(_SHARED),
        is_public=yes_or_no,
    )
    def make(self, person: int, others: list[int], kind: str, is_public: bool) -> None:
        """A new group or channel; a public one has a username."""
        client = self.client(person)
        members = [self.clients[other].person.id for other in others]
        made = client.call("POST", "/chats", {"type": kind, "name": "Friends", "member_ids": members})
        assert made is not None
        self.note_chat(client, made.json())
        if is_public:
            change = {"username": f"friends_{secrets.token_hex(6)}"}
            changed = client.call("PUT", f"/chats/{made.json()['id']}", change)
            assert changed is not None
            client.keep_chat(changed.json())

    @step(person=who, other=who)
    def open_direct_chat(self, person: int, other: int) -> None:
        """Opens a direct chat, new or old; with oneself Saved Messages."""
        client = self.client(person)
        made = client.call("POST", "/chats", {"type": "direct", "user_id": self.clients[other].person.id})
        assert made is not None
        self.note_chat(client, made.json())

    @step(person=who, chat=which, other=who)
    def add(self, person: int, chat: int, other: int) -> None:
        """Adds somebody."""
        client = self.client(person)
        chat_id = self.chat_of(client, chat, *_SHARED)
        if chat_id is not None:
            body = {"user_ids": [self.clients[other].person.id]}
            self.keep(client, client.call("POST", f"/chats/{chat_id}/members", body))

    @step(person=who, chat=which, other=who)
    def remove(self, person: int, chat: int, other: int) -> None:
        """Removes somebody."""
        client = self.client(person)
        chat_id = self.chat_of(client, chat, *_SHARED)
        if chat_id is not None:
            client.call("DELETE", f"/chats/{chat_id}/members/{self.clients[other].person.id}")

    @step(person=who, chat=which, elsewhere=yes_or_no)
    def leave(self, person: int, chat: int, elsewhere: bool) -> None:
        """Leaves; an owner only as the last one, which ends the chat."""
        client = self.client(person)
        chat_id = self.chat_of(client, chat, *_SHARED)
        if chat_id is not None:
            left = client.call("POST", f"/chats/{chat_id}/leave")
            if left is not None and not elsewhere:
                client.forget_own(chat_id)

    @step(person=who, chat=which)
    def join(self, person: int, chat: int) -> None:
        """Joins a chat, if it is public."""
        client = self.client(person)
        chat_id = self.known_chats[chat % len(self.known_chats)]
        self.keep(client, client.call("POST", f"/chats/{chat_id}/join"))

    @step(person=who, chat=which, other=who, role=st.sampled_from(["owner", "admin", "member"]))
    def give_role(self, person: int, chat: int, other: int, role: str) -> None:
        """Gives somebody a role; the answer has no Chat, the event has."""
        client = self.client(person)
        chat_id = self.chat_of(client, chat, *_SHARED)
        if chat_id is not None:
            client.call("PATCH", f"/chats/{chat_id}/members/{self.clients[other].person.id}", {"role": role})

    @step(person=who, chat=which, other=who)
    def hand_over(self, person: int, chat: int, other: int) -> None:
        """Hands a chat that one owns over to somebody else."""
        client = self.client(person)
        owned = sorted(key for key, held in client.chats.items() if held["role"] == "owner" and key in self.known_chats)
        if owned:
            path = f"/chats/{owned[chat % len(owned)]}/members/{self.clients[other].person.id}"
            client.call("PATCH", path, {"role": "owner"})

    @step(person=who, chat=which)
    def rename(self, person: int, chat: int) -> None:
        """Gives a chat a new name."""
        client = self.client(person)
        chat_id = self.chat_of(client, chat, *_SHARED)
        if chat_id is not None:
            name = f"Friends {next(self.numbers)}"
            self.keep(client, client.call("PUT", f"/chats/{chat_id}", {"name": name}))

    @step(person=who, chat=which, what=st.sampled_from(["pinned", "muted"]), value=yes_or_no, elsewhere=yes_or_no)
    def set_own(self, person: int, chat: int, what: str, value: bool, elsewhere: bool) -> None:
        """Pins or mutes a chat, or ends that."""
        client = self.client(person)
        chat_id = self.chat_of(client, chat)
        if chat_id is not None:
            path = {"pinned": "pin", "muted": "mute"}[what]
            answer = client.call("POST", f"/chats/{chat_id}/{path}", {what: value})
            if not elsewhere:
                self.keep(client, answer)

    @step(person=who, chat=which, both=yes_or_no)
    def clear_history(self, person: int, chat: int, both: bool) -> None:
        """Clears a history, for oneself or, in a direct chat, for both."""
        client = self.client(person)
        chat_id = self.chat_of(client, chat)
        if chat_id is not None:
            query = "?for_everyone=true" if both and client.chats[chat_id]["type"] == "direct" else ""
            if client.call("DELETE", f"/chats/{chat_id}/history{query}") is not None:
                client.reload(chat_id)

    @step(person=who, chat=which, both=yes_or_no)
    def delete_chat(self, person: int, chat: int, both: bool) -> None:
        """Deletes a direct chat, for oneself or for both, or a group that one owns."""
        client = self.client(person)
        chat_id = self.chat_of(client, chat)
        if chat_id is not None:
            query = "?for_everyone=true" if both else ""
            if client.call("DELETE", f"/chats/{chat_id}{query}") is not None:
                client.forget_own(chat_id)
