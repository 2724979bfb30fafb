"""Counts the SQL statements that this process sends, those through the driver's own cursors too.

`with counted_statements() as statements:` fills the list while it lasts; the PREPARE that a connection sends once for
each prepared statement is left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from psycopg2 import extensions

from app.infra.db import engine
from tests.cursors import cursors_of

_lists: list[list[str]] = []


class _CountingCursor(extensions.cursor):
    """The driver's cursor, telling every list that listens."""

    def execute(self, query: Any, parameters: Any = None) -> None:
        statement = query.decode() if isinstance(query, bytes) else str(query)
        if not statement.startswith("PREPARE "):
            for statements in _lists:
                statements.append(" ".join(statement.split()))
        super().execute(query, parameters)


@contextmanager
def counted_statements() -> Iterator[list[str]]:
    """The statements sent by all threads of this process while the block runs, BEGIN and COMMIT not among them."""
    statements: list[str] = []

    with cursors_of(engine(), _CountingCursor):
        _lists.append(statements)
        try:
            yield statements
        finally:
            _lists.remove(statements)
