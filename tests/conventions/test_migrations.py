"""The schema that migrations make is the one that the models describe, and every migration goes back."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg2
import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Table, text
from sqlalchemy.engine import make_url

from app.infra import db, migrations, partitions
from app.models import metadata
from config import settings
from tests.processes import eventually

_PROJECT = Path(__file__).parents[2]


@contextmanager
def empty_database(monkeypatch: pytest.MonkeyPatch, name: str) -> Iterator[None]:
    """Another database on this test process' server, without a schema, as that of the settings."""
    url = make_url(settings().database)
    admin = psycopg2.connect(host=url.query["host"], user=url.username, dbname=url.database)
    admin.autocommit = True
    with admin.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name}")
    other = url.set(database=name).render_as_string(hide_password=False)
    monkeypatch.setattr(settings(), "database_url", other)
    db.engine.cache_clear()
    try:
        yield
    finally:
        db.engine().dispose()
        db.engine.cache_clear()
        monkeypatch.undo()
        with admin.cursor() as cursor:
            cursor.execute(f"DROP DATABASE {name} WITH (FORCE)")
        admin.close()


def is_ours(_: object, name: str | None, kind: str, *__: object) -> bool:
    """Leaves the parts of messages out, which no model describes."""
    return not (kind == "table" and name is not None and name.startswith("messages_"))


def test_migrations_make_what_the_models_describe(monkeypatch: pytest.MonkeyPatch) -> None:
    with empty_database(monkeypatch, "compared"):
        migrations.upgrade()
        with db.engine().connect() as connection:
            context = MigrationContext.configure(
                connection, opts={"include_object": is_ours, "compare_server_default": False}
            )
            assert compare_metadata(context, metadata) == []


def test_every_migration_goes_back_and_forth(monkeypatch: pytest.MonkeyPatch) -> None:
    with empty_database(monkeypatch, "back_and_forth"):
        migrations.upgrade()
        migrations.downgrade("base")
        with db.engine().connect() as connection:
            left = connection.scalars(
                text("SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'alembic_version'")
            )
            assert list(left) == []
        migrations.upgrade()
        with db.engine().connect() as connection:
            assert migrations.current(connection) == migrations.newest()


def test_parts_of_messages_are_made_ahead_and_only_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with empty_database(monkeypatch, "parts"):
        migrations.upgrade()
        with db.engine().begin() as connection:
            assert partitions.is_native(connection)
            assert partitions.parts_left(connection) == partitions.PARTS_AHEAD
            assert partitions.keep_ahead(connection) == []
            assert len(partitions.keep_ahead(connection, partitions.PARTS_AHEAD + 2)) == 2
            names = connection.scalars(text("SELECT indexrelid::regclass::text FROM pg_index")).all()
            assert any("messages_" in name for name in names)


def test_no_foreign_key_points_from_or_to_messages() -> None:
    for table in metadata.tables.values():
        for key in table.foreign_keys:
            target: Table = key.column.table
            assert "messages" not in (table.name, target.name)


def test_two_who_migrate_at_the_same_moment_both_come_to_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    with empty_database(monkeypatch, "migrated_twice"):
        environment = os.environ | {"DATABASE_URL": settings().database}
        command = [sys.executable, "-m", "app.infra.migrations"]
        runners = [
            subprocess.Popen(command, cwd=_PROJECT, env=environment, stderr=subprocess.PIPE, text=True)
            for _ in range(3)
        ]
        problems = [runner.communicate(timeout=300)[1] for runner in runners]
        assert [runner.returncode for runner in runners] == [0, 0, 0], problems


def test_who_waits_to_migrate_holds_nothing_that_the_first_one_waits_for(monkeypatch: pytest.MonkeyPatch) -> None:
    with empty_database(monkeypatch, "waited_for"):
        environment = os.environ | {"DATABASE_URL": settings().database}
        with db.engine().connect().execution_options(isolation_level="AUTOCOMMIT") as first:
            first.execute(text("SET statement_timeout = '120s'"))
            first.execute(text("SET lock_timeout = '120s'"))
            first.execute(text("SELECT pg_advisory_lock(:lock)"), {"lock": int.from_bytes(b"migrate")})
            first.execute(text("CREATE TABLE a_table (id bigint)"))
            runner = subprocess.Popen([sys.executable, "-m", "app.infra.migrations"], cwd=_PROJECT, env=environment)
            try:
                waiting = text("""
                    SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
                      AND pid <> pg_backend_pid() AND query ~ 'advisory_lock|ROLLBACK'""")
                eventually(lambda: first.scalar(waiting) == 1)
                # Waits for all that is read or written meanwhile.
                first.execute(text("CREATE INDEX CONCURRENTLY an_index ON a_table (id)"))
                first.execute(text("SELECT pg_advisory_unlock_all()"))
                assert runner.wait(300) == 0
            finally:
                runner.kill()
                runner.wait()
