"""PostgreSQL takes connections but says nothing: clients get their 503, and all goes on once it speaks again."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
import requests

from local.servers import Postgres
from tests.faults.hurting import hung_postgres
from tests.people import PASSWORD, Person, connections
from tests.processes import Api, eventually, running_api


@pytest.fixture(scope="module")
def postgres(data_dir: Path) -> Iterator[Postgres]:
    """A PostgreSQL of its own, so that it may be stopped."""
    server = Postgres(data_dir / "hung", options={"fsync": "off"})
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def api(data_dir: Path, postgres: Postgres) -> Iterator[Api]:
    """An API on that PostgreSQL, which waits for it for a short time only."""
    environment = {"DATABASE_URL": postgres.url()}
    subprocess.run([sys.executable, "-m", "app.infra.migrations"], env=os.environ | environment, check=True)
    waits = ("DB_STATEMENT_TIMEOUT", "DB_LOCK_TIMEOUT", "DB_CONNECT_TIMEOUT", "DB_POOL_TIMEOUT")
    short = dict.fromkeys(waits, "3s")
    with running_api(data_dir, **environment, **short) as process:
        yield process
        connections().close()  # The server would wait for more requests on them before it ends.


@pytest.fixture
def ada(api: Api, data_dir: Path) -> Person:
    """Somebody who signed up through the door, since this database is not that of the test process."""
    phone, username = "+15550188888", "ada_waits"
    body = {"phone": phone, "password": PASSWORD, "first_name": "Ada", "username": username}
    assert requests.post(f"{api.url}/api/auth/register", json=body, timeout=20).status_code == 202
    lines = (data_dir / "sms.log").read_text().splitlines()
    code = next(line for line in reversed(lines) if phone in line).split(": ")[1][:6]
    signed_in = requests.post(f"{api.url}/api/auth/verify", json={"phone": phone, "code": code}, timeout=20).json()
    return Person(signed_in["user"]["id"], phone, username, "", signed_in["access_token"], api.url)


def test_while_postgresql_hangs_requests_get_503_and_a_repeated_send_is_stored_once(
    ada: Person, postgres: Postgres
) -> None:
    chat_id = ada.direct_chat(ada)
    ada.send(chat_id, "before")
    message = {"chat_id": chat_id, "text": "during", "client_id": str(uuid4())}
    with hung_postgres(postgres):
        for answer in (ada.call("POST", "/messages", message), ada.call("GET", "/chats")):
            assert answer.status_code == 503
            assert int(answer.headers["Retry-After"]) >= 1
    eventually(lambda: ada.call("POST", "/messages", message).status_code in (200, 201))
    ada.send(chat_id, "after")
    history = ada.get(f"/chats/{chat_id}/messages")["items"]
    assert [message["text"] for message in history] == ["after", "during", "before"]
