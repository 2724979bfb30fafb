"""Prints the statements that a send of the application prepares, as PostgreSQL knows them, as JSON by name."""

from __future__ import annotations

import json
import sys

from sqlalchemy import text

from app.infra.db import reading
from app.messages.queries import Send, send_batch
from bench.people import session_id

_PREPARED = text("SELECT name, statement FROM pg_prepared_statements")


def prepared_by_a_send() -> dict[str, str]:
    """Sends one message and reads what that left prepared on the connection.

    Raises RuntimeError where the message is refused.
    """
    (sent,) = send_batch([Send(1, 1, str(session_id(1)), None, b"", "text", "The first message.", None)])
    if isinstance(sent, Exception) or sent.outcome != "sent":
        raise RuntimeError(f"The send was refused: {sent}")
    return prepared()


def prepared() -> dict[str, str]:
    """What is prepared on the connection that a reading or a send used last, by name."""
    # A reading has the connection that was given back last, by a send as well.
    with reading() as unit:
        return {row.name: row.statement for row in unit.execute(_PREPARED)}


if __name__ == "__main__":
    json.dump(prepared_by_a_send(), sys.stdout)
