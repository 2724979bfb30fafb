"""Fills the database for the benchmark of search, and indexes it; what is there already counts.

Run with Sizes as JSON; prints a Scene.
"""

from __future__ import annotations

import io
import json
import random
import sys
import time
from collections.abc import Sequence
from itertools import accumulate
from typing import Any, TypedDict

from sqlalchemy import text

from app.infra.db import UnitOfWork, raw_cursor, unit_of_work
from app.infra.partitions import keep_back_to
from app.search import indexing
from bench import crowd, search_texts

CHATS = 300
"""Of the searcher, a large one among them."""
_LARGE_MEMBERS = 50
_MEMBERS = 5
_CHUNK = 50_000
_SPAN_MS = 50 * 86_400_000
_INDEXED_AT_ONCE = 50


class Sizes(TypedDict):
    """How much is wanted."""

    messages: int


class Scene(TypedDict):
    """What is there."""

    searcher: int
    large_chat: int
    chats: list[int]
    """All chats of the searcher."""
    quiet_sender: int
    """Who wrote one of 5,000 messages in the large chat."""
    seconds: dict[str, float]
    """What each step took, this time or before."""


_NOTES = text("CREATE TABLE IF NOT EXISTS bench_notes (name text PRIMARY KEY, value jsonb NOT NULL)")
_GET = text("SELECT value FROM bench_notes WHERE name = :name")
_SET = text("""
    INSERT INTO bench_notes VALUES (:name, CAST(:value AS jsonb))
    ON CONFLICT (name) DO UPDATE SET value = excluded.value""")

_TOUCH = text("""
    UPDATE chats c SET last_seq = k.seq, fanned_out_seq = k.seq, delivered_seq = k.seq, read_seq = k.seq,
      last_message_id = k.id, revision = k.id
    FROM unnest(CAST(:chat_ids AS bigint[]), CAST(:seqs AS bigint[]), CAST(:ids AS bigint[])) AS k (chat_id, seq, id)
    WHERE c.id = k.chat_id""")
_READ = text("""
    UPDATE user_chat_states s SET counted_seq = c.last_seq, last_read_seq = c.last_seq, last_delivered_seq = c.last_seq,
      last_read_message_id = c.last_message_id
    FROM chats c WHERE c.id = s.chat_id""")
_FIRST_ID = text("SELECT message_id_at(now() - interval '50 days') >> 12")
_PLAIN = """
    CREATE TABLE plain_search AS SELECT id, chat_id, to_tsvector('simple', text) AS tokens FROM messages;
    CREATE INDEX plain_search_tokens ON plain_search USING gin (tokens);
    CREATE INDEX plain_search_chat ON plain_search (chat_id, id)"""
_GIN = "CREATE INDEX ix_message_search_tokens ON message_search USING gin (tokens) WITH (fastupdate = off)"


def note(unit: UnitOfWork, name: str, value: Any = None) -> Any:
    """What was noted under a name, None where nothing was; or notes something."""
    if value is None:
        return unit.execute(_GET, {"name": name}).scalar_one_or_none()
    unit.execute(_SET, {"name": name, "value": json.dumps(value)})
    return value


def _people(unit: UnitOfWork) -> dict[str, Any]:
    """Who and which chats there are; the searcher is in the first 300 of these."""
    searcher, *others = crowd.add_people(unit, 3_001)
    large_members = [*others[: _LARGE_MEMBERS - 1], searcher]
    (large,) = crowd.add_chats(unit, "group", [large_members])
    circles = [[others[(7 * n + m) % 3_000] for m in range(_MEMBERS - 1)] for n in range(CHATS - 1)]
    mine = crowd.add_chats(unit, "group", [(*circle, searcher) for circle in circles])
    strangers = [[others[(11 * n + m) % 3_000] for m in range(_MEMBERS)] for n in range(3_000)]
    theirs = crowd.add_chats(unit, "group", strangers)
    return {
        "searcher": searcher,
        "chats": [large, *mine, *theirs],
        "members": [large_members, *([*circle, searcher] for circle in circles), *strangers],
    }


