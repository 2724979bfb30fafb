"""A chat of 100,000 members: whoever sends does not pay for them, and the worker pays batch by batch."""

from __future__ import annotations

from collections import Counter

import orjson

from app.infra.db import reading, unit_of_work
from app.messages import service as messages
from app.messages import unread
from app.messages.schemas import HistoryQuery
from config import settings
from tests.counting import counted_statements
from tests.scale.actions import Crowd, send_to
from tests.scale.conftest import Observed
from tests.scale.explaining import explained_statements

_SENDS = 5

# The message, its client_id, and the row of the chat.
_ROWS_OF_A_SEND = 3


def _wal_bytes() -> int:
    """Bytes of log that this thread's connection has written so far."""
    with reading() as unit:
        unit.connection.exec_driver_sql("SELECT pg_stat_force_next_flush()")
        found = unit.connection.exec_driver_sql("SELECT wal_bytes FROM pg_stat_get_backend_wal(pg_backend_pid())")
        return int(found.scalar_one())


def _wal_of_a_send(chat_id: int, sender_id: int) -> int:
    """The log of the cheapest of some sends: after a checkpoint one writes whole blocks besides."""
    measured = []
    for _ in range(_SENDS):
        before = _wal_bytes()
        send_to(chat_id, sender_id)
        measured.append(_wal_bytes() - before)
    return min(measured)


def test_a_send_touches_as_many_rows_for_100_000_members_as_for_ten(observed: Observed) -> None:
    for actions in observed.values():
        channel, group = actions["send to the channel"], actions["send to the group"]
        assert [(s.name, s.rows) for s in channel] == [(s.name, s.rows) for s in group]
        assert sum(s.written for s in channel) == sum(s.written for s in group) == _ROWS_OF_A_SEND


def test_a_send_writes_as_much_log_for_100_000_members_as_for_ten(crowd: Crowd) -> None:
    channel = _wal_of_a_send(crowd.channel, crowd.channel_people[0])
    group = _wal_of_a_send(crowd.group, crowd.group_people[0])
    assert 0 < channel < 1.5 * group


def test_the_fan_out_is_a_statement_for_each_batch_of_members_and_looks_at_these_only(crowd: Crowd) -> None:
    send_to(crowd.large, crowd.large_people[0])
    batch, members = settings().fanout_batch, len(crowd.large_people)
    with counted_statements() as statements:
        assert unread.fan_out_all([crowd.large]) == members
    prepared = Counter(statement.split()[1] for statement in statements if statement.startswith("EXECUTE"))
    assert prepared["unread_count"] == -(-members // batch)
    # The last part is known by being short, be it empty.
    assert prepared["unread_lock_part"] == members // batch + 1
    assert prepared["unread_progress"] == prepared["unread_finish"] == 1


def test_deleting_for_everyone_touches_no_member_and_the_worker_looks_at_each_once(crowd: Crowd) -> None:
    owner = crowd.large_people[0]
    send_to(crowd.large, owner)
    unread.fan_out_all([crowd.large])
    with reading() as unit:
        newest = orjson.loads(messages.history(unit, owner, crowd.large, HistoryQuery(limit=1)))["items"][0]["id"]
    with explained_statements() as asked, unit_of_work() as unit:
        messages.delete_message(unit, owner, newest, for_everyone=True)
    assert {s.name: s.rows for s in asked if s.rows > 10} == {}
    with explained_statements() as done:
        unread.fan_out_all([crowd.large])
    # Of each member the state, to lock it, to look at it and to change it, and the membership; and the chat once.
    assert {s.name: s.rows for s in done if s.rows > 4 * settings().fanout_batch + 1} == {}
    assert sum(s.written for s in done if s.name == "removal_take_out") == len(crowd.large_people) - 1
