"""What a page of catching up reads: in proportion to the chats and the page, whatever lies past the page."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from flask import Flask
from sqlalchemy import text

from app.infra.db import UnitOfWork, reading, unit_of_work
from app.sync import page_queries, service
from app.sync.schemas import Changes
from tests.factories import make_users
from tests.scale.explaining import explained_statements

CHATS, EACH = 60, 600
PAGE = service.LARGEST_PAGE
# Of each chat, the memberships and states that name it too; of few chats the whole of a page at most.
_MOST_ROWS = CHATS * (3 + page_queries.FIRST) + (PAGE // page_queries.FIRST + 2) * (PAGE + 1)

_FILL = """
    WITH made AS (
      INSERT INTO chats (type, name, created_by, member_count, revision, last_seq)
      SELECT 'group', 'A chat', :user, 1, next_message_id(), :each FROM generate_series(1, :chats) RETURNING id
    ), members AS (
      INSERT INTO chat_members (chat_id, user_id, revision) SELECT id, :user, 1 FROM made
    ), states AS (
      INSERT INTO user_chat_states (chat_id, user_id, revision) SELECT id, :user, 1 FROM made
    )
    INSERT INTO messages (id, chat_id, seq, sender_id, text, revision)
    SELECT id, chat_id, seq, :user, 'hello', id FROM (
      SELECT c.id AS chat_id, seq, message_id_at(now() - interval '1 hour') + row_number() OVER (ORDER BY {order}) AS id
      FROM made c CROSS JOIN generate_series(1, :each) seq) drawn"""


def fill(order: str, chats: int = CHATS) -> int:
    """A person in chats whose messages came in that order."""
    (user,) = make_users(1)
    with unit_of_work() as unit:
        unit.execute(text(_FILL.format(order=order)), {"user": user, "chats": chats, "each": EACH})
        unit.execute(text("ANALYZE messages"))
    return user


def add_chats_with_one_message_each(user: int, chats: int) -> None:
    """More chats of that person, with a message that is newer than those of `fill`; from before any test has begun."""
    with unit_of_work() as unit:
        order = _FILL.format(order="seq, c.id").replace("1 hour", "59 minutes")
        unit.execute(text(order), {"user": user, "chats": chats, "each": 1})


def first_page(unit: UnitOfWork, user: int) -> Changes:
    """The first page past the beginning of time."""
    return service.changes(unit, user, service.Cursor(1, 1, False).text)


@pytest.mark.parametrize(
    "order",
    [
        pytest.param("seq, c.id", id="by turns"),
        pytest.param("c.id, seq", id="chat after chat"),
        pytest.param("seq / 50, c.id", id="in bursts"),
    ],
)
@pytest.mark.parametrize("short_chats", [0, 5000], ids=["long chats only", "mostly short chats"])
def test_a_page_reads_some_rows_of_each_chat_and_few_chats_to_the_end(app: Flask, order: str, short_chats: int) -> None:
    if short_chats:
        # Of somebody else: they make PostgreSQL expect next to nothing in a chat.
        add_chats_with_one_message_each(make_users(1)[0], short_chats)
    user = fill(order)
    with app.app_context(), explained_statements() as statements, reading() as unit:
        page = first_page(unit, user)
    assert len(page["messages"]) == PAGE
    (read,) = [statement for statement in statements if statement.name == "sync_page"]
    assert read.rows <= _MOST_ROWS < CHATS * PAGE, read.scans
    assert read.read_whole == set()


@contextmanager
def planned_with(unit: UnitOfWork, setting: str, value: str) -> Iterator[None]:
    """PostgreSQL plans anew, with a setting that makes it like what it should not do."""
    unit.execute(text(f"SET {setting} = {value}"))
    unit.execute(text("DISCARD PLANS"))
    try:
        yield
    finally:
        unit.execute(text(f"RESET {setting}"))
        unit.execute(text("DISCARD PLANS"))


@pytest.mark.parametrize(
    "cursor", [service.Cursor(1, 1, False).text, None], ids=["a page of messages", "the first snapshot"]
)
def test_a_page_looks_up_each_chat_by_its_id_whatever_else_postgresql_would_rather_do(
    app: Flask, cursor: str | None
) -> None:
    user = fill("seq, c.id", 7)
    add_chats_with_one_message_each(make_users(1)[0], 1000)
    # As it does with few chats in its statistics, it would read all chats there are and merge them with the few.
    with (
        app.app_context(),
        explained_statements() as statements,
        reading() as unit,
        planned_with(unit, "enable_nestloop", "off"),
    ):
        page = service.changes(unit, user, cursor)
    assert (len(page["messages"]), len(page["chats"])) == ((0, 7) if cursor is None else (PAGE, 0))
    (read,) = [statement for statement in statements if statement.name == "sync_page"]
    looked_up = [node for node in read.nodes if node.get("Relation Name") in ("chats", "user_chat_states")]
    assert {node["Actual Loops"] for node in looked_up if node["Actual Loops"]} == {7}, read.scans
    assert read.would_read_whole == set()


def test_a_page_never_reads_all_messages_of_a_chat_and_sorts_them(app: Flask) -> None:
    user = fill("c.id, seq", 7)
    # As it does where it expects few messages in a chat, it would rather take them all by a bitmap.
    with (
        app.app_context(),
        explained_statements() as statements,
        reading() as unit,
        planned_with(unit, "random_page_cost", "1000"),
    ):
        first_page(unit, user)
    (read,) = [statement for statement in statements if statement.name == "sync_page"]
    assert not [node for node in read.nodes if "Bitmap" in node["Node Type"]], read.scans


def everything(user: int) -> list[int]:
    """The ids of all pages, in their order."""
    found: list[int] = []
    cursor = service.Cursor(1, 1, False).text
    while True:
        with reading() as unit:
            page = service.changes(unit, user, cursor)
        found += [message["id"] for message in page["messages"]]
        cursor = page["next_cursor"]
        if not page["has_more"]:
            return found
        # A short page costs a busy person as many requests.
        assert len(page["messages"]) == PAGE


def by_sql(user: int) -> list[int]:
    """The ids of all that the person may see, in the order of their revisions."""
    with reading() as unit:
        return list(
            unit.execute(
                text("""
                    SELECT x.id FROM messages x JOIN chat_members m ON m.chat_id = x.chat_id AND m.user_id = :user
                    ORDER BY x.revision"""),
                {"user": user},
            ).scalars()
        )


@pytest.mark.parametrize("make", [lambda: fill("seq, c.id", 7), lambda: fill("c.id, seq", 7), lambda: fill("seq", 1)])
def test_all_pages_are_full_and_hold_every_message_once_in_order(app: Flask, make: Callable[[], int]) -> None:
    user = make()
    add_chats_with_one_message_each(user, 30)
    with app.app_context():
        assert everything(user) == by_sql(user)
