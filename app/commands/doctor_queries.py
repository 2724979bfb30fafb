"""Every SQL statement of the doctor."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import text

from app.infra.db import UnitOfWork


class Server(NamedTuple):
    """The PostgreSQL server; `now` is its clock in Unix seconds, `timescale` None where it is not used."""

    version: str
    version_number: int
    now: float
    fsync: str
    synchronous_commit: str
    timescale: str | None


_SERVER = text("""
    SELECT current_setting('server_version'), current_setting('server_version_num')::integer,
           extract(epoch FROM clock_timestamp())::float8, current_setting('fsync'),
           current_setting('synchronous_commit'),
           (SELECT extversion FROM pg_extension WHERE extname = 'timescaledb')""")


def server(unit: UnitOfWork) -> Server:
    """What the server says of itself."""
    return Server._make(unit.execute(_SERVER).one())


def be_patient(unit: UnitOfWork) -> None:
    """Takes the statement time-out off this transaction, which looks at all there is, and lets it merge tables."""
    unit.execute(text("SET LOCAL statement_timeout = 0"))
    unit.execute(text("SET LOCAL enable_mergejoin = on"))
