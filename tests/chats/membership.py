"""What tests of membership share: chats of all kinds, and what must hold of each at any time."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import requests

from app.infra.db import UnitOfWork, unit_of_work
from tests.factories import make_users, run, scalar
from tests.people import Person
from tests.processes import eventually
from tests.waiting import waiting_for

People = Callable[[int], list[Person]]
MakeChat = Callable[..., int]
Act = Callable[[], requests.Response]
Answer = TypeVar("Answer")


def channel(owner: Person, *others: Person) -> int:
    """The id of a new channel with these people."""
    body = {"type": "channel", "name": "News", "member_ids": [other.id for other in others]}
    chat_id: int = owner.post("/chats", body)["id"]
    return chat_id


def with_admins(make: MakeChat, owner: Person, admins: Sequence[Person], *others: Person) -> int:
    """The id of a new chat, `Person.group` or `channel`, of its owner, admins and others."""
    chat_id = make(owner, *admins, *others)
    for admin in admins:
        assert give_role(owner, chat_id, admin, "admin").status_code == 200
    return chat_id


def make_public(owner: Person, chat_id: int) -> str:
    """Gives a chat a username, so that everybody may join."""
    username = f"chat_{secrets.token_hex(8)}"
    assert change(owner, chat_id, username=username).status_code == 200
    return username


def change(person: Person, chat_id: int, **fields: Any) -> requests.Response:
    return person.call("PUT", f"/chats/{chat_id}", fields)


def add(person: Person, chat_id: int, *others: Person) -> requests.Response:
    return person.call("POST", f"/chats/{chat_id}/members", {"user_ids": [other.id for other in others]})


def give_role(person: Person, chat_id: int, other: Person, role: str) -> requests.Response:
    return person.call("PATCH", f"/chats/{chat_id}/members/{other.id}", {"role": role})


def remove(person: Person, chat_id: int, other: Person) -> requests.Response:
    return person.call("DELETE", f"/chats/{chat_id}/members/{other.id}")


def leave(person: Person, chat_id: int) -> requests.Response:
    return person.call("POST", f"/chats/{chat_id}/leave")


def join(person: Person, chat_id: int) -> requests.Response:
    return person.call("POST", f"/chats/{chat_id}/join")


def block(person: Person, other: Person) -> None:
    assert person.call("POST", f"/users/{other.id}/block").status_code == 204


def outcome(answer: requests.Response) -> int | str:
    """The status of a success, or the code of a refusal."""
    if answer.status_code < 400:
        return answer.status_code
    code: str = answer.json()["code"]
    return code


def roles(person: Person, chat_id: int) -> dict[int, str]:
    """The roles of all members as the list shows them, in its order."""
    listed = pages(person, f"/chats/{chat_id}/members", limit=100)
    return {member["user"]["id"]: member["role"] for page in listed for member in page}


def pages(person: Person, path: str, **query: Any) -> Iterator[list[Any]]:
    """The items of a list, page by page to its end."""
    page = person.get(path, **query)
    yield page["items"]
    while page["next_cursor"] is not None:
        page = person.get(path, **query, cursor=page["next_cursor"])
        yield page["items"]


def notices(person: Person, chat_id: int) -> list[dict[str, Any]]:
    """What the service messages of a chat say, oldest first, with who did it as `by`."""
    items = person.get(f"/chats/{chat_id}/messages", limit=100)["items"]
    return [
        item["service"] | {"by": item["sender_id"]} for item in reversed(items) if item["message_type"] == "service"
    ]


def assert_whole(chat_id: int) -> None:
    """The count is that of the rows, everybody present has a state, and one is the owner unless nobody is there."""
    count = scalar("SELECT member_count FROM chats WHERE id = :id", id=chat_id)
    present = "FROM chat_members m WHERE m.chat_id = :id AND m.left_at IS NULL"
    assert scalar(f"SELECT count(*) {present}", id=chat_id) == count
    assert scalar(f"SELECT count(*) {present} AND m.role = 'owner'", id=chat_id) == (1 if count else 0)
    stateless = "AND NOT EXISTS (SELECT FROM user_chat_states s WHERE s.chat_id = m.chat_id AND s.user_id = m.user_id)"
    assert scalar(f"SELECT count(*) {present} {stateless}", id=chat_id) == 0


def during(change: Callable[[UnitOfWork], object], act: Callable[[], Answer]) -> Answer:
    """The answer to an act that begins while a change is made and not committed, and that waits for that."""
    with ThreadPoolExecutor(1) as pool:
        with unit_of_work() as unit:
            change(unit)
            acting = pool.submit(act)
            eventually(lambda: acting.done() or waiting_for(unit.connection) > 0)
            assert not acting.done()
        return acting.result()


def crowd(chat_id: int, count: int) -> None:
    """Puts many people into a chat, as adding them does."""
    users = make_users(count)
    run(
        "INSERT INTO chat_members (chat_id, user_id, revision) SELECT :chat, unnest(CAST(:users AS bigint[])), 1",
        chat=chat_id,
        users=users,
    )
    run(
        "INSERT INTO user_chat_states (chat_id, user_id, revision) SELECT :chat, unnest(CAST(:users AS bigint[])), 1",
        chat=chat_id,
        users=users,
    )
    run("UPDATE chats SET member_count = member_count + :count WHERE id = :chat", chat=chat_id, count=count)
