"""Brings the schema up to date; `python -m app.infra.migrations` before the first process of a new version starts."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.engine import Connection

from app.infra.db import unit_of_work
from app.infra.partitions import keep_ahead

_FOLDER = Path(__file__).parents[2] / "migrations"


def _configuration() -> Config:
    configuration = Config(_FOLDER / "alembic.ini")
    configuration.set_main_option("script_location", str(_FOLDER))
    return configuration


def newest() -> str:
    """The revision that this code expects."""
    return ScriptDirectory.from_config(_configuration()).get_current_head() or ""


def current(connection: Connection) -> str | None:
    """The revision of the database; None where it was never migrated."""
    return MigrationContext.configure(connection).get_current_revision()


def upgrade(revision: str = "head") -> None:
    """Migrates the database of the settings up to `revision` and makes the parts of messages that lie ahead."""
    command.upgrade(_configuration(), revision)
    with unit_of_work() as unit:
        keep_ahead(unit.connection)


def downgrade(revision: str) -> None:
    """Takes migrations back down to `revision` (`base` for all)."""
    command.downgrade(_configuration(), revision)


if __name__ == "__main__":
    upgrade()
    with unit_of_work() as unit:
        print(f"The database is at migration {current(unit.connection)}.")
