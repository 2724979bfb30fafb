"""`doctor` finds what is broken, says what to do, and tells it by its exit code."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from app.commands.__main__ import main
from app.commands.checks import database, machine
from app.commands.checks import redis as redis_checks
from app.commands.checks.finding import Finding, Level
from app.infra import jobs
from app.infra.db import UnitOfWork, engine, reading
from app.infra.redis import client
from config import Settings, settings
from local.addresses import embedded_redis_url
from tests import factories
from tests.processes import Worker, eventually


def found(findings: Iterable[Finding], subject: str) -> Finding:
    return next(finding for finding in findings if finding.subject == subject)


@pytest.fixture
def current() -> Settings:
    """A copy of the settings that a test may change."""
    return settings().model_copy()


def test_a_good_database_is_found_good(current: Settings) -> None:
    levels = {finding.subject: finding.level for finding in database.check(current)}
    # The tests' own server runs without fsync, which is worth a warning.
    assert levels.pop("Durability") is Level.WARNING
    assert levels.pop("Jobs set aside", Level.GOOD) in (Level.GOOD, Level.WARNING)
    assert set(levels.values()) == {Level.GOOD}


def test_a_missing_migration_is_found(current: Settings) -> None:
    version = factories.scalar("SELECT version_num FROM alembic_version")
    factories.run("DELETE FROM alembic_version")
    try:
        finding = found(database.check(current), "Migrations")
    finally:
        factories.run("INSERT INTO alembic_version VALUES (:v)", v=version)
    assert finding.level is Level.BROKEN
    assert "app.infra.migrations" in finding.advice


def test_a_database_without_durability_is_broken_in_production(current: Settings) -> None:
    current.environment = "production"
    assert found(database.check(current), "Durability").level is Level.BROKEN


@pytest.fixture
def reader() -> Iterator[UnitOfWork]:
    """A unit of a role that may read the tables and see its own sessions only, beside another that may write them."""
    factories.run("CREATE ROLE reader")
    factories.run("CREATE ROLE writer LOGIN")
    factories.run("GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader")
    factories.run("GRANT UPDATE ON messages TO writer")
    with engine().connect() as connection:
        connection.execute(text("SET ROLE reader"))
        try:
            yield UnitOfWork(connection)
        finally:
            connection.invalidate()
    for role in ("reader", "writer"):
        factories.run(f"DROP OWNED BY {role}")
        factories.run(f"DROP ROLE {role}")


def test_another_role_that_writes_and_is_hidden_is_found(reader: UnitOfWork) -> None:
    finding = database.catching_up(reader)
    assert finding.level is Level.BROKEN
    assert "writer" in finding.text
    assert "pg_read_all_stats" in finding.advice


def test_a_role_that_may_see_all_sessions_misses_nobody(reader: UnitOfWork) -> None:
    factories.run("GRANT pg_read_all_stats TO reader")
    assert database.catching_up(reader).level is Level.GOOD


def test_a_hidden_session_of_a_superuser_is_worth_a_warning(reader: UnitOfWork) -> None:
    factories.run("ALTER ROLE writer NOLOGIN")
    finding = database.catching_up(reader)
    assert finding.level is Level.WARNING
    assert str(factories.scalar("SELECT current_user")) in finding.text


def test_sessions_that_are_not_tracked_are_found() -> None:
    with engine().connect() as connection:
        connection.execute(text("SET track_activities = off"))
        try:
            with reading() as unit:
                finding = database.catching_up(unit)
        finally:
            connection.invalidate()
    assert finding.level is Level.WARNING
    assert "track_activities" in finding.text
    # The session ends a moment after its connection.
    eventually(lambda: found(database.check(settings()), "Catching up").level is Level.GOOD)


def test_jobs_set_aside_are_listed(current: Settings) -> None:
    factories.run(
        "INSERT INTO set_aside_jobs (job, subject, attempts, error) VALUES (:job, '1', 3, 'why')",
        job=jobs.FANOUT_UNREAD,
    )
    finding = found(database.check(current), "Jobs set aside")
    factories.run("DELETE FROM set_aside_jobs")
    assert finding.level is Level.WARNING
    assert "why" in finding.text


def test_an_eviction_policy_that_loses_jobs_is_found(current: Settings) -> None:
    client().config_set("maxmemory-policy", "allkeys-lru")
    try:
        finding = found(redis_checks.check(current), "Redis's eviction")
    finally:
        client().config_set("maxmemory-policy", "noeviction")
    assert finding.level is Level.BROKEN
    assert found(redis_checks.check(current), "Redis's eviction").level is Level.GOOD


def test_a_redis_that_is_away_is_found(current: Settings) -> None:
    current.redis_url = "redis://127.0.0.1:1/0"
    assert found(redis_checks.check(current), "Redis").level is Level.BROKEN


def test_queues_without_a_worker_are_found_and_those_with_one_are_not(
    current: Settings, data_dir: Path, tmp_path: Path
) -> None:
    current.broker_url = embedded_redis_url(data_dir, 6)
    finding = found(redis_checks.check(current), "Workers")
    assert finding.level is Level.BROKEN
    assert "messaging" in finding.text
    with Worker(tmp_path, BROKER_URL=current.broker_url).wait_ready():
        # It is asked for a moment only, in which one that is busy says nothing.
        eventually(lambda: found(redis_checks.check(current), "Workers").level is Level.GOOD)


def test_clocks_that_disagree_are_found() -> None:
    assert database.skew("A clock", 0.2).level is Level.GOOD
    assert database.skew("A clock", -2).level is Level.WARNING
    assert database.skew("A clock", 60).level is Level.BROKEN


def test_a_provider_of_codes_without_its_account_is_found(current: Settings) -> None:
    current.sms_provider = "twilio"
    assert found(machine.check(current), "SMS").level is Level.BROKEN


def test_too_few_open_files_are_found(current: Settings) -> None:
    current.web_connections = 10_000_000_000
    assert found(machine.check(current), "Open files").level is Level.WARNING


def test_the_requests_that_come_beside_the_sockets_need_files_too(
    current: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("resource.getrlimit", lambda _: (5_000, 5_000))
    current.web_connections = 2_400
    finding = found(machine.check(current), "Open files")
    assert (finding.level, "5100" in finding.text) == (Level.WARNING, True)
    current.web_connections = 2_300
    assert found(machine.check(current), "Open files").level is Level.GOOD


def test_a_wrong_unread_count_is_found_and_makes_the_exit_code_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # Other tests of this process leave counts behind that are wrong on purpose; all are to be shown.
    monkeypatch.setattr("app.commands.doctor._SHOWN_DIFFERENCES", 100_000)
    (user,) = factories.make_users(1)
    chat_id = factories.make_chat([user])
    factories.run("UPDATE user_chat_states SET unread_count = 7 WHERE chat_id = :c", c=chat_id)
    try:
        assert main(["doctor", "--recount"]) == 1
    finally:
        factories.run("UPDATE user_chat_states SET unread_count = 0 WHERE chat_id = :c", c=chat_id)
    assert f"chat {chat_id}, user {user}: 7 instead of 0" in capsys.readouterr().out


def test_the_summary_holds_no_secret(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(settings(), "redis_url", "redis://:hush@127.0.0.1:1/0")
    assert main(["doctor"]) == 1
    told = capsys.readouterr().out
    assert "hush" not in told
    assert settings().signing_secret not in told
