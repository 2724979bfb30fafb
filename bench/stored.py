"""Whether the database holds what was acknowledged, each message once, and nothing else."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence

from psycopg2.extensions import connection

_PLACES = "SELECT id, last_seq FROM chats"
_SINCE = """
    SELECT m.id, m.chat_id, m.seq, m.client_id::text
    FROM unnest(%s::bigint[], %s::bigint[]) AS p (chat_id, seq)
    JOIN messages m ON m.chat_id = p.chat_id AND m.seq > p.seq"""
_BEHIND = "SELECT count(*) FROM chats WHERE last_seq > fanned_out_seq"
_PAUSE = 0.05

Stored = tuple[int, int, int, str]


def places(database: connection) -> dict[int, int]:
    """The last seq of every chat."""
    with database.cursor() as cursor:
        cursor.execute(_PLACES)
        return dict(cursor.fetchall())


def since(database: connection, before: dict[int, int]) -> list[Stored]:
    """The id, chat, seq and client_id of all messages past those places."""
    with database.cursor() as cursor:
        cursor.execute(_SINCE, (list(before), list(before.values())))
        return cursor.fetchall()


def problems_of(stored: Sequence[Stored], before: dict[int, int], acknowledged: Sequence[int]) -> list[str]:
    """What is wrong between the rows and what was acknowledged; empty where all is well."""
    ids = Counter(row[0] for row in stored)
    clients = Counter(row[3] for row in stored)
    seqs: dict[int, list[int]] = {}
    for _, chat, seq, _ in stored:
        seqs.setdefault(chat, []).append(seq)
    gaps = sum(
        sorted(found) != list(range(before[chat] + 1, before[chat] + 1 + len(found))) for chat, found in seqs.items()
    )
    counts = {
        "messages were acknowledged and are not stored": len(set(acknowledged) - ids.keys()),
        "messages are stored and were not acknowledged": len(ids.keys() - set(acknowledged)),
        "messages were acknowledged twice": len(acknowledged) - len(set(acknowledged)),
        "client_ids are stored more than once": sum(count > 1 for count in clients.values()),
        "chats have gaps or doubles in seq": gaps,
    }
    return [f"{count} {what}" for what, count in counts.items() if count]


def wait_for_fanout(database: connection, seconds: float) -> float | None:
    """Waits until the unread counts of all chats are up to date; how long that took, None where it took too long."""
    began = time.monotonic()
    with database.cursor() as cursor:
        while time.monotonic() < began + seconds:
            cursor.execute(_BEHIND)
            row = cursor.fetchone()
            if row is not None and row[0] == 0:
                return time.monotonic() - began
            time.sleep(_PAUSE)
    return None
