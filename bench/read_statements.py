"""The limit of reading: the very statements that the application executes for it, recorded, for pgbench to execute.

Run with places as JSON; prints pgbench's scripts for them.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from psycopg2 import extensions
from sqlalchemy import event

from app.chats.schemas import ChatQuery
from app.chats.service import list_chats
from app.infra.db import UnitOfWork, engine, reading
from app.infra.rested import rested
from app.messages.schemas import HistoryQuery
from app.messages.service import history
from app.sync.service import changes
from bench import pgbench
from bench.places import Place
from bench.stack import Stack
from bench.statements import prepared

Where = tuple[int, int, int, str]
"""A person, a chat, a message in it, and the cursor of a client."""

_READS: dict[str, Callable[[UnitOfWork, Where], object]] = {
    "newest page": lambda unit, where: history(unit, where[0], where[1], HistoryQuery()),
    "older page": lambda unit, where: history(unit, where[0], where[1], HistoryQuery(before=where[2])),
    "chats": lambda unit, where: list_chats(unit, where[0], ChatQuery()),
    "sync": lambda unit, where: changes(unit, where[0], where[3]),
}
_NAME = re.compile(r"EXECUTE (\w+)")
_NEXT = re.compile(r"; (EXECUTE|SET LOCAL) ")

_executed: list[str] = []


class _RecordingCursor(extensions.cursor):
    """The driver's cursor, which keeps what it executes, parameters filled in."""

    def execute(self, query: Any, parameters: Any = None) -> None:
        super().execute(query, parameters)
        statement = (self.query or b"").decode()
        if statement.startswith(("EXECUTE ", "SET LOCAL ")):
            # In one message, as the application sends it.
            _executed.append(_NEXT.sub(r" \\; \1 ", statement))


@contextmanager
def _recorded() -> Iterator[None]:
    def record(connection: extensions.connection, *_: object) -> None:
        connection.cursor_factory = _RecordingCursor

    rested(engine()).clear()
    event.listen(engine(), "checkout", record)
    try:
        yield
    finally:
        event.remove(engine(), "checkout", record)
        rested(engine()).clear()


def _scripts_for(places: Sequence[Where]) -> dict[str, list[str]]:
    executed: dict[str, list[list[str]]] = {}
    with _recorded():
        for kind, read in _READS.items():
            for where in places:
                _executed.clear()
                with reading() as unit:
                    read(unit, where)
                executed.setdefault(kind, []).append(list(_executed))
    statements = prepared()
    return {kind: [_script(statements, found) for found in each] for kind, each in executed.items()}


def _script(statements: dict[str, str], executed: Sequence[str]) -> str:
    names = [name for statement in executed for name in _NAME.findall(statement)]
    return pgbench.preparing(*(statements[name] for name in dict.fromkeys(names))) + ";\n".join([*executed, ""])


def scripts(stack: Stack, places: Sequence[Place]) -> dict[str, list[str]]:
    """pgbench's scripts by what is read, one for each place; on a filled stack."""
    wheres: list[Where] = [(place.person, place.chat, place.before, place.cursor) for place in places]
    found: dict[str, list[str]] = json.loads(stack.run("-m", "bench.read_statements", json.dumps(wheres)))
    return found


if __name__ == "__main__":
    json.dump(_scripts_for(json.loads(sys.argv[1])), sys.stdout)
