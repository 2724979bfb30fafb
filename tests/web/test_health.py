"""Live and ready."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from sqlalchemy import text

from app.infra.db import unit_of_work
from app.infra.redis import make_client
from app.web import health
from local.servers import embedded_valkey
from tests.counting import counted_statements


def test_live_asks_nobody(client: FlaskClient) -> None:
    with counted_statements() as statements:
        response = client.get("/healthz")
    assert (response.status_code, response.json) == (200, {"status": "ok"})
    assert statements == []


def test_ready_when_database_migrations_and_redis_are(client: FlaskClient) -> None:
    response = client.get("/readyz")
    assert response.status_code == 200
    assert response.json == {"status": "ready", "checks": {"database": "ok", "migrations": "ok", "redis": "ok"}}


@pytest.mark.parametrize("is_hung", [False, True])
def test_not_ready_with_redis_away_or_hung(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, is_hung: bool
) -> None:
    with embedded_valkey(tmp_path) as server:
        unhappy = make_client(server.url())
        monkeypatch.setattr(health, "client", lambda: unhappy)
        assert client.get("/readyz").status_code == 200
        assert server.pid is not None
        os.kill(server.pid, signal.SIGSTOP if is_hung else signal.SIGKILL)
        try:
            response = client.get("/readyz")
        finally:
            if is_hung:
                os.kill(server.pid, signal.SIGCONT)
    assert response.status_code == 503
    assert response.headers["Retry-After"] == "2"
    assert response.json is not None
    failed = {name for name, result in response.json["checks"].items() if result != "ok"}
    assert failed == {"redis"}


@pytest.mark.parametrize(("revision", "status"), [("0000", 503), ("9999", 200)])
def test_ready_only_with_the_migrations_that_this_code_needs(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch, revision: str, status: int
) -> None:
    with unit_of_work() as unit:
        unit.execute(text("CREATE TABLE IF NOT EXISTS alembic_version_of_test (version_num text)"))
        unit.execute(text("DELETE FROM alembic_version_of_test"))
        unit.execute(text("INSERT INTO alembic_version_of_test VALUES (:revision)"), {"revision": revision})
    monkeypatch.setattr(health, "_CURRENT_MIGRATION", text("SELECT version_num FROM alembic_version_of_test"))
    response = client.get("/readyz")
    with unit_of_work() as unit:
        unit.execute(text("DROP TABLE alembic_version_of_test"))
    assert response.status_code == status
    assert response.json is not None
    assert (response.json["checks"]["migrations"] == "ok") == (status == 200)


def test_not_ready_without_a_schema(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "_CURRENT_MIGRATION", text("SELECT version_num FROM no_such_table"))
    response = client.get("/readyz")
    assert response.status_code == 503
    assert "no_such_table" not in response.text