def _write(unit: UnitOfWork, town: dict[str, Any], first: int, total: int) -> None:
    """The next chunk of messages: a fifth in the large chat, a fifth in the searcher's others, the rest elsewhere."""
    choice = random.Random(-first)
    chats: list[int] = town["chats"]
    others = len(chats) - CHATS
    weights = list(accumulate([0.2, *[0.2 / (CHATS - 1)] * (CHATS - 1), *[0.6 / others] * others]))
    count = min(_CHUNK, total - first)
    places = choice.choices(range(len(chats)), cum_weights=weights, k=count)
    seqs: dict[int, int] = {row.id: row.last_seq for row in unit.execute(text("SELECT id, last_seq FROM chats"))}
    begin, step = note(unit, "begin"), _SPAN_MS // total
    ids: dict[int, int] = {}
    rows = io.StringIO()
    for number, place, body in zip(
        range(first, first + count), places, search_texts.texts(first, count, total), strict=True
    ):
        chat_id, members = chats[place], town["members"][place]
        seqs[chat_id] += 1
        quiet = number % search_texts.RARE_SENDER == 0
        sender = members[0] if quiet else members[choice.randrange(1, len(members))]
        ids[chat_id] = message_id = (begin + number * step << 12) | (number & 4095)
        rows.write(f"{message_id}\t{chat_id}\t{seqs[chat_id]}\t{sender}\t{body}\tread\t{message_id}\n")
    rows.seek(0)
    with raw_cursor(unit.connection) as (cursor, _):
        columns = ("id", "chat_id", "seq", "sender_id", "text", "status", "revision")
        cursor.copy_from(rows, "messages", columns=columns)
    unit.execute(_TOUCH, {"chat_ids": list(ids), "seqs": [seqs[chat_id] for chat_id in ids], "ids": list(ids.values())})
    note(unit, "written", first + count)


def _step(name: str, seconds: dict[str, float], work: Any) -> None:
    """Does a step once; notes how long it took."""
    with unit_of_work() as unit:
        taken = note(unit, f"step {name}")
    if taken is None:
        began = time.monotonic()
        work()
        taken = time.monotonic() - began
        with unit_of_work() as unit:
            note(unit, f"step {name}", taken)
    seconds[name] = float(taken)


def _execute(*statements: str) -> None:
    with unit_of_work() as unit:
        crowd.begin(unit)
        for statement in ("SET LOCAL maintenance_work_mem = '1GB'", "SET LOCAL enable_seqscan = on", *statements):
            unit.execute(text(statement))


def _messages(total: int) -> dict[str, Any]:
    with unit_of_work() as unit:
        crowd.begin(unit)
        unit.execute(_NOTES)
        town = note(unit, "town")
        if town is None:
            note(unit, "begin", unit.execute(_FIRST_ID).scalar_one())
            keep_back_to(unit.connection, note(unit, "begin") << 12)
            town = note(unit, "town", _people(unit))
        written: int = note(unit, "written") or 0
    while written < total:
        with unit_of_work() as unit:
            crowd.begin(unit)
            _write(unit, town, written, total)
        written += _CHUNK
    return dict(town)


def _index(chats: Sequence[int]) -> None:
    """All chats, as workers do it."""
    for start in range(0, len(chats), _INDEXED_AT_ONCE):
        indexing.index_all(chats[start : start + _INDEXED_AT_ONCE])


def _make(sizes: Sizes) -> Scene:
    town = _messages(sizes["messages"])
    seconds: dict[str, float] = {}
    with unit_of_work() as unit:
        crowd.begin(unit)
        unit.execute(_READ)
    _step("drop", seconds, lambda: _execute("DROP INDEX IF EXISTS ix_message_search_tokens"))
    _step("index", seconds, lambda: _index(town["chats"]))
    _step("gin", seconds, lambda: _execute(_GIN))
    _step("plain", seconds, lambda: _execute(*_PLAIN.split(";")))
    _step("analyze", seconds, lambda: _execute("ANALYZE"))
    return {
        "searcher": town["searcher"],
        "large_chat": town["chats"][0],
        "chats": town["chats"][:CHATS],
        "quiet_sender": town["members"][0][0],
        "seconds": seconds,
    }


if __name__ == "__main__":
    json.dump(_make(json.loads(sys.argv[1])), sys.stdout)
