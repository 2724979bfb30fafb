"""Whatever dies, and whenever: after the sweeps there are as many objects as rows, and rows as references."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from app.infra.storage.s3_connection import Connection, Server
from local.servers import embedded_postgres
from tests.files.places import bucket_settings

_PROJECT = Path(__file__).parents[2]
_ALL = ["medium", "original", "shared", "small"]
_NOTHING = {"unknown": 0, "missing": 0, "noted": 0, "untold": 0, "folders": 0}


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The DATA_DIR of a PostgreSQL in which nothing happens but this."""
    folder = tmp_path_factory.mktemp("d")
    with embedded_postgres(folder, options={"fsync": "off"}):
        yield folder


@pytest.fixture
def on_disk(database: Path, tmp_path: Path) -> dict[str, str]:
    """Settings with which files are in a folder of one test alone."""
    return {"DATA_DIR": str(database), "UPLOAD_DIR": str(tmp_path / "uploads"), "LOG_LEVEL": "error"}


@pytest.fixture(params=["disk", "bucket"])
def environment(request: pytest.FixtureRequest, on_disk: dict[str, str]) -> dict[str, str]:
    """Settings with which files are in a folder, or in a bucket, of one test alone."""
    if request.param == "disk":
        return on_disk
    server: Server = request.getfixturevalue("s3_server")
    bucket = dataclasses.replace(server, bucket=f"own-{uuid4()}")
    Connection(bucket).client.create_bucket(Bucket=bucket.bucket)
    return on_disk | bucket_settings(bucket)


def killed_at_each_step(job: str, environment: dict[str, str], module: str = "dying") -> list[dict[str, Any]]:
    """What is left after each kill and its sweeps; the last one was not killed any more."""
    ended = subprocess.run(
        [sys.executable, "-m", f"tests.processing.{module}", job],
        cwd=_PROJECT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr[-4000:]
    told = [json.loads(line) for line in ended.stdout.splitlines() if line.startswith("{")]
    assert [each["killed"] for each in told] == [True] * (len(told) - 1) + [False]
    return told


def test_a_worker_killed_at_any_step_of_looking_at_a_file_leaves_nothing_but_the_file(
    environment: dict[str, str],
) -> None:
    told = killed_at_each_step("process", environment)
    assert len(told) > 15
    for each in told:
        assert each | _NOTHING | {"status": "ready", "variants": _ALL, "shown": 1, "type": "image"} == each
        assert each["after"] | _NOTHING | {"status": None, "variants": [], "shown": 0} == each["after"]


def test_a_process_killed_at_any_step_of_deleting_leaves_all_of_a_file_or_nothing(environment: dict[str, str]) -> None:
    told = killed_at_each_step("delete", environment)
    assert len(told) > 8
    for each in told:
        there: dict[str, Any] = {"status": "ready", "variants": _ALL}
        gone: dict[str, Any] = {"status": None, "variants": []}
        assert each | _NOTHING | (there if each["shown"] else gone) == each
    assert {each["shown"] for each in told} == {0, 1}


def test_the_end_of_a_chat_killed_at_any_step_leaves_all_of_its_files_or_none(on_disk: dict[str, str]) -> None:
    told = killed_at_each_step("steps", on_disk, "dying_history")
    assert len(told) > 30
    for each in told:
        files = 0 if each["ended"] else 3
        count = dict.fromkeys(("rows", "objects", "known", "references"), files)
        assert each | count | {"noted": 0, "due": 0} == each
    assert {each["ended"] for each in told} == {False, True}


def test_a_worker_killed_half_way_through_thousands_of_files_leaves_none(on_disk: dict[str, str]) -> None:
    half, after = killed_at_each_step("half", on_disk, "dying_history")
    assert 500 < half["rows"] < 2_500
    assert half["rows"] == half["references"] == half["known"]
    assert half["due"] == 1
    nothing = ("rows", "objects", "known", "references", "noted", "due")
    assert after | dict.fromkeys(nothing, 0) == after
