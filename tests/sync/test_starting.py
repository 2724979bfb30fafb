"""An API process that starts says what PostgreSQL hides from it."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import text

from app.infra.db import engine, reading
from app.sync import queries
from tests.processes import Api, eventually


def is_tracked() -> bool:
    with reading() as unit:
        return queries.is_tracked(unit)


def test_an_api_process_warns_when_it_starts_where_sessions_are_not_tracked(data_dir: Path, tmp_path: Path) -> None:
    with engine().connect() as connection:
        connection.execute(text("SET track_activities = off"))
        # A session that waits in a transaction is ended after a while, and an API process takes its time to start.
        connection.commit()
        with Api(tmp_path).wait_ready() as blind:
            eventually(lambda: "sync_blind" in blind.log.read_text(), message="no warning")
        connection.invalidate()
    # The session ends a moment after its connection.
    eventually(is_tracked)
    with Api(tmp_path).wait_ready() as seeing:
        assert seeing.stop() == 0
        assert "sync_blind" not in seeing.log.read_text()
