"""Whose fault a failed attempt is: a chat that takes longer than the database waits is set aside, in time it is not."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence

import pytest
from prometheus_client import CollectorRegistry, Counter
from sqlalchemy import text
from structlog.testing import capture_logs

from app.errors import Unavailable
from app.infra import attempts as infra_attempts
from app.infra.attempts import Attempts
from app.infra.db import Prepared, UnitOfWork, engine, unit_of_work
from app.infra.set_aside import MOST_ATTEMPTS
from config import settings
from tests.factories import run, scalar

JOB = "tests.attempts"
_ONE = Prepared("attempts_one", ("integer",), "SELECT $1")


def believe_to_wait(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Attempts take the database to wait so long; its connections, which other tests have later, wait as ever."""
    believed = settings().model_copy(update={"db_idle_in_transaction_timeout": seconds})
    monkeypatch.setattr(infra_attempts, "settings", lambda: believed)


@pytest.fixture(autouse=True)
def _nothing_left(_servers: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A database that waits for a tenth of a second is what these tests have; nothing of them is left."""
    believe_to_wait(monkeypatch, 0.1)
    yield
    run("DELETE FROM set_aside_jobs WHERE job = :job", job=JOB)


def thinks_too_long(unit: UnitOfWork) -> None:
    unit.execute(text("SET LOCAL idle_in_transaction_session_timeout = 100"))
    time.sleep(0.3)
    _ONE.rows(unit.connection, 1)


def thinks_too_long_before_it_commits(unit: UnitOfWork) -> None:
    unit.execute(text("SET LOCAL idle_in_transaction_session_timeout = 100"))
    time.sleep(0.3)


def asks_too_much(unit: UnitOfWork) -> None:
    unit.execute(text("SET LOCAL statement_timeout = 20"))
    unit.execute(text("SELECT pg_sleep(1)"))


def waits_for_another(unit: UnitOfWork) -> None:
    # By its length alone it would be to blame.
    time.sleep(0.2)
    with engine().begin() as other:
        other.execute(text("SELECT pg_advisory_xact_lock(7)"))
        unit.execute(text("SET LOCAL lock_timeout = 20"))
        unit.execute(text("SELECT pg_advisory_xact_lock(7)"))


def finds_nobody(unit: UnitOfWork) -> None:
    raise Unavailable


Work = Callable[[UnitOfWork], None]


def attempted(work: Work) -> tuple[list[bool], object]:
    """What a chat's first attempts tell, and how many were counted in the end."""

    def all_of_it(chat_ids: Sequence[int]) -> None:
        with unit_of_work() as unit:
            work(unit)

    counter = Counter("attempts", "Of a test.", registry=CollectorRegistry())
    attempts = Attempts(JOB, all_of_it, counter)
    # Otherwise most of the time goes into colourful tracebacks.
    with capture_logs():
        told = [attempts.run([1], count_first=True) for _ in range(MOST_ATTEMPTS)]
    return told, scalar("SELECT attempts FROM set_aside_jobs WHERE job = :job", job=JOB)


@pytest.mark.parametrize("work", [thinks_too_long, thinks_too_long_before_it_commits, asks_too_much])
def test_a_chat_that_takes_longer_than_the_database_waits_is_set_aside(work: Work) -> None:
    assert attempted(work) == ([False, False, True], MOST_ATTEMPTS)


@pytest.mark.parametrize("work", [waits_for_another, finds_nobody])
def test_a_chat_is_not_to_blame_where_the_database_goes_away(work: Work) -> None:
    assert attempted(work) == ([False] * MOST_ATTEMPTS, 0)


def test_nor_where_its_connection_is_lost_before_the_database_would_have_ended_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    believe_to_wait(monkeypatch, 60)

    def loses_its_connection(unit: UnitOfWork) -> None:
        unit.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))

    assert attempted(loses_its_connection) == ([False] * MOST_ATTEMPTS, 0)
