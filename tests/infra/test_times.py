"""A time is written in one way, wherever it comes from."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask

from app.infra.db import Prepared, reading
from app.infra.times import from_text, rfc3339

_BOTH = Prepared("time_and_text", ("timestamptz",), "SELECT $1, $1::text")


@pytest.mark.parametrize("microseconds", [0, 1, 999, 1_000, 120_000, 123_000, 123_450, 123_456, 999_999])
def test_a_time_as_postgresql_writes_it_reads_like_one_that_was_an_object(app: Flask, microseconds: int) -> None:
    moment = datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC) + timedelta(microseconds=microseconds)
    with reading() as unit:
        ((found, written),) = _BOTH.rows(unit.connection, moment)
    assert from_text(written) == rfc3339(found) == f"2026-02-03T04:05:06.{microseconds // 1000:03}Z"
