"""Deleting: for oneself or for everyone; only a tombstone stays, and lists and read marks agree."""

from __future__ import annotations

import pytest

from app.messages import unread
from tests.chats.membership import change
from tests.factories import run, scalar
from tests.messages.deleting import assert_counts_are_right, delete, texts
from tests.messages.scenes import People, cast, give_role
from tests.people import Person

IN_A_GROUP = {"sender": 204, "owner": 204, "admin": 204, "member": 403, "former": 404, "stranger": 404}


def last_text(person: Person, chat_id: int) -> str | None:
    """The last message as the chat and the list of chats show it."""
    chats = [person.get(f"/chats/{chat_id}")]
    chats += [chat for chat in person.get("/chats")["items"] if chat["id"] == chat_id]
    shown = {chat["last_message"] and chat["last_message"]["text"] for chat in chats}
    assert (len(chats), len(shown)) == (2, 1)
    text: str | None = shown.pop()
    return text


@pytest.mark.parametrize(
    ("kind", "outcomes"),
    [("group", IN_A_GROUP), ("channel", IN_A_GROUP), ("direct", {"sender": 204, "peer": 204, "stranger": 404})],
)
def test_who_deletes_for_everyone(people: People, kind: str, outcomes: dict[str, int]) -> None:
    chat_id, roles = cast(people, kind)
    for role, outcome in outcomes.items():
        message_id = roles["sender"].send(chat_id, "words")["id"]
        assert delete(roles[role], message_id) == outcome, role
        left = roles["sender"].call("GET", f"/messages/{message_id}").status_code
        assert left == (404 if outcome == 204 else 200), role


@pytest.mark.parametrize("kind", ["group", "channel", "direct"])
def test_every_member_deletes_for_oneself_only(people: People, kind: str) -> None:
    chat_id, roles = cast(people, kind)
    message_id = roles["sender"].send(chat_id, "words")["id"]
    present = {role for role in roles if role not in ("former", "stranger")}
    for role in sorted(roles):
        assert delete(roles[role], message_id, "me") == (204 if role in present else 404), role
        present.discard(role)
        seen = {other for other in present if roles[other].call("GET", f"/messages/{message_id}").status_code == 200}
        assert seen == present
    assert scalar("SELECT text FROM messages WHERE id = :id", id=message_id) == "words"


def test_without_more_words_it_is_for_oneself(people: People) -> None:
    ada, bob = people(2)
    chat_id = ada.direct_chat(bob)
    message_id = ada.send(chat_id, "words")["id"]
    assert ada.call("DELETE", f"/messages/{message_id}").status_code == 204
    assert (texts(ada, chat_id), texts(bob, chat_id)) == ([], ["words"])


@pytest.mark.parametrize("query", ["for=all", "for=", "whom=me", "for=me&for=everyone"])
def test_a_bad_query_deletes_nothing(people: People, query: str) -> None:
    (ada,) = people(1)
    chat_id = ada.direct_chat(ada)
    message_id = ada.send(chat_id, "words")["id"]
    assert ada.call("DELETE", f"/messages/{message_id}?{query}").status_code == 422
    assert texts(ada, chat_id) == ["words"]


def test_only_a_tombstone_stays(people: People) -> None:
    ada, bob = people(2)
    chat_id = ada.direct_chat(bob)
    first = ada.send(chat_id, "first")
    (secret,) = bob.post(f"/messages/{first['id']}/forward", {"chat_ids": [chat_id]})["items"]
    run(
        "UPDATE messages SET reply_to_id = 1, file_id = gen_random_uuid(), service = '{}' WHERE id = :id",
        id=secret["id"],
    )
    assert delete(bob, secret["id"]) == 204
    left = scalar(
        """SELECT num_nonnulls(text, file_id, reply_to_id, forwarded_from_user_id, service) FROM messages
           WHERE id = :id AND deleted_at IS NOT NULL AND revision > id AND sender_id = :bob AND seq = 2""",
        id=secret["id"],
        bob=bob.id,
    )
    assert left == 0


def test_a_reply_keeps_pointing_to_what_was_deleted_and_nobody_replies_to_it_any_more(people: People) -> None:
    ada, bob = people(2)
    chat_id = ada.direct_chat(bob)
    question = ada.send(chat_id, "question")["id"]
    answer = bob.send(chat_id, "answer", reply_to_id=question)
    assert delete(ada, question) == 204
    assert ada.get(f"/messages/{answer['id']}")["reply_to_id"] == question
    late = ada.call("POST", "/messages", {"chat_id": chat_id, "text": "late", "reply_to_id": question})
    assert late.status_code == 422


def test_what_was_deleted_for_oneself_can_still_be_deleted_for_everyone(people: People) -> None:
    ada, bob = people(2)
    chat_id = ada.direct_chat(bob)
    message_id = ada.send(chat_id, "words")["id"]
    assert [delete(ada, message_id, "me"), delete(ada, message_id)] == [204, 204]
    assert texts(bob, chat_id) == []


