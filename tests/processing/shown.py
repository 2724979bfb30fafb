"""Many messages that show a file each, made by SQL."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

from sqlalchemy import text

from app.infra.db import UnitOfWork, unit_of_work
from app.infra.storage import ANY_TYPE, new_key, storage
from tests.factories import insert_messages

_FILES = text("""
    INSERT INTO files (id, owner_id, name, size, status, unused_since)
    SELECT gen_random_uuid(), :owner_id, 'a', 1, 'ready', NULL FROM generate_series(1, :count) RETURNING id""")
_OBJECTS = text("""
    INSERT INTO file_objects (file_id, variant, key, mime_type, size)
    SELECT file_id, 'original', key, 'text/plain', 1
    FROM unnest(CAST(:file_ids AS uuid[]), CAST(:keys AS text[])) AS o (file_id, key)""")
_SHOW = text("""
    WITH shown AS (
      SELECT * FROM unnest(CAST(:file_ids AS uuid[]), CAST(:message_ids AS bigint[])) AS s (file_id, message_id)
    ), changed AS (
      UPDATE messages x SET file_id = s.file_id FROM shown s WHERE x.id = s.message_id)
    INSERT INTO message_files (file_id, chat_id, message_id, seq)
    SELECT s.file_id, x.chat_id, x.id, x.seq FROM shown s JOIN messages x ON x.id = s.message_id""")


def add_shown_files(owner_id: int, chat_id: int, count: int, are_stored: bool = False) -> list[UUID]:
    """The ids of so many new files, each shown by a new message of the chat; with objects where `are_stored`."""
    keys = [new_key() for _ in range(count)] if are_stored else []
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda key: storage().store(key, [b"x"], ANY_TYPE), keys))
    with unit_of_work() as unit:
        file_ids = list(unit.execute(_FILES, {"owner_id": owner_id, "count": count}).scalars())
        _show(unit, chat_id, owner_id, file_ids)
        texts = [str(file_id) for file_id in file_ids]
        unit.execute(_OBJECTS, {"file_ids": texts[: len(keys)], "keys": keys})
    return file_ids


def show_often(file_id: UUID, chat_id: int, sender_id: int, messages: int) -> None:
    """Has a file shown by so many new messages of a chat."""
    with unit_of_work() as unit:
        _show(unit, chat_id, sender_id, [file_id] * messages)


def _show(unit: UnitOfWork, chat_id: int, sender_id: int, file_ids: Sequence[UUID]) -> None:
    message_ids = insert_messages(unit, chat_id, [sender_id] * len(file_ids), "file")
    unit.execute(_SHOW, {"file_ids": [str(file_id) for file_id in file_ids], "message_ids": message_ids})
