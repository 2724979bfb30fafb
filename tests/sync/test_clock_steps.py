"""A clock of the database that steps back puts nothing below the cursors that were given before."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from flask import Flask

from app.infra.db import reading
from app.sync import queries, service
from app.web.pagination import decode_cursor
from tests.factories import run, scalar
from tests.people import Person

_AHEAD = "message_id_at(clock_timestamp() + interval '1 minute')"
_FLOOR = "pg_sequence_last_value('clock_floor')"


@pytest.fixture
def moment(app: Flask) -> Iterator[int]:
    """The revision of a moment at which the clock stood a minute ahead of now, and cursors were given."""
    before = scalar(f"SELECT {_FLOOR}")
    ahead = int(str(scalar(f"SELECT {_AHEAD}")))
    run("SELECT setval('clock_floor', :ahead >> 12)", ahead=ahead)
    yield ahead
    run("SELECT setval('clock_floor', coalesce(:before, 1))", before=before)


@pytest.fixture
def two_in_a_chat(people: Callable[[int], list[Person]]) -> tuple[Person, Person, int]:
    """Two people, and their direct chat; asked for before `moment` it is older than the step."""
    ada, bob = people(2)
    return ada, bob, ada.direct_chat(bob)


def test_what_changes_after_the_clock_went_back_is_past_the_cursors_given_before(
    two_in_a_chat: tuple[Person, Person, int], moment: int
) -> None:
    ada, bob, chat_id = two_in_a_chat
    cursor = service.Cursor(moment - 1, moment - 1, False).text
    sent = [ada.send(chat_id, "Hello")["id"], ada.send(chat_id, "Hello again")["id"]]
    page = bob.get("/sync", cursor=cursor)
    assert [message["id"] for message in page["messages"]] == sent
    assert [chat["id"] for chat in page["chats"]] == [chat_id]
    bob.post(f"/chats/{chat_id}/pin", {"pinned": True})
    (chat,) = bob.get("/sync", cursor=page["next_cursor"])["chats"]
    assert chat["is_pinned"]


def test_a_cursor_is_below_what_is_drawn_after_it_whatever_the_clock_says_then(app: Flask) -> None:
    with reading() as unit:
        safe, _, _ = decode_cursor(service.current_cursor(unit), int, int, bool)
    assert scalar(f"SELECT {_FLOOR} << 12 > :safe", safe=int(safe))


def test_a_look_by_a_clock_that_went_back_forgets_no_moment(moment: int) -> None:
    with reading() as unit:
        assert queries.horizon(unit) < moment
    assert scalar(f"SELECT {_FLOOR} >= :moment >> 12", moment=moment)


def test_ids_are_distinct_however_many_are_drawn_while_the_clock_is_behind(moment: int) -> None:
    drawn = "SELECT next_message_id() AS id FROM generate_series(1, 10000)"
    assert scalar(f"SELECT count(DISTINCT id) FROM ({drawn}) d WHERE id > :moment", moment=moment) == 10_000


def test_an_id_is_of_the_clocks_moment_where_that_never_went_back(app: Flask) -> None:
    assert scalar("SELECT next_message_id() - message_id_at(clock_timestamp()) < (1000::bigint << 12)")