def test_service_messages_leave_no_data_and_no_count_behind(people: People) -> None:
    ada, bob = people(2)
    chat_id = ada.group(bob)
    assert change(ada, chat_id, name="Another name").status_code == 200
    (notice,) = ada.get(f"/chats/{chat_id}/messages")["items"]
    message_id = notice["id"]
    assert notice["service"]["action"]
    unread.fan_out_all([chat_id])
    assert delete(bob, message_id) == 403
    assert delete(ada, message_id) == 204
    assert scalar("SELECT service FROM messages WHERE id = :id", id=message_id) is None
    assert bob.get(f"/chats/{chat_id}")["unread_count"] == 0
    assert_counts_are_right(chat_id)


def test_a_service_message_is_nobodys_own_and_only_the_owner_and_admins_delete_it(people: People) -> None:
    ada, bob, eve = people(3)
    chat_id = ada.group(bob, eve)
    run("UPDATE chats SET username = :name WHERE id = :c", name=f"public_{chat_id}", c=chat_id)
    assert bob.call("POST", f"/chats/{chat_id}/leave").status_code == 204
    bob.post(f"/chats/{chat_id}/join")
    notices = [message["id"] for message in eve.get(f"/chats/{chat_id}/messages")["items"]]
    assert scalar("SELECT sender_id FROM messages WHERE id = :id", id=notices[0]) == bob.id
    assert [delete(person, notices[0]) for person in (bob, eve, ada)] == [403, 403, 204]
    give_role(chat_id, eve, "admin")
    assert delete(eve, notices[1]) == 204
    direct = ada.direct_chat(bob)
    notice = ada.send(direct, "x")["id"]
    run("UPDATE messages SET message_type = 'service' WHERE id = :id", id=notice)
    assert [delete(person, notice) for person in (ada, bob)] == [403, 403]
    assert delete(ada, notice, "me") == 204


def test_the_last_message_shown_is_the_newest_that_the_viewer_sees(people: People) -> None:
    ada, bob = people(2)
    chat_id = ada.direct_chat(bob)
    first, second, third = (ada.send(chat_id, text)["id"] for text in ("first", "second", "third"))
    assert delete(ada, third) == 204
    assert delete(bob, second, "me") == 204
    assert (last_text(ada, chat_id), last_text(bob, chat_id)) == ("second", "first")
    assert ada.get(f"/chats/{chat_id}")["last_seq"] == 3
    assert delete(ada, first) == 204
    assert (last_text(ada, chat_id), last_text(bob, chat_id)) == ("second", None)
    assert ada.send(chat_id, "fourth")["seq"] == 4
    assert (last_text(ada, chat_id), last_text(bob, chat_id)) == ("fourth", "fourth")


def test_what_a_member_may_not_see_is_never_the_last_message(people: People) -> None:
    ada, bob = people(2)
    chat_id = ada.group(bob)
    for text in ("before", "after"):
        last = ada.send(chat_id, text)["id"]
    run("UPDATE user_chat_states SET cleared_seq = 1 WHERE user_id = :u AND chat_id = :c", u=ada.id, c=chat_id)
    run("UPDATE chat_members SET history_from_seq = 1 WHERE user_id = :u AND chat_id = :c", u=bob.id, c=chat_id)
    assert delete(ada, last) == 204
    assert (last_text(ada, chat_id), last_text(bob, chat_id)) == (None, None)


def test_history_leaves_deleted_messages_out_and_still_finds_their_place(people: People) -> None:
    ada, bob = people(2)
    chat_id = ada.direct_chat(bob)
    ids = [ada.send(chat_id, str(number))["id"] for number in range(1, 8)]
    assert delete(ada, ids[3]) == 204
    assert delete(bob, ids[4], "me") == 204
    path = f"/chats/{chat_id}/messages"
    pages = {
        "all": bob.get(path),
        "before": bob.get(path, before=ids[3], limit=2),
        "after": bob.get(path, after=ids[3], limit=2),
        "around": bob.get(path, around=ids[3], limit=4),
    }
    assert {name: [message["text"] for message in page["items"]] for name, page in pages.items()} == {
        "all": ["7", "6", "3", "2", "1"],
        "before": ["3", "2"],
        "after": ["7", "6"],
        "around": ["7", "6", "3", "2"],
    }


def test_read_marks_stay_where_they_are(people: People) -> None:
    ada, bob = people(2)
    chat_id = ada.direct_chat(bob)
    first, second = ada.send(chat_id, "first")["id"], ada.send(chat_id, "second")["id"]
    bob.post(f"/chats/{chat_id}/read")
    assert delete(ada, second) == 204
    chat = bob.get(f"/chats/{chat_id}")
    assert (chat["last_read_seq"], chat["last_read_message_id"], chat["unread_count"]) == (2, second, 0)
    assert bob.post(f"/chats/{chat_id}/read", {"message_id": second})["last_read_message_id"] == second
    assert first < second


def test_what_was_sent_before_somebody_came_is_not_theirs_to_delete(people: People) -> None:
    ada, bob = people(2)
    chat_id = ada.group(bob)
    message_id = ada.send(chat_id, "before")["id"]
    run(
        "UPDATE chat_members SET history_from_seq = 1, role = 'admin' WHERE user_id = :u AND chat_id = :c",
        u=bob.id,
        c=chat_id,
    )
    assert [delete(bob, message_id, whom) for whom in ("me", "everyone")] == [404, 404]
    assert bob.call("GET", f"/messages/{message_id}").status_code == 404
    assert texts(ada, chat_id) == ["before"]
