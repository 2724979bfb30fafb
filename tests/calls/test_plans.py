"""What is done to calls reads a handful of rows, whatever stands in the tables beside them."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import text

from app.calls import service
from app.calls.schemas import HistoryQuery, NewCall
from app.infra import db, migrations
from app.infra.db import UnitOfWork, reading, unit_of_work
from app.web.authentication import Caller
from tests.conventions.test_migrations import empty_database
from tests.factories import make_users
from tests.people import Person, make_people
from tests.scale.explaining import Explained, explained_statements

_CALLS = 3000
# These indexes are small, whatever has ended, and may be read whole.
_OF_WHAT_IS_LIVE = {"ix_calls_deadline", "uq_calls_live_chat_id", "uq_call_participants_live"}

_VALUES: dict[str, object] = {"bigint": 1, "integer": 10, "bigint[]": [1, 2], "text": "1:2"}

_FILL = text("""
    WITH chat AS (
      INSERT INTO chats (type, created_by, revision) VALUES ('direct', :user, next_message_id()) RETURNING id
    ), made AS (
      INSERT INTO calls (chat_id, caller_id, callee_id, call_type, state, end_reason, ended_at)
      SELECT chat.id, :other, :user, 'audio', 'ended', 'hangup', now() FROM chat, generate_series(1, :count)
      RETURNING id)
    INSERT INTO call_participants (user_id, call_id, left_at, is_missed)
    SELECT p.user_id, made.id, now(), p.user_id = :user AND made.id % 500 = 0
    FROM made CROSS JOIN (VALUES (:user), (:other)) AS p (user_id)""")


@pytest.fixture
def talkative(app: Flask, alone: None) -> list[Person]:
    """Two people, of whom one has thousands of calls behind, few of them missed; of others no call goes on."""
    pair = make_people(app, 2)
    (other,) = make_users(1)
    with unit_of_work() as unit:
        unit.execute(_FILL, {"user": pair[0].id, "other": other, "count": _CALLS})
    return pair


def assert_small(statements: list[Explained], most: int) -> None:
    for statement in statements:
        scans = [node for node in statement.nodes if node["Node Type"] != "ModifyTable"]
        whole = [node for node in scans if node.get("Relation Name") in statement.read_whole]
        along = {node.get("Index Name") for node in whole if "Index Cond" not in node}
        assert along <= _OF_WHAT_IS_LIVE, (statement.name, statement.scans)
        assert statement.rows <= most, (statement.name, statement.rows)


@pytest.mark.parametrize(("missed", "limit"), [(False, 20), (True, 3)])
def test_a_page_of_history_reads_its_own_rows(app: Flask, talkative: list[Person], missed: bool, limit: int) -> None:
    with app.app_context(), explained_statements() as statements, reading() as unit:
        page = service.list_calls(unit, talkative[0].id, HistoryQuery(missed=missed, limit=limit))
    assert len(page["items"]) == limit
    # Of each call of the page (and one more) the call itself, and its participants for each of three columns.
    assert_small(statements, (limit + 1) * 6)


def test_a_call_from_its_ringing_to_its_end_reads_few_rows(app: Flask, talkative: list[Person]) -> None:
    ada, bob = (Caller(person.id, person.session_id, float("inf")) for person in talkative)
    with app.app_context(), explained_statements() as statements:
        call_id = service.start_call(ada, NewCall(user_id=bob.user_id, call_type="audio"))["id"]
        with reading() as unit:
            assert service.live_calls(unit, [ada.user_id, bob.user_id])
        service.send_signal(ada, call_id, {})
        service.answer_call(bob, call_id)
        service.sweep()
        with unit_of_work() as unit:
            service.end_call(unit, ada, call_id, None)
    ours = [statement for statement in statements if "call" in statement.name.lower() or "WITH" in statement.name]
    assert len(ours) > 10
    assert_small(ours, 20)


def test_no_plan_made_while_tables_are_small_reads_one_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    of_calls = [module for name, module in sys.modules.items() if name.startswith("app.calls.queries.")]
    prepared = [value for module in of_calls for value in vars(module).values() if isinstance(value, db.Prepared)]
    assert len(prepared) > 10
    with empty_database(monkeypatch, "small"):
        migrations.upgrade()
        make_users(2)
        with db.unit_of_work() as unit:
            unit.connection.exec_driver_sql("ANALYZE users, sessions, chats, chat_members, blocks")
            for setting in ("on", "off"):
                unit.connection.exec_driver_sql(f"SET LOCAL enable_nestloop = {setting}")
                for statement in prepared:
                    along = indexes_read_whole(unit, statement)
                    assert along <= _OF_WHAT_IS_LIVE, (statement.name, along)


def indexes_read_whole(unit: UnitOfWork, statement: db.Prepared) -> set[str]:
    """What the plan of a statement, made now, would read from one end to the other."""
    with db.raw_cursor(unit.connection) as (cursor, _):
        cursor.execute("DEALLOCATE ALL")
        statement.prepare(cursor, set())
        values = [_VALUES[kind] for kind in statement._types]
        cursor.execute(f"EXPLAIN (FORMAT JSON) {statement.execute_sql}", values)
        found: tuple[Any, ...] | None = cursor.fetchone()
    assert found is not None
    nodes = Explained(statement.name, found[0][0]["Plan"]).nodes
    scans = [node for node in nodes if "Relation Name" in node and node["Node Type"] != "Bitmap Heap Scan"]
    return {node.get("Index Name", node["Relation Name"]) for node in scans if "Index Cond" not in node}
