"""Deleting: for oneself or for everyone; only a tombstone stays, and counts, lists and sockets agree."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import orjson
import pytest

from app.infra.db import unit_of_work
from app.infra.redis_writer import writer
from app.messages import events, queries, unread
from tests.factories import run, scalar
from tests.messages.scenes import People, cast, give_role, together
from tests.people import Person
from tests.processes import Api

IN_A_GROUP = {"sender": 204, "owner": 204, "admin": 204, "member": 403, "former": 404, "stranger": 404}


def delete(person: Person, message_id: int, whom: str = "everyone") -> int:
    return person.call("DELETE", f"/messages/{message_id}?for={whom}").status_code


def texts(person: Person, chat_id: int) -> list[str]:
    return [message["text"] for message in person.get(f"/chats/{chat_id}/messages")["items"]]


def last_text(person: Person, chat_id: int) -> str | None:
    """The last message as the chat and the list of chats show it."""
    chats = [person.get(f"/chats/{chat_id}")]
    chats += [chat for chat in person.get("/chats")["items"] if chat["id"] == chat_id]
    shown = {chat["last_message"] and chat["last_message"]["text"] for chat in chats}
    assert (len(chats), len(shown)) == (2, 1)
    text: str | None = shown.pop()
    return text


def assert_counts_are_right(chat_id: int) -> None:
    with unit_of_work() as unit:
        assert unread.recount(unit, [chat_id]) == []


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


def test_deleting_twice_is_as_good_as_once_and_told_once(people: People) -> None:
    ada, bob = people(2)
    chat_id = ada.direct_chat(bob)
    for whom in ("me", "everyone"):
        message_id = ada.send(chat_id, "words")["id"]
        with ada.socket() as socket:
            assert [delete(ada, message_id, whom) for _ in range(2)] == [204, 204]
            ada.send(chat_id, "a sign that all before has come")
            socket.next("new_message")
            told = [event["data"] for event in socket.events if event["event"] == "message_deleted"]
            assert [data["message_ids"] for data in told] == [[message_id]]
        assert delete(ada, message_id, "me") == 204


def test_what_was_deleted_for_oneself_can_still_be_deleted_for_everyone(people: People) -> None:
    ada, bob = people(2)
    chat_id = ada.direct_chat(bob)
    message_id = ada.send(chat_id, "words")["id"]
    assert [delete(ada, message_id, "me"), delete(ada, message_id)] == [204, 204]
    assert texts(bob, chat_id) == []


def test_everybody_in_the_chat_hears_of_a_deletion_with_its_revision(people: People, second_api: Api) -> None:
    ada, bob = people(2)
    chat_id = ada.direct_chat(bob)
    message_id = ada.send(chat_id, "words")["id"]
    with ada.socket() as own, bob.socket(second_api.url) as other:
        assert delete(ada, message_id) == 204
        revision = scalar("SELECT revision FROM messages WHERE id = :id", id=message_id)
        expected = {"chat_id": chat_id, "message_ids": [message_id], "revision": revision}
        assert own.next("message_deleted") == other.next("message_deleted") == expected
        assert ada.get(f"/chats/{chat_id}")["revision"] == revision


def test_deleting_for_oneself_is_told_to_ones_own_devices_only(people: People, second_api: Api) -> None:
    ada, bob = people(2)
    chat_id = ada.direct_chat(bob)
    message_id = ada.send(chat_id, "words")["id"]
    with ada.socket(second_api.url) as own, bob.socket() as other:
        assert delete(ada, message_id, "me") == 204
        assert own.next("message_deleted")["message_ids"] == [message_id]
        ada.send(chat_id, "a sign that all before has come")
        other.next("new_message")
        assert [event for event in other.events if event["event"] == "message_deleted"] == []


def test_a_deletion_that_overtakes_its_message_shows_nobody_the_words(people: People) -> None:
    ada, bob = people(2)
    chat_id = ada.group(bob)
    with bob.socket() as socket:
        send = queries.Send(chat_id, ada.id, ada.session_id, None, b"", "text", "never shown", None)
        (stored,) = queries.send_batch([send])
        assert stored.message_id is not None
        assert delete(ada, stored.message_id) == 204
        assert socket.next("message_deleted")["message_ids"] == [stored.message_id]
        after = ada.send(chat_id, "after")
        assert socket.next("new_message") == after
        assert [event["data"]["seq"] for event in socket.events if event["event"] == "new_message"] == [2]


def test_a_message_that_is_told_after_its_deletion_does_not_stay(people: People) -> None:
    ada, bob = people(2)
    chat_id = ada.group(bob)
    with bob.socket() as socket:
        send = queries.Send(chat_id, ada.id, ada.session_id, None, b"", "text", "told late", None)
        (stored,) = queries.send_batch([send])
        assert stored.message_id is not None
        late = ada.get(f"/messages/{stored.message_id}")
        assert delete(ada, stored.message_id) == 204
        socket.quiet()
        # The process that stored it comes to publish it only now.
        events.message_sent(chat_id, late["seq"], 0, orjson.dumps(late), None)
        assert writer().flush(20)
        ada.send(chat_id, "a sign that all before has come")
        socket.next("new_message", seq=2)
        told = [event["event"] for event in socket.events if event["event"] in ("new_message", "message_deleted")]
        # Where the process was too late, the room has closed the gap by itself and drops what comes.
        assert told[-2:] == ["message_deleted", "new_message"]


def test_a_gap_with_a_deleted_message_in_it_closes_without_its_words(people: People) -> None:
    ada, bob = people(2)
    chat_id = ada.group(bob)
    with bob.socket() as socket:
        ada.send(chat_id, "before")
        send = queries.Send(chat_id, ada.id, ada.session_id, None, b"", "text", "never shown", None)
        (stored,) = queries.send_batch([send])
        run("UPDATE messages SET deleted_at = now(), text = NULL WHERE id = :id", id=stored.message_id)
        ada.send(chat_id, "after")
        kinds = ("new_message", "message_deleted")
        told = [socket.until(lambda event: event["event"] in kinds) for _ in range(3)]
        assert [event["event"] for event in told] == ["new_message", "message_deleted", "new_message"]
        assert told[1]["data"]["message_ids"] == [stored.message_id]


def test_8_deletions_at_once_count_down_once_and_are_told_once(people: People, second_api: Api) -> None:
    people_of_chat = people(8)
    ada, bob = people_of_chat[:2]
    chat_id = ada.group(*people_of_chat[1:])
    for person in people_of_chat[2:]:
        run("UPDATE chat_members SET role = 'admin' WHERE chat_id = :c AND user_id = :u", c=chat_id, u=person.id)
    message_id = [ada.send(chat_id, str(number))["id"] for number in range(3)][1]
    unread.fan_out(chat_id)
    assert bob.get(f"/chats/{chat_id}")["unread_count"] == 3
    callers = [ada, *people_of_chat[2:], ada]
    for caller in callers[4:]:
        caller.url = second_api.url
    with bob.socket() as socket:
        assert together(*[lambda caller=caller: delete(caller, message_id) for caller in callers]) == [204] * 8
        ada.send(chat_id, "a sign that all before has come")
        socket.next("new_message")
        told = [event["data"] for event in socket.events if event["event"] == "message_deleted"]
        assert [data["message_ids"] for data in told] == [[message_id]]
    assert bob.get(f"/chats/{chat_id}")["unread_count"] == 3
    unread.fan_out(chat_id)
    assert_counts_are_right(chat_id)


def test_unread_counts_follow_deletions_at_once_counted_or_not_and_are_told(people: People) -> None:
    ada, bob, eve = people(3)
    chat_id = ada.group(bob, eve)
    counted = [ada.send(chat_id, str(number))["id"] for number in range(3)]
    eve.post(f"/chats/{chat_id}/read", {"message_id": counted[0]})
    unread.fan_out(chat_id)
    not_counted = ada.send(chat_id, "new")["id"]
    with bob.socket() as socket:
        assert delete(ada, counted[1]) == 204
        socket.next("unread", chat_id=chat_id, unread_count=3)
    assert [delete(ada, message_id) for message_id in (counted[0], not_counted)] == [204, 204]
    assert [p.get(f"/chats/{chat_id}")["unread_count"] for p in (ada, bob, eve)] == [0, 1, 1]
    unread.fan_out(chat_id)
    assert_counts_are_right(chat_id)
    assert [p.get(f"/chats/{chat_id}")["unread_count"] for p in (ada, bob, eve)] == [0, 1, 1]


def test_deletions_reads_sends_and_counts_at_once_leave_right_counts(people: People, second_api: Api) -> None:
    ada, bob, eve = people(3)
    chat_id = ada.group(bob, eve)
    ids = [ada.send(chat_id, str(number))["id"] for number in range(40)]
    eve.url = second_api.url

    def delete_all(step: int) -> None:
        for message_id in ids[step::3]:
            assert delete(ada, message_id) == 204

    def read_all() -> None:
        for message_id in ids[::5]:
            eve.post(f"/chats/{chat_id}/read", {"message_id": message_id})

    def send_all() -> None:
        for number in range(10):
            bob.send(chat_id, f"new {number}")

    def count_all() -> None:
        for _ in range(10):
            unread.fan_out(chat_id)

    together(lambda: delete_all(0), lambda: delete_all(1), lambda: delete_all(0), read_all, send_all, count_all)
    unread.fan_out(chat_id)
    assert_counts_are_right(chat_id)


def test_service_messages_leave_no_data_and_no_count_behind(people: People) -> None:
    ada, bob = people(2)
    chat_id = ada.group(bob)
    message_id = ada.send(chat_id, "x")["id"]
    run(
        "UPDATE messages SET message_type = 'service', text = NULL, service = '{\"a\": 1}' WHERE id = :id",
        id=message_id,
    )
    unread.fan_out(chat_id)
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


@pytest.mark.parametrize("how", ["for everyone", "for oneself", "with the history"])
@pytest.mark.parametrize("door", ["rest", "socket"])
def test_repeating_a_send_whose_message_is_gone_answers_its_tombstone_and_stores_nothing(
    people: People, how: str, door: str
) -> None:
    ada, bob = people(2)
    chat_id = ada.direct_chat(bob)
    body = {"chat_id": chat_id, "text": "words", "client_id": str(uuid4())}
    sent = ada.post("/messages", body)
    if how == "with the history":
        assert ada.call("DELETE", f"/chats/{chat_id}/history").status_code == 204
    else:
        assert delete(ada, sent["id"], "everyone" if how == "for everyone" else "me") == 204
    if door == "rest":
        again: dict[str, Any] = ada.post("/messages", body, status=200)
    else:
        with ada.socket() as socket:
            answer = socket.ask("message", body)
            assert answer["event"] == "ack"
            again = answer["data"]
    assert (again["id"], again["seq"], again["deleted"], again["text"]) == (sent["id"], 1, True, None)
    assert texts(ada, chat_id) == []
    assert scalar("SELECT last_seq FROM chats WHERE id = :c", c=chat_id) == 1


def test_repeating_a_forward_whose_message_is_gone_answers_its_tombstone(people: People) -> None:
    ada, bob = people(2)
    chat_id, saved = ada.direct_chat(bob), ada.direct_chat(ada)
    source = ada.send(chat_id, "words")["id"]
    body = {"chat_ids": [saved], "client_id": str(uuid4())}
    (sent,) = ada.post(f"/messages/{source}/forward", body, status=201)["items"]
    assert delete(ada, sent["id"], "me") == 204
    (again,) = ada.post(f"/messages/{source}/forward", body, status=200)["items"]
    assert (again["id"], again["deleted"], again["text"]) == (sent["id"], True, None)


def test_repeating_a_send_whose_message_is_stored_no_longer_is_not_found(people: People) -> None:
    ada, bob = people(2)
    chat_id = ada.direct_chat(bob)
    body = {"chat_id": chat_id, "text": "words", "client_id": str(uuid4())}
    sent = ada.post("/messages", body)
    run("DELETE FROM messages WHERE id = :id", id=sent["id"])
    answer = ada.call("POST", "/messages", body)
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert scalar("SELECT last_seq FROM chats WHERE id = :c", c=chat_id) == 1


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


def test_deletions_come_with_the_next_sync(people: People) -> None:
    ada, bob = people(2)
    chat_id = ada.direct_chat(bob)
    for_all, for_bob = ada.send(chat_id, "for all")["id"], ada.send(chat_id, "for bob")["id"]
    cursors = {"ada": ada.get("/sync")["next_cursor"], "bob": bob.get("/sync")["next_cursor"]}
    assert delete(ada, for_all) == 204
    assert delete(bob, for_bob, "me") == 204
    seen = {message["id"]: message for message in bob.get("/sync", cursor=cursors["bob"])["messages"]}
    assert (seen[for_all]["deleted"], seen[for_all]["text"]) == (True, None)
    assert (seen[for_bob]["deleted"], seen[for_bob]["text"]) == (True, None)
    hers = {message["id"]: message for message in ada.get("/sync", cursor=cursors["ada"])["messages"]}
    assert hers[for_all]["deleted"] is True
    assert for_bob not in hers
