"""Searching in messages over HTTP: who finds what, filters, pages and snippets."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from app.messages.forgetting import forget_file
from tests.factories import run
from tests.files.places import uploaded
from tests.people import Person
from tests.processes import Worker, eventually
from tests.search.scenes import index, write

People = Callable[[int], list[Person]]


def search(person: Person, **query: Any) -> list[Any]:
    """The messages of the first page."""
    return [item["message"] for item in person.get("/messages/search", **query)["items"]]


def texts(person: Person, **query: Any) -> list[str]:
    return [message["text"] for message in search(person, **query)]


def status(person: Person, **query: Any) -> int:
    return person.call("GET", "/messages/search", params=query).status_code


def test_a_message_is_found_by_all_members_and_by_nobody_else(people: People) -> None:
    ada, bob, eve = people(3)
    group = ada.group(bob)
    sent = ada.send(group, "Meet me at the Café Zürich")
    index(group)
    for person in (ada, bob):
        assert search(person, q="cafe zuri") == [sent]
        assert search(person, q="cafe zuri", chat_id=group) == [sent]
        assert search(person, q="cafe zurich bern") == []
    assert search(eve, q="cafe") == []
    assert status(eve, q="cafe", chat_id=group) == 404
    assert status(eve, q="cafe", chat_id=2**50) == 404


def test_a_message_is_found_soon_after_it_was_sent_edited_and_deleted(people: People, worker: Worker) -> None:
    ada, bob = people(2)
    chat = ada.direct_chat(bob)
    sent = ada.send(chat, "the first words")
    eventually(lambda: texts(bob, q="first") == ["the first words"])
    ada.call("PUT", f"/messages/{sent['id']}", {"text": "the second words"})
    assert texts(bob, q="first") == [], "what was edited is gone at once"
    eventually(lambda: texts(bob, q="second") == ["the second words"])
    ada.call("DELETE", f"/messages/{sent['id']}", params={"for": "everyone"})
    assert texts(bob, q="second") == [], "and what was deleted"


def test_a_file_is_found_by_its_name_until_it_is_deleted(people: People) -> None:
    ada, bob = people(2)
    chat = ada.direct_chat(bob)
    file = uploaded(ada, b"Dear diary", "Haushaltsplan 2026.txt")
    sent = ada.post("/messages", {"chat_id": chat, "text": "as promised", "file_id": file["id"]})
    index(chat)
    (found,) = bob.get("/messages/search", q="promised haushalts")["items"]
    assert found["message"]["id"] == sent["id"]
    text = found["snippet"]["text"]
    assert text == "as promised\nHaushaltsplan 2026.txt"
    spans = [(match["offset"], match["length"]) for match in found["snippet"]["matches"]]
    assert [text[offset : offset + length] for offset, length in spans] == ["promised", "Haushaltsplan"]
    assert ada.call("DELETE", f"/files/{file['id']}").status_code == 204
    forget_file(UUID(file["id"]))
    index(chat)
    assert search(bob, q="haushalts") == []
    assert texts(bob, q="promised") == ["as promised"]


def test_what_one_may_not_see_any_more_is_not_found_though_it_is_in_the_index(people: People) -> None:
    ada, bob, eve = people(3)
    group = ada.group(bob, eve)
    first, second, third = (ada.send(group, f"needle {n}") for n in ("one", "two", "three"))
    index(group)
    assert search(bob, q="needle") == [third, second, first]
    bob.call("DELETE", f"/messages/{second['id']}")
    assert search(bob, q="needle") == [third, first], "deleted for oneself"
    assert search(eve, q="needle") == [third, second, first]
    ada.call("DELETE", f"/messages/{first['id']}", params={"for": "everyone"})
    assert search(eve, q="needle") == [third, second], "deleted for everyone"
    bob.call("DELETE", f"/chats/{group}/history")
    assert search(bob, q="needle") == [], "cleared"
    run("UPDATE chat_members SET history_from_seq = 2 WHERE chat_id = :c AND user_id = :u", c=group, u=eve.id)
    assert search(eve, q="needle") == [third], "from before one joined"
    eve.post(f"/chats/{group}/leave", status=204)
    assert search(eve, q="needle") == [], "of a chat that one has left"
    assert search(ada, q="needle") == [third, second]


def test_filters_by_sender_type_and_time_hold_together(people: People) -> None:
    ada, bob = people(2)
    group = ada.group(bob)
    by_ada, by_bob = ada.send(group, "lunch at noon"), bob.send(group, "lunch at one")
    (picture,) = write(group, bob.id, "my lunch", kind="image")
    index(group)
    assert texts(ada, q="lunch", sender_id=bob.id) == ["my lunch", "lunch at one"]
    assert texts(ada, q=f"lunch from:{bob.username}") == ["my lunch", "lunch at one"]
    assert texts(ada, q=f"FROM:@{bob.username.upper()} noon") == []
    assert texts(ada, q="from:me lunch") == ["lunch at noon"]
    assert texts(ada, q="from:me", chat_id=group) == ["lunch at noon"]
    assert texts(ada, q=f"from:me from:{bob.username}") == []
    assert texts(ada, q=f"from:{bob.username}", sender_id=ada.id) == []
    assert texts(ada, q="lunch from:nobody_of_this_name") == []
    assert [found["id"] for found in search(ada, message_type="image")] == [picture]
    assert texts(ada, q="lunch", message_type="text") == ["lunch at one", "lunch at noon"]
    assert texts(ada, q="lunch", since=by_bob["created_at"], message_type="text") == ["lunch at one"]
    assert texts(ada, q="lunch", until=by_bob["created_at"]) == ["lunch at noon"]
    assert [found["id"] for found in search(ada, since=by_ada["created_at"], until=by_bob["created_at"])] == [
        by_ada["id"]
    ]
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    assert texts(ada, q="lunch", since=tomorrow) == []
    assert texts(ada, q="lunch", until="1970-01-01T00:00:00Z") == []


@pytest.mark.parametrize("minutes", [2, 60])
def test_times_are_those_that_messages_show_also_where_the_clock_has_stepped_back(people: People, minutes: int) -> None:
    ada, bob = people(2)
    group = ada.group(bob)
    write(group, bob.id, "lunch at noon", "lunch at one")
    # Ids go on past those that there were, and times do not.
    earlier = "UPDATE messages SET created_at = created_at - make_interval(mins => :m) WHERE id = ANY (:ids)"
    run(earlier, m=minutes, ids=write(group, bob.id, "late lunch", "no lunch"))
    index(group)
    between = datetime.now(UTC) - timedelta(minutes=minutes) + timedelta(seconds=10)
    long_before = between - timedelta(minutes=minutes)
    assert texts(ada, q="lunch", until=between.isoformat()) == ["no lunch", "late lunch"]
    assert texts(ada, q="lunch", since=between.isoformat()) == ["lunch at one", "lunch at noon"]
    assert texts(ada, q="lunch", since=long_before.isoformat(), until=between.isoformat()) == ["no lunch", "late lunch"]


def test_service_messages_are_not_found(people: People) -> None:
    ada, bob = people(2)
    group = ada.group(bob)
    ada.call("PUT", f"/chats/{group}", {"name": "Renamed"})
    sent = ada.send(group, "hello")
    index(group)
    assert [found["id"] for found in search(ada, since="2020-01-01T00:00:00Z", chat_id=group)] == [sent["id"]]
    assert search(ada, q="renamed") == []


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"q": ""},
        {"q": "   "},
        {"chat_id": 1},
        {"q": "x" * 257},
        {"q": "a\0b"},
        {"q": "a", "message_type": "service"},
        {"q": "a", "since": "yesterday"},
        {"q": "a", "since": "2026-01-01"},
        {"q": "a", "until": "0001-01-01T00:00:00+23:59"},
        {"q": "a", "cursor": "x"},
        {"q": "a", "limit": 101},
        {"q": "a", "sender_id": 0},
        {"q": "a", "offset": 5},
    ],
    ids=str,
)
def test_a_question_that_is_none_is_refused(people: People, query: dict[str, Any]) -> None:
    (ada,) = people(1)
    assert status(ada, **query) == 422


@pytest.mark.parametrize(
    "q", ["...", "' & | ! <-> ()", "'\\", ":*", "'a':*", "!a", "<0>", "\\'", "🏽", "from:", "\u200d"]
)
def test_a_question_of_signs_is_answered_and_none_of_them_is_an_operator(people: People, q: str) -> None:
    ada, bob = people(2)
    chat = ada.direct_chat(bob)
    ada.send(chat, "b")
    index(chat)
    assert search(ada, q=q) == []


def test_pages_follow_each_other_without_gaps_while_new_messages_come(people: People) -> None:
    ada, bob = people(2)
    chats = [ada.direct_chat(bob), ada.group(bob)]
    sent = [write(chats[number % 2], ada.id, f"page {number}")[0] for number in range(25)]
    index(*chats)
    seen: list[int] = []
    cursor: str | None = None
    while True:
        page = bob.get("/messages/search", q="page", limit=4, **({"cursor": cursor} if cursor else {}))
        seen += [item["message"]["id"] for item in page["items"]]
        index(*chats[: len(write(chats[0], ada.id, "page of later"))])
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == sent[::-1]


def test_a_page_goes_on_behind_whatever_many_messages_one_has_deleted_for_oneself(people: People) -> None:
    ada, bob = people(2)
    chat = ada.direct_chat(bob)
    (oldest,) = write(chat, bob.id, "needle")
    hidden = write(chat, bob.id, *["needle"] * 2_500)
    run(
        "INSERT INTO message_hides (user_id, chat_id, message_id, seq, revision)"
        " SELECT :u, :c, id, seq, 1 FROM messages WHERE id = ANY (:ids)",
        u=ada.id,
        c=chat,
        ids=hidden,
    )
    index(chat)
    found: list[int] = []
    cursor: str | None = None
    while cursor is not None or not found:
        page = ada.get("/messages/search", q="needle", **({"cursor": cursor} if cursor else {}))
        found += [item["message"]["id"] for item in page["items"]]
        cursor = page["next_cursor"]
        assert cursor is not None or found
    assert found == [oldest]


def shown(person: Person, q: str) -> tuple[str, int, list[str]]:
    """The only snippet: its text, where it begins, and the matches, cut out as JavaScript does."""
    (item,) = person.get("/messages/search", q=q)["items"]
    snippet = item["snippet"]
    units = snippet["text"].encode("utf-16-le")
    assert item["message"]["text"].encode("utf-16-le")[2 * snippet["offset"] :].startswith(units)
    matches = [
        units[2 * match["offset"] : 2 * (match["offset"] + match["length"])].decode("utf-16-le")
        for match in snippet["matches"]
    ]
    return snippet["text"], snippet["offset"], matches


def test_snippets_mark_what_was_found_in_the_text_as_it_was_sent(people: People) -> None:
    ada, bob = people(2)
    chat = ada.direct_chat(bob)
    ada.send(chat, "<b>Straße</b> & 👍🏽 e\u0301te\u0301 &amp; 北京大学")
    long = "word " * 100 + "👩\u200d💻 needle, " + "tail " * 100 + "needle"
    ada.send(chat, long)
    ada.send(chat, "字" * 300 + "針" + "字" * 300)
    index(chat)
    text = "<b>Straße</b> & 👍🏽 e\u0301te\u0301 &amp; 北京大学"
    assert shown(bob, "strasse ete") == (text, 0, ["Straße", "e\u0301te\u0301"])
    assert shown(bob, "👍 大学 amp") == (text, 0, ["👍🏽", "amp", "大学"])
    found, offset, matches = shown(bob, "needle")
    assert (len(found) <= 220, offset > 400, matches) == (True, True, ["needle"])
    assert (found[:4], found.rstrip()[-4:]) == ("word", "tail")
    found, offset, matches = shown(bob, "針")
    assert (len(found), offset, matches) == (200, 260, ["針"])


def test_without_words_the_snippet_is_the_beginning_of_the_text(people: People) -> None:
    ada, bob = people(2)
    chat = ada.direct_chat(bob)
    ada.send(chat, "x" * 500)
    write(chat, ada.id, None, kind="image")
    index(chat)
    snippets = [item["snippet"] for item in bob.get("/messages/search", sender_id=ada.id)["items"]]
    assert snippets == [{"text": "", "offset": 0, "matches": []}, {"text": "x" * 200, "offset": 0, "matches": []}]
