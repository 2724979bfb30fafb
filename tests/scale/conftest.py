"""A database of its own for what must not grow with what is stored: its statistics and plans are nobody else's."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg2
import pytest
from sqlalchemy import make_url, text

from app.infra.db import engine, unit_of_work
from config import settings
from local.addresses import embedded_database_url
from tests.scale.actions import ACTIONS, Crowd, act, fill, write_in_the_long_chat
from tests.scale.explaining import Explained, explained_statements

_PROJECT = Path(__file__).parents[2]
_DATABASE = "scale"

# When the plans that connections keep were made.
TIMES = ("while the tables were empty", "once they were filled", "once they were analysed")

Observed = dict[str, dict[str, list[Explained]]]


@pytest.fixture(scope="session")
def _scale_url(_servers: None, data_dir: Path) -> str:
    """The URL of a migrated, empty database."""
    url = make_url(settings().database)
    connection = psycopg2.connect(dbname=url.database, user=url.username, host=url.query["host"])
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {_DATABASE}")
    connection.close()
    address = embedded_database_url(data_dir, _DATABASE)
    migrate = [sys.executable, "-m", "app.infra.migrations"]
    subprocess.run(migrate, cwd=_PROJECT, env=os.environ | {"DATABASE_URL": address}, check=True, capture_output=True)
    return address


@contextmanager
def _working_on(address: str) -> Iterator[None]:
    """Meanwhile this process works on another database, on new connections."""
    ours = settings().database_url
    engine().dispose()
    engine.cache_clear()
    settings().database_url = address
    try:
        yield
    finally:
        engine().dispose()
        engine.cache_clear()
        settings().database_url = ours


@pytest.fixture(scope="session")
def _observed(_scale_url: str) -> tuple[Crowd, Observed]:
    """The crowd, and what each statement of each action touched, by when the connection had planned it."""
    observed: Observed = {}
    with _working_on(_scale_url):
        for action in ACTIONS:
            act(action, Crowd.nobody())
        crowd = fill()
        for time in TIMES:
            if time == TIMES[2]:
                with unit_of_work() as unit:
                    unit.execute(text("ANALYZE"))
            write_in_the_long_chat(crowd)
            observed[time] = {}
            for action in ACTIONS:
                with explained_statements() as statements:
                    act(action, crowd)
                observed[time][action] = statements
            engine().dispose()
    return crowd, observed


@pytest.fixture
def observed(_observed: tuple[Crowd, Observed]) -> Observed:
    """What each statement touched, by time of planning and action."""
    return _observed[1]


@pytest.fixture
def crowd(_observed: tuple[Crowd, Observed], _scale_url: str) -> Iterator[Crowd]:
    """Who and what is in the database; until the test ends, this process works on it."""
    with _working_on(_scale_url):
        yield _observed[0]
