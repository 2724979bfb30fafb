"""The embedded PostgreSQL and Valkey: start, stop, sudden death, and two of everything."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg2
import pytest
import redis

from local.addresses import socket_folder
from local.servers import InUse, Postgres, ServerError, Valkey, embedded_postgres, embedded_valkey
from tests.local.folders import alive, short_folder
from tests.processes import eventually

_PROJECT = Path(__file__).parents[2]
_CARELESS = {"fsync": "off"}
# Starts both servers, prints their process ids and waits to be killed.
_OWNER = """
import sys, time
from pathlib import Path
from local.servers import embedded_postgres, embedded_valkey
with embedded_postgres(Path(sys.argv[1])) as postgres, embedded_valkey(Path(sys.argv[1])) as valkey:
    print([postgres.pid, valkey.pid], flush=True)
    time.sleep(600)
"""


@pytest.fixture(scope="module")
def made() -> Iterator[Path]:
    """A folder in which PostgreSQL was started before; to make one takes a second each time."""
    with short_folder() as path, embedded_postgres(path, options=_CARELESS) as server:
        _sql(server, "SELECT 1")
        server.stop()
        yield path


@pytest.fixture
def folder(made: Path) -> Iterator[Path]:
    """A copy of it."""
    with short_folder() as path:
        shutil.copytree(made / "postgres", path / "postgres")
        yield path


@pytest.fixture
def new_folder() -> Iterator[Path]:
    """An empty folder."""
    with short_folder() as path:
        yield path


def _sql(server: Postgres, statement: str) -> Any:
    """The first value that the statement answers, in a transaction of its own."""
    connection = psycopg2.connect(server.url().replace("+psycopg2", ""))
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(statement)
            row = cursor.fetchone() if cursor.description else None
            return row[0] if row else None
    finally:
        connection.close()


def _redis(server: Valkey) -> redis.Redis:
    return redis.Redis.from_url(server.url(), decode_responses=True)


def _started_owner(folder: Path) -> tuple[subprocess.Popen[str], list[int]]:
    """A process that owns both servers, and their process ids."""
    owner = subprocess.Popen(
        [sys.executable, "-c", _OWNER, str(folder)], cwd=_PROJECT, stdout=subprocess.PIPE, text=True
    )
    assert owner.stdout is not None
    return owner, json.loads(owner.stdout.readline())


def _kill(owner: subprocess.Popen[str]) -> None:
    owner.kill()
    owner.wait()
    assert owner.stdout is not None
    owner.stdout.close()


def test_what_was_stored_is_there_at_the_second_start(new_folder: Path) -> None:
    with embedded_postgres(new_folder) as postgres, embedded_valkey(new_folder) as valkey:
        _sql(postgres, "CREATE TABLE kept AS SELECT 'ÄÖ' AS word")
        with _redis(valkey) as client:
            client.set("kept", "yes")
    with embedded_postgres(new_folder) as postgres, embedded_valkey(new_folder) as valkey:
        assert _sql(postgres, "SELECT word FROM kept WHERE word ILIKE 'äö'") == "ÄÖ"
        with _redis(valkey) as client:
            assert client.get("kept") == "yes"


def test_the_database_is_durable_unless_told_otherwise(folder: Path) -> None:
    with embedded_postgres(folder) as postgres:
        assert _sql(postgres, "SELECT current_setting('fsync') || current_setting('synchronous_commit')") == "onon"
        assert _sql(postgres, "SELECT current_user || current_database()") == "paperplanepaperplane"
    with embedded_postgres(folder, options=_CARELESS) as postgres:
        assert _sql(postgres, "SHOW fsync") == "off"


def test_the_servers_listen_on_no_port_and_other_users_cannot_reach_their_sockets(folder: Path) -> None:
    with embedded_postgres(folder, options=_CARELESS) as postgres, embedded_valkey(folder) as valkey:
        assert _sql(postgres, "SHOW listen_addresses") == ""
        with _redis(valkey) as client:
            assert client.config_get("port") == {"port": "0"}
        assert socket_folder(folder).stat().st_mode & 0o777 == 0o700


def test_a_killed_owner_leaves_no_server_behind_and_the_next_start_works(folder: Path) -> None:
    owner, servers = _started_owner(folder)
    assert alive(*servers)
    _kill(owner)
    # At once: the next start waits for what still stops.
    with embedded_postgres(folder) as postgres, embedded_valkey(folder):
        assert not alive(*servers)
        assert _sql(postgres, "SELECT 1") == 1


def test_two_owners_of_one_folder_are_refused_with_a_sentence(folder: Path) -> None:
    owner, _ = _started_owner(folder)
    try:
        with pytest.raises(InUse, match=f"already runs on {folder}.*{owner.pid}"):
            Postgres(folder).start()
        with pytest.raises(InUse, match="already runs"):
            Valkey(folder).start()
    finally:
        _kill(owner)


def test_two_folders_serve_side_by_side(folder: Path, new_folder: Path) -> None:
    with (
        embedded_postgres(folder, options=_CARELESS) as first,
        embedded_postgres(new_folder, options=_CARELESS) as second,
    ):
        _sql(first, "CREATE TABLE only_here (id int)")
        assert _sql(second, "SELECT to_regclass('only_here')") is None


def test_a_left_pid_file_that_names_another_process_does_not_hinder_the_start(folder: Path) -> None:
    with embedded_postgres(folder, options=_CARELESS):
        left = (folder / "postgres" / "postmaster.pid").read_text()
    # As after a power cut, with our own process in the place of the old server's.
    mine = "\n".join([str(os.getpid()), *left.splitlines()[1:]]) + "\n"
    (folder / "postgres" / "postmaster.pid").write_text(mine)
    (socket_folder(folder) / ".s.PGSQL.5432.lock").write_text(mine)
    with embedded_postgres(folder, options=_CARELESS) as server:
        assert _sql(server, "SELECT 1") == 1


def test_a_first_start_that_was_cut_short_is_begun_anew(new_folder: Path) -> None:
    half = new_folder / "postgres.init"
    half.mkdir()
    (half / "PG_VERSION").write_text("18\n")
    with embedded_postgres(new_folder, options=_CARELESS) as server:
        assert _sql(server, "SELECT 1") == 1
    assert not half.exists()


def test_a_server_that_was_killed_starts_again_with_all_that_was_committed(folder: Path) -> None:
    with embedded_postgres(folder) as postgres, embedded_valkey(folder, options={"appendfsync": "always"}) as valkey:
        _sql(postgres, "CREATE TABLE kept AS SELECT 1 AS id")
        with _redis(valkey) as client:
            client.set("kept", "yes")
        assert postgres.pid
        assert valkey.pid
        for pid in (postgres.pid, valkey.pid):
            os.kill(pid, signal.SIGKILL)
        eventually(lambda: not postgres.alive and not valkey.alive)
        postgres.start()
        valkey.start()
        assert _sql(postgres, "SELECT id FROM kept") == 1
        with _redis(valkey) as client:
            assert client.get("kept") == "yes"


def test_a_path_too_long_or_too_strange_for_a_socket_is_no_hindrance(new_folder: Path) -> None:
    strange = new_folder / "a, 'b' %20 ü" / ("long" * 30)
    with embedded_postgres(strange, options=_CARELESS) as postgres, embedded_valkey(strange) as valkey:
        assert _sql(postgres, "SELECT 1") == 1
        with _redis(valkey) as client:
            assert client.ping()
    shutil.rmtree(socket_folder(strange))


def test_a_socket_folder_that_is_a_link_is_refused(new_folder: Path) -> None:
    (new_folder / "elsewhere").mkdir()
    (new_folder / "run").symlink_to(new_folder / "elsewhere")
    with pytest.raises(ServerError, match="belongs to another user"):
        Valkey(new_folder).start()


def test_data_of_another_version_is_refused_with_a_sentence(folder: Path) -> None:
    (folder / "postgres" / "PG_VERSION").write_text("12\n")
    with pytest.raises(ServerError, match="made by PostgreSQL 12"):
        Postgres(folder).start()


def test_a_server_that_cannot_start_says_why(folder: Path) -> None:
    with pytest.raises(ServerError, match=r"did not start(?s:.*)no_such_setting"):
        Postgres(folder, options=_CARELESS | {"no_such_setting": "1"}).start()
