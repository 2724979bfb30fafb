"""What one search may cost: texts and questions of any length, and a database that does not answer."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from app.infra.db import reading
from app.search import service
from app.search.schemas import MessageSearch
from tests.factories import make_chat, make_users, run
from tests.faults.hurting import locked
from tests.people import Person
from tests.search.scenes import found, index, write

People = Callable[[int], list[Person]]


def pages(user_id: int, q: str) -> list[list[int]]:
    """The ids on each page, up to the last."""
    seen: list[list[int]] = []
    cursor: str | None = None
    while cursor is not None or not seen:
        with reading() as unit:
            page = service.search_messages(unit, user_id, MessageSearch(q=q, cursor=cursor))
        seen.append([item["message"]["id"] for item in page["items"]])
        cursor = page["next_cursor"]
    return seen


@pytest.mark.parametrize(("length", "most"), [(4_000, 13), (60_000, 1)])
def test_a_page_of_long_texts_is_short_and_the_next_one_goes_on(length: int, most: int) -> None:
    person, other = make_users(2)
    chat_id = make_chat([person, other])
    sent = write(chat_id, other, *["needle" + "字" * length] * 30)
    index(chat_id)
    found_pages = pages(person, "needle")
    assert max(map(len, found_pages)) == most
    assert [message_id for page in found_pages for message_id in page] == sent[::-1]


def test_all_else_has_its_turn_after_each_long_text(monkeypatch: pytest.MonkeyPatch) -> None:
    person, other = make_users(2)
    chat_id = make_chat([person, other])
    write(chat_id, other, *["needle" + "字" * 4_000] * 9, *["needle"] * 9)
    index(chat_id)
    turns: list[None] = []
    monkeypatch.setattr(service, "let_others_run", lambda: turns.append(None))
    assert len(found(person, "needle")) == 18
    assert len(turns) == 9


def test_what_became_a_message_of_another_type_is_not_found_as_what_it_was() -> None:
    person, other = make_users(2)
    chat_id = make_chat([person, other])
    (sent,) = write(chat_id, other, "my lunch", kind="file")
    index(chat_id)
    assert found(person, message_type="file") == [sent]
    run("UPDATE messages SET message_type = 'image' WHERE id = :i", i=sent)
    assert found(person, message_type="file") == []


QUESTIONS = [
    " ".join("abcdefghijklmnopqrstuvwxyz" * 4),
    '"' + " ".join("ab" * 63) + '"',
    "字 " * 128,
    "字" * 256,
    '"' * 256,
    "a'" * 128,
    "#a@b" * 64,
    "from:x " * 36,
    "from:me " * 32,
    "👩\u200d💻" * 60,
    "\u0301" * 256,
    "' & ! | \\ <-> : * ( )" * 10,
    "\ufffd",
]


@pytest.mark.parametrize("q", QUESTIONS, ids=range(len(QUESTIONS)))
def test_a_question_of_any_kind_is_answered_over_many_chats(people: People, q: str) -> None:
    ada, bob = people(2)
    chats = [make_chat([ada.id, bob.id]) for _ in range(20)]
    for chat_id in chats:
        write(chat_id, bob.id, "字" * 300, "a b " * 150, q or "x")
    index(*chats)
    assert ada.call("GET", "/messages/search", params={"q": q}).status_code == 200


@pytest.mark.parametrize("raw", ["%00", "a%00b", "%ED%A0%80", "%FF", "%ED%A0%BD%20x"])
def test_bytes_that_are_no_text_are_refused_or_looked_for_and_break_nothing(people: People, raw: str) -> None:
    (ada,) = people(1)
    for path in ("messages/search", "chats/search"):
        assert ada.call("GET", f"/{path}?q={raw}").status_code in (200, 422)


def test_while_the_index_does_not_answer_a_search_is_told_to_come_again(people: People) -> None:
    ada, bob = people(2)
    chat_id = ada.direct_chat(bob)
    sent = ada.send(chat_id, "needle")
    index(chat_id)
    with locked("LOCK TABLE message_search IN ACCESS EXCLUSIVE MODE"):
        answer = ada.call("GET", "/messages/search", params={"q": "needle"})
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
    assert found(ada.id, "needle") == [sent["id"]]
