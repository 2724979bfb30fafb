"""Where the benchmarks of reading read: people, each with a chat, and what the answers must hold."""

from __future__ import annotations

import random
from dataclasses import dataclass

from psycopg2.extensions import connection

from app.web.pagination import encode_cursor
from bench.audience import CIRCLE, Audience

PAGE = 50
"""Messages of a page of history, as the API gives without a `limit`."""
BEHIND = 20
"""Messages that a client has missed."""

_IDS = "SELECT array_agg(id ORDER BY seq DESC) FROM messages WHERE chat_id = %s AND seq < %s AND seq >= %s - %s"
_LATEST = """
    SELECT array_agg(id ORDER BY id) FROM (
      SELECT id FROM messages WHERE chat_id = ANY (%s) AND seq > %s ORDER BY id DESC LIMIT %s) m"""


@dataclass(frozen=True, slots=True)
class Place:
    """A person in a chat."""

    person: int
    token: str
    chat: int
    chats: list[int]
    """All chats of the person."""
    newest: list[int]
    """The ids of the newest page of the chat."""
    before: int
    """The id of a message somewhere in the chat."""
    older: list[int]
    """The ids of the page before that message."""
    missed: list[int]
    """The ids of the last messages of all the person's chats, oldest first."""
    position: int
    """The revision of the one before these."""

    @property
    def cursor(self) -> str:
        """The cursor of a client that has all up to `position`."""
        return encode_cursor(self.position, self.position, False)


def sample(database: connection, audience: Audience, messages: int, count: int) -> list[Place]:
    """So many places all over the circles, whose chats have so many messages each; the same at every call."""
    choice = random.Random(1)
    places = []
    for number in range(count):
        circle = audience["circles"][number * len(audience["circles"]) // count]
        who, chat = number % CIRCLE, circle["chats"][choice.randrange(CIRCLE)]
        seq = choice.randint(PAGE + 1, messages)
        older = _ids(database, _IDS, chat, seq + 1, seq + 1, PAGE + 1)
        # Chats take turns, so the last messages of all of them have the last few seqs.
        latest = _ids(database, _LATEST, circle["chats"], messages - 2 * BEHIND, BEHIND + 1)
        places.append(
            Place(
                person=circle["people"][who],
                token=circle["tokens"][who],
                chat=chat,
                chats=circle["chats"],
                newest=_ids(database, _IDS, chat, messages + 1, messages + 1, PAGE),
                before=older[0],
                older=older[1:],
                missed=latest[1:],
                position=latest[0],
            )
        )
    return places


def _ids(database: connection, statement: str, *parameters: object) -> list[int]:
    with database.cursor() as cursor:
        cursor.execute(statement, parameters)
        row = cursor.fetchone()
    assert row is not None
    return list(row[0])
