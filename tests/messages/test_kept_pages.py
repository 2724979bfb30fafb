"""Pages of history that a process keeps: what everybody sees is as if there were none, whatever happens in between."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import orjson
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from app.chats.service import clear_history
from app.errors import NotFound
from app.infra import jobs
from app.infra.db import reading, unit_of_work
from app.messages import service as messages
from app.messages.queries import View
from app.messages.schemas import HistoryQuery
from app.messages.service import reading as rules
from app.messages.service.kept_pages import _OVERHEAD, KeptPages, PageKey
from tests.factories import make_chat, make_users, rows, run
from tests.people import Person
from tests.scale.explaining import explained_statements
from tests.search.scenes import leave, write
from tests.search.town import Town


@pytest.fixture(autouse=True)
def pages(monkeypatch: pytest.MonkeyPatch) -> KeptPages:
    """Those of this test."""
    pages = KeptPages(1_000_000)
    keep(monkeypatch, pages)
    return pages


def keep(monkeypatch: pytest.MonkeyPatch, pages: KeptPages) -> None:
    monkeypatch.setattr(rules, "kept_pages", lambda: pages)


def page(person: int, chat: int, before: int | None = None, limit: int = 3) -> bytes | None:
    """A page as somebody sees it; None for who is not in the chat."""
    try:
        with reading() as unit:
            return bytes(messages.history(unit, person, chat, HistoryQuery(before=before, limit=limit)))
    except NotFound:
        return None


def texts(json: bytes | None) -> list[str]:
    return [message["text"] for message in orjson.loads(json or b"")["items"]]


def statements(person: int, chat: int) -> list[str]:
    """The names of what PostgreSQL was asked for the newest page."""
    with explained_statements() as asked:
        assert page(person, chat) is not None
    return [statement.name for statement in asked]


def places(town: Town) -> list[tuple[int, int | None]]:
    """Chats with where a page of them ends: at the newest message, at some of their own, or at one of any chat."""
    some = [message_id for message_id, _ in town.some()]
    own = rows("SELECT chat_id, id FROM messages WHERE id = ANY (:ids)", ids=some)
    # Pages that end at a message of another chat are never kept, and cost many statements: one such for each is enough.
    others = list(zip(town.chats, some, strict=False))
    return [*((chat, None) for chat in town.chats), *((row["chat_id"], row["id"]) for row in own), *others]


@settings(max_examples=3, deadline=None, suppress_health_check=list(HealthCheck), phases=[Phase.generate])
@given(seed=st.integers(0, 2**32))
def test_everybody_sees_what_is_stored_whatever_happens_in_between(seed: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jobs, "mark_for_search", lambda _: None)
        kept, found = KeptPages(100_000), 0
        town = Town(seed)
        for round_number in range(25):
            town.live(2)
            if round_number == 20:
                leave(town.chats[0], town.people[2])
            ends = places(town)
            asked = [(p, c, b, n) for p in town.people for c, b in ends for n in (2, 50)]
            keep(patch, kept)
            seen = [(page(*each), page(*each)) for each in asked]
            keep(patch, KeptPages(0))
            for each, (first, again) in zip(asked, seen, strict=True):
                plain = page(*each)
                assert first == plain, each
                assert again == plain, each
                found += plain is not None
        assert found
        assert kept._pages, "none was kept, so nothing was shown"


def test_who_comes_next_has_the_page_of_who_came_before_for_one_look_at_the_chat() -> None:
    people = make_users(2)
    chat = make_chat(people)
    write(chat, people[0], "one", "two", "three", "four")
    assert statements(people[0], chat) == ["history_older"]
    assert statements(people[1], chat) == ["history_view"]
    assert page(people[0], chat) == page(people[1], chat)
    write(chat, people[0], "five")
    assert statements(people[1], chat) == ["history_view", "history_older"]
    assert texts(page(people[0], chat)) == ["five", "four", "three"]


def test_who_has_deleted_messages_for_oneself_shares_no_page() -> None:
    people = make_users(2)
    chat = make_chat(people)
    ids = write(chat, people[0], "one", "two", "three", "four")
    page(people[0], chat)
    with unit_of_work() as unit:
        messages.delete_message(unit, people[1], ids[-1], for_everyone=False)
    assert texts(page(people[1], chat)) == ["three", "two", "one"]
    assert texts(page(people[0], chat)) == ["four", "three", "two"]
    assert statements(people[1], chat) == ["history_view", "history_older"]


def test_who_has_cleared_a_part_of_the_page_does_not_see_it() -> None:
    people = make_users(2)
    chat = make_chat(people)
    write(chat, people[0], "one", "two")
    page(people[0], chat)
    with unit_of_work() as unit:
        clear_history(unit, people[1], chat, for_everyone=False)
    assert texts(page(people[1], chat)) == []
    assert texts(page(people[0], chat)) == ["two", "one"]


def test_who_is_no_member_any_more_gets_nothing_that_is_kept() -> None:
    people = make_users(2)
    chat = make_chat(people)
    write(chat, people[0], "one")
    assert page(people[1], chat) == page(people[0], chat)
    leave(chat, people[1])
    assert page(people[1], chat) is None
    assert page(people[0], chat) is not None


def test_whoever_is_signed_out_gets_nothing_that_is_kept(people: Callable[[int], list[Person]]) -> None:
    ada, bob = people(2)
    chat = ada.direct_chat(bob)
    ada.send(chat, "hello")
    assert ada.get(f"/chats/{chat}/messages") == bob.get(f"/chats/{chat}/messages")
    assert bob.call("POST", "/auth/logout").status_code in (200, 204)
    assert bob.call("GET", f"/chats/{chat}/messages").status_code == 401
    assert len(ada.get(f"/chats/{chat}/messages")["items"]) == 1


def test_a_page_with_a_file_is_not_kept_as_what_it_looks_like_changes_without_the_message(pages: KeptPages) -> None:
    people = make_users(1)
    chat = make_chat(people)
    (message_id,) = write(chat, people[0], "look", kind="image")
    run(
        "WITH f AS (INSERT INTO files (id, owner_id, name, size, status)"
        " VALUES (gen_random_uuid(), :u, 'a', 1, 'ready') RETURNING id)"
        " UPDATE messages SET file_id = (SELECT id FROM f) WHERE id = :m",
        u=people[0],
        m=message_id,
    )
    page(people[0], chat)
    assert PageKey(chat, None, 3) not in pages


def test_a_page_that_several_statements_told_is_not_kept(pages: KeptPages) -> None:
    people = make_users(1)
    chat, other = make_chat(people), make_chat(people)
    (elsewhere,) = write(other, people[0], "elsewhere")
    first, second = write(chat, people[0], "one", "two")
    with unit_of_work() as unit:
        messages.delete_message(unit, people[0], second, for_everyone=True)
    for before in (elsewhere, second):
        page(people[0], chat, before)
        assert PageKey(chat, before, 3) not in pages, "they are of several moments"
    page(people[0], chat, first)
    assert PageKey(chat, first, 3) in pages
    with unit_of_work() as unit:
        messages.delete_message(unit, people[0], first, for_everyone=True)
    page(people[0], chat)
    assert PageKey(chat, None, 3) not in pages, "older parts were looked at, too"


@pytest.mark.parametrize(
    ("kept", "least_seq", "view", "is_found"),
    [
        (View(5, 0), None, View(5, 0), True),
        (View(5, 0), None, View(6, 0), False),
        (View(5, 0), None, View(4, 0), False),
        (View(5, 0), None, View(5, 1), False),
        (View(5, 0), None, View(5, None), False),
        (View(5, 7), 20, View(5, 19), True),
        (View(5, 7), 20, View(5, 20), False),
        (View(5, 19), 20, View(5, 7), True),
    ],
)
def test_a_page_is_for_who_sees_the_chat_of_the_same_revision_and_all_of_the_page(
    pages: KeptPages, kept: View, least_seq: int | None, view: View, is_found: bool
) -> None:
    key = PageKey(1, None, 3)
    pages.keep(key, kept, least_seq, b"{}")
    assert (pages.find(key, view) is not None) == is_found


def filled(most: int, *sizes: int) -> Iterator[bool]:
    """Which of pages of these sizes are there, after the first was asked for once more before the last came.

    All together may have the bytes of so many pages of 1,000 bytes.
    """
    pages, view = KeptPages(most * (1000 + _OVERHEAD)), View(1, 0)
    for number, size in enumerate(sizes, 1):
        if number == len(sizes):
            pages.find(PageKey(1, None, 3), view)
        pages.keep(PageKey(number, None, 3), view, None, b"x" * size)
    return (PageKey(number, None, 3) in pages for number in range(1, len(sizes) + 1))


@pytest.mark.parametrize(
    ("most", "sizes", "kept"),
    [
        (2, (1000, 1000), [True, True]),
        (2, (1000, 1000, 1000), [True, False, True]),
        (2, (1000, 1000, 1001), [False, False, True]),
        (2, (1000, 1000, 9000), [True, True, False]),
        (2, (0, 0, 0, 0, 0, 0, 0), [True, False, True, True, True, True, True]),
        (0, (4,), [False]),
    ],
)
def test_pages_take_no_more_bytes_than_they_may_and_the_least_wanted_go_first(
    most: int, sizes: tuple[int, ...], kept: list[bool]
) -> None:
    assert list(filled(most, *sizes)) == kept
