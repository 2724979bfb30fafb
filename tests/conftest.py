"""Real servers for every test process: PostgreSQL and Valkey of its own, migrated once; API and workers on demand.

Tests do not clean up after themselves: each makes people and chats of its own, so they run in any order, in parallel.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

_FOLDER = Path(tempfile.mkdtemp(prefix="pp-"))
atexit.register(shutil.rmtree, _FOLDER, ignore_errors=True)
# Before anything reads the settings; what the machine's owner has set does not count here.
for _name in ("DATABASE_URL", "DB_HOST", "REDIS_URL", "REDIS_HOST", "BROKER_URL", "LIMITS_REDIS_URL", "UPLOAD_DIR"):
    os.environ.pop(_name, None)
for _name in [name for name in os.environ if name.startswith(("S3_", "AWS_"))]:
    del os.environ[_name]
os.environ.update(
    DATA_DIR=str(_FOLDER),
    ENVIRONMENT="test",
    JWT_SECRET="a secret of the tests, known to everybody",
    RATE_LIMIT_ENABLED="false",
    SMS_PROVIDER="console",
    # A machine that is busy is no defect; what is to run out of time says so itself.
    DB_STATEMENT_TIMEOUT="30s",
    DB_IDLE_IN_TRANSACTION_TIMEOUT="60s",
    SEARCH_PATIENCE="0",
)

from flask import Flask  # noqa: E402
from sqlalchemy import text  # noqa: E402

from app.factory import create_app  # noqa: E402
from app.infra.db import engine  # noqa: E402
from app.infra.jobs import QUEUES  # noqa: E402
from app.infra.migrations import upgrade  # noqa: E402
from app.infra.partitions import keep_back_to  # noqa: E402
from app.infra.redis import client  # noqa: E402
from app.infra.storage.s3_connection import Server  # noqa: E402
from local.servers import embedded_postgres, embedded_valkey  # noqa: E402
from tests.alone import database_alone, working_alone  # noqa: E402
from tests.people import Person, connections, make_people  # noqa: E402
from tests.processes import Api, Worker, eventually, running_api, running_worker  # noqa: E402
from tests.servers import running_s3  # noqa: E402


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of this test process; DATA_DIR of everything that it starts."""
    return _FOLDER


@pytest.fixture(scope="session", autouse=True)
def _servers(data_dir: Path) -> Iterator[None]:
    """PostgreSQL (without fsync: its data is thrown away) and Valkey, with the schema."""
    with embedded_postgres(data_dir, options={"fsync": "off"}), embedded_valkey(data_dir):
        upgrade()
        with engine().begin() as connection:
            # Some tests store messages of an hour ago: that may have been before the part of now.
            keep_back_to(connection, connection.scalar(text("SELECT message_id_at(now() - interval '1 day')")))
        yield
        connections().close()
        engine().dispose()


@pytest.fixture(scope="session")
def _database_alone(_servers: None, data_dir: Path) -> str:
    """The URL of the database that `alone` has."""
    return database_alone(data_dir)


@pytest.fixture
def alone(_database_alone: str, data_dir: Path) -> Iterator[None]:
    """A database and a Redis in which no process of other tests does anything; see tests/alone.py."""
    with working_alone(_database_alone, data_dir):
        yield


@pytest.fixture(scope="session")
def app(_servers: None) -> Flask:
    """The application inside this process, for tests that call services or count statements."""
    return create_app()


@pytest.fixture(scope="session")
def api(_servers: None, data_dir: Path) -> Iterator[Api]:
    """An API process."""
    with running_api(data_dir) as process:
        yield process


@pytest.fixture(scope="session")
def second_api(_servers: None, data_dir: Path) -> Iterator[Api]:
    """Another API process on the same PostgreSQL and Valkey."""
    with running_api(data_dir) as process:
        yield process


@pytest.fixture(scope="session")
def shared_worker(_servers: None, data_dir: Path) -> Iterator[Worker]:
    """A Celery worker of all queues; from here on it does what any test asks for."""
    # What was asked for before, nobody has waited for.
    client().delete(*QUEUES)
    with running_worker(data_dir) as process:
        yield process


@pytest.fixture
def worker(shared_worker: Worker) -> Worker:
    """That worker, once it has begun the last job that other tests have left: of those there may be hundreds."""
    eventually(lambda: not any(client().llen(queue) for queue in QUEUES), 120)
    return shared_worker


@pytest.fixture(scope="session")
def s3_server(data_dir: Path) -> Iterator[Server]:
    """An S3 server with an empty bucket."""
    with running_s3(data_dir) as server:
        yield server


@pytest.fixture
def people(app: Flask, api: Api) -> Callable[[int], list[Person]]:
    """Makes so many new people who use the API process."""
    return lambda count: make_people(app, count, api.url)
