"""Runs the migrations on the database of the settings, one runner at a time, giving up locks after 2 s."""

from __future__ import annotations

import time

from alembic import context
from sqlalchemy import text

from app.infra.connections import make_engine
from app.models import metadata
from config import settings

_LOCK = 0x6D696772617465  # "migrate"


def run() -> None:
    """Migrates over one connection; a second runner waits until the first is done."""
    engine = make_engine(settings())
    with engine.connect() as connection:
        connection.execute(text("SET statement_timeout = 0"))
        connection.execute(text("SET lock_timeout = 0"))
        connection.commit()
        # Asked again and again: who waits inside a statement keeps a snapshot, for which CONCURRENTLY waits in turn.
        while not connection.scalar(text("SELECT pg_try_advisory_lock(:lock)"), {"lock": _LOCK}):
            connection.rollback()
            time.sleep(0.2)
        connection.execute(text("SET lock_timeout = '2s'"))
        connection.commit()
        try:
            context.configure(connection=connection, target_metadata=metadata, transaction_per_migration=True)
            with context.begin_transaction():
                context.run_migrations()
        finally:
            connection.rollback()
            connection.execute(text("SELECT pg_advisory_unlock(:lock)"), {"lock": _LOCK})
            connection.commit()
    engine.dispose()


run()
