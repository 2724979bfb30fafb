"""The statements of the jobs of files look at what they are about, however many files there are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple
from uuid import UUID

import pytest
from sqlalchemy import text

from app.files.queries import histories, objects, processing, references, removal
from app.infra.db import UnitOfWork, engine, unit_of_work
from app.messages import forget_queries, shown_file_queries
from app.messages.shown_file_queries import Place
from tests.factories import make_chat, make_users, run, scalar
from tests.scale.explaining import explained_statements

MANY = 3_000
_BATCH = 20


class Filled(NamedTuple):
    """One file, shown by a message, in a chat of many that show others."""

    file_id: UUID
    chat_id: int


Work = Callable[[UnitOfWork, Filled], object]


@pytest.fixture(scope="module")
def filled(_servers: None) -> Iterator[Filled]:
    """Thousands of files of every state, none of them due; none is left for the sweeps of other tests."""
    (owner,) = make_users(1)
    chat_id = make_chat([owner])
    waiting = {"o": owner, "n": MANY}
    for columns, values in (
        ("try_after", "now() + interval '1 hour'"),
        ("status, unused_since", "'ready', NULL"),
        ("status, deleted_at", "'ready', now()"),
    ):
        run(
            f"INSERT INTO files (id, owner_id, name, size, {columns})"
            f" SELECT gen_random_uuid(), :o, 'a', 1, {values} FROM generate_series(1, :n)",
            **waiting,
        )
    run(
        "INSERT INTO file_objects (file_id, variant, key, mime_type, size)"
        " SELECT id, 'original', id::text, 'a/b', 1 FROM files WHERE owner_id = :o",
        o=owner,
    )
    run(
        "INSERT INTO message_files (file_id, chat_id, message_id, seq) SELECT f.id, :c, row_number() OVER (),"
        " row_number() OVER () FROM files f WHERE owner_id = :o AND unused_since IS NULL",
        c=chat_id,
        o=owner,
    )
    run("INSERT INTO removed_objects SELECT 'k' || n, now() + interval '1 day' FROM generate_series(1, :n) n", n=MANY)
    run("INSERT INTO released_histories SELECT -n, 1 FROM generate_series(1, :n) n", n=MANY)
    run("INSERT INTO untold_files SELECT gen_random_uuid(), 0, 0 FROM generate_series(1, :n)", n=MANY)
    run("INSERT INTO released_histories VALUES (:c, :n)", c=chat_id, n=MANY)
    found = scalar("SELECT file_id FROM message_files WHERE chat_id = :c AND seq = 5", c=chat_id)
    run("INSERT INTO untold_files VALUES (:id, 0, 0)", id=str(found))
    yield Filled(UUID(str(found)), chat_id)
    run("DELETE FROM message_files WHERE chat_id = :c", c=chat_id)
    run("DELETE FROM file_objects WHERE file_id IN (SELECT id FROM files WHERE owner_id = :o)", o=owner)
    run("DELETE FROM files WHERE owner_id = :o", o=owner)
    run("DELETE FROM removed_objects WHERE key LIKE 'k%'")
    run("DELETE FROM released_histories WHERE chat_id < 0 OR chat_id = :c", c=chat_id)
    run("DELETE FROM untold_files WHERE chat_id = 0")


@pytest.fixture(params=["never analysed", "analysed"], scope="module")
def known(request: pytest.FixtureRequest, filled: Filled) -> Filled:
    """The same, before and after PostgreSQL has counted what there is."""
    if request.param == "analysed":
        with engine().connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("ANALYZE"))
    engine().dispose()
    return filled


_WORK: dict[str, Work] = {
    "claim": lambda unit, it: processing.claim(unit, it.file_id, 60),
    "due": lambda unit, _: processing.due(unit, _BATCH),
    "note untold": lambda unit, _: processing.note_untold(unit, UUID(int=1)),
    "forgotten": lambda unit, _: references.forgotten(unit, 86_400, _BATCH),
    "deleted": lambda unit, _: references.deleted(unit, _BATCH),
    "hide a message": lambda unit, it: references.hide_message(unit, it.chat_id, 7),
    "mark in use": lambda unit, it: references.mark_in_use(unit, [it.file_id]),
    "lock": lambda unit, it: removal.lock(unit, [it.file_id]),
    "unshown": lambda unit, it: removal.unshown(unit, [it.file_id]),
    "objects due": lambda unit, _: objects.due(unit, _BATCH),
    "objects unknown": lambda unit, it: objects.note_unknown(unit, [str(it.file_id)]),
    "note a history": lambda unit, it: histories.note(unit, it.chat_id, MANY),
    "hold a history": lambda unit, it: histories.hold(unit, it.chat_id),
    "take of a history": lambda unit, it: histories.take(unit, it.chat_id, MANY, _BATCH),
    "end a history": lambda unit, it: histories.end(unit, it.chat_id, MANY),
    "histories due": lambda unit, _: histories.take_due(unit, _BATCH),
    "showing": lambda unit, it: shown_file_queries.showing(unit, it.file_id, Place(0, 0), _BATCH),
    "hold untold": lambda unit, it: shown_file_queries.hold_untold(unit, it.file_id),
    "untold due": lambda unit, _: shown_file_queries.take_due(unit, _BATCH),
    "showing chat": lambda unit, it: forget_queries.showing_chat(unit, it.file_id),
    "avatar chat": lambda unit, it: forget_queries.avatar_chat(unit, it.file_id),
}


@pytest.mark.parametrize("name", _WORK)
def test_a_statement_of_a_job_reads_no_table_whole_and_few_rows(known: Filled, name: str) -> None:
    with explained_statements() as statements, unit_of_work() as unit:
        savepoint = unit.connection.begin_nested()
        _WORK[name](unit, known)
        savepoint.rollback()
    assert statements
    for each in statements:
        assert not each.read_whole, each.scans
        assert each.rows <= 4 * _BATCH, each.scans
        assert each.blocks <= 16 * _BATCH + 60, each.scans
