"""What people do with messages, each as their client shows the world to them.

`elsewhere` is another device of the person: what it does the client is not answered, but told or has by catching up.
"""

from __future__ import annotations

from uuid import uuid4

from hypothesis import strategies as st
from hypothesis.stateful import rule

from tests.convergence.client import Client
from tests.convergence.stage import Stage, step, which, who, yes_or_no


class Writing(Stage):
    """Steps with messages."""

    @step(
        person=who,
        chat=which,
        by_socket=yes_or_no,
        again=yes_or_no,
        elsewhere=yes_or_no,
        reply_to=st.one_of(st.none(), which),
    )
    def send(self, person: int, chat: int, by_socket: bool, again: bool, elsewhere: bool, reply_to: int | None) -> None:
        """Sends a message, perhaps as a reply, perhaps twice with the same client_id."""
        client = self.client(person)
        chat_id = self.chat_of(client, chat)
        if chat_id is not None:
            held = sorted(client.messages[chat_id])
            reply_to_id = held[reply_to % len(held)] if held and reply_to is not None else None
            self.send_to(client, chat_id, by_socket, again, elsewhere, reply_to_id)

    def send_to(
        self,
        client: Client,
        chat_id: int,
        by_socket: bool = True,
        again: bool = False,
        elsewhere: bool = False,
        reply_to_id: int | None = None,
    ) -> None:
        """Sends words of their own to a chat."""
        body = {"chat_id": chat_id, "text": f"words {next(self.numbers)}", "client_id": str(uuid4())}
        if reply_to_id is not None:
            body["reply_to_id"] = reply_to_id
        for _ in range(2 if again else 1):
            if by_socket and not elsewhere and client.socket is not None:
                sent = client.ask("message", body)
            else:
                # 422: what it replies to is deleted, which the client may not know yet.
                answer = client.call("POST", "/messages", body, refusals=(403, 404, 409, 422))
                sent = None if answer is None else answer.json()
            if sent is not None and not elsewhere:
                client.keep_message(sent)

    @rule(people=st.lists(who, min_size=2, max_size=6), chat=which)
    def talk(self, people: list[int], chat: int) -> None:
        """People send in turn to the same chat, over whatever they have."""
        chat_id = self.known_chats[chat % len(self.known_chats)]
        for person in people:
            client = self.client(person)
            if chat_id in client.chats:
                self.send_to(client, chat_id)

    @step(person=who, chat=which, message=which, elsewhere=yes_or_no)
    def edit(self, person: int, chat: int, message: int, elsewhere: bool) -> None:
        """Edits one of one's own messages."""
        client = self.client(person)
        found = self.message_of(client, chat, message, own=True)
        if found is not None:
            edited = client.call("PUT", f"/messages/{found['id']}", {"text": f"other words {next(self.numbers)}"})
            if edited is not None and not elsewhere:
                client.keep_message(edited.json())

    @step(person=who, chat=which, message=which, everyone=yes_or_no, elsewhere=yes_or_no)
    def delete(self, person: int, chat: int, message: int, everyone: bool, elsewhere: bool) -> None:
        """Deletes a message that one sees."""
        client = self.client(person)
        found = self.message_of(client, chat, message)
        if found is not None:
            scope = "everyone" if everyone else "me"
            deleted = client.call("DELETE", f"/messages/{found['id']}?for={scope}")
            if deleted is not None and not elsewhere:
                client.drop_message(found["chat_id"], found["id"])

    @step(person=who, chat=which, message=which, to=st.lists(which, min_size=1, max_size=3), again=yes_or_no)
    def forward(self, person: int, chat: int, message: int, to: list[int], again: bool) -> None:
        """Forwards a message that one sees to some of one's chats, perhaps twice with the same client_id."""
        client = self.client(person)
        found = self.message_of(client, chat, message)
        chat_ids = {self.chat_of(client, number) for number in to}
        if found is None or None in chat_ids:
            return
        body = {"chat_ids": sorted(chat_ids, key=str), "client_id": str(uuid4())}
        for _ in range(2 if again else 1):
            answer = client.call("POST", f"/messages/{found['id']}/forward", body)
            for sent in () if answer is None else answer.json()["items"]:
                client.keep_message(sent)

    @step(
        person=who, chat=which, message=which, all_of_it=yes_or_no, way=st.sampled_from(["REST", "socket", "elsewhere"])
    )
    def read(self, person: int, chat: int, message: int, all_of_it: bool, way: str) -> None:
        """Reads up to a message, or all."""
        client = self.client(person)
        found = self.message_of(client, chat, message)
        if found is None:
            return
        chat_id = found["chat_id"]
        if way == "socket" and client.socket is not None:
            state = client.ask("read_receipt", {"chat_id": chat_id, "message_id": found["id"]})
        else:
            answer = client.call("POST", f"/chats/{chat_id}/read", {} if all_of_it else {"message_id": found["id"]})
            state = None if answer is None else answer.json()
        if state is not None and way != "elsewhere":
            client.keep_read(chat_id, state)

    @step(person=who, chat=which, message=which)
    def confirm_delivery(self, person: int, chat: int, message: int) -> None:
        """Tells that everything up to a message has arrived."""
        client = self.client(person)
        found = self.message_of(client, chat, message)
        if found is not None and client.socket is not None:
            client.ask("delivered", {"chat_id": found["chat_id"], "message_id": found["id"]})
