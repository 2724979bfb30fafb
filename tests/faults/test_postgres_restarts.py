"""PostgreSQL restarted at once under load: only 503s, no false acknowledgement, and the pools recover."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
import requests

from local.servers import Postgres
from tests.processes import Api, eventually, running_api

# A disk may take its time to keep each of the messages.
_PATIENCE = 120


@pytest.fixture
def postgres(data_dir: Path) -> Iterator[Postgres]:
    """A PostgreSQL of its own, which keeps its promises about the disk, so that it may be killed."""
    server = Postgres(data_dir / "killed")
    server.start()
    yield server
    server.stop()


@pytest.fixture
def api(data_dir: Path, postgres: Postgres) -> Iterator[Api]:
    """An API on that PostgreSQL."""
    import subprocess
    import sys

    environment = {"DATABASE_URL": postgres.url()}
    subprocess.run([sys.executable, "-m", "app.infra.migrations"], env=os.environ | environment, check=True)
    with running_api(data_dir, **environment) as process:
        yield process


def sign_up(api: Api, data_dir: Path) -> dict[str, str]:
    """An account made through the door, since this database is not that of the test process; its header."""
    phone = "+15550199999"
    body = {"phone": phone, "password": "correct horse", "first_name": "Ada", "username": "ada_restarts"}
    assert requests.post(f"{api.url}/api/auth/register", json=body, timeout=20).status_code == 202
    lines = (data_dir / "sms.log").read_text().splitlines()
    code = next(line for line in reversed(lines) if phone in line).split(": ")[1][:6]
    answer = requests.post(f"{api.url}/api/auth/verify", json={"phone": phone, "code": code}, timeout=20)
    return {"Authorization": f"Bearer {answer.json()['access_token']}", "User": str(answer.json()["user"]["id"])}


def test_a_kill_under_load_makes_only_503s_and_loses_no_acknowledged_message(
    api: Api, postgres: Postgres, data_dir: Path
) -> None:
    headers = sign_up(api, data_dir)
    chat = requests.post(
        f"{api.url}/api/chats", json={"type": "direct", "user_id": int(headers["User"])}, headers=headers, timeout=20
    ).json()["id"]
    statuses: list[int] = []
    acknowledged: list[str] = []
    stop = threading.Event()

    def send_all() -> None:
        while not stop.is_set():
            client_id = str(uuid4())
            answer = requests.post(
                f"{api.url}/api/messages",
                json={"chat_id": chat, "text": "x", "client_id": client_id},
                headers=headers,
                timeout=60,
            )
            statuses.append(answer.status_code)
            if answer.status_code == 201:
                acknowledged.append(client_id)
            elif answer.status_code == 503:
                assert int(answer.headers["Retry-After"]) >= 1

    senders = [threading.Thread(target=send_all) for _ in range(4)]
    for sender in senders:
        sender.start()
    try:
        eventually(lambda: len(acknowledged) > 100, _PATIENCE)
        for _ in range(2):
            # SIGQUIT is PostgreSQL's immediate shutdown: nobody is told, nothing is tidied up.
            assert postgres.pid is not None
            os.kill(postgres.pid, signal.SIGQUIT)
            eventually(lambda: not postgres.alive)
            before = len(acknowledged)
            postgres.start()
            eventually(lambda: len(acknowledged) > before + 100, _PATIENCE)  # noqa: B023 - runs within this round
    finally:
        stop.set()
        for sender in senders:
            sender.join()
    assert set(statuses) <= {201, 503}
    stored = [m["client_id"] for m in _history(api, chat, headers)]
    assert set(acknowledged) <= set(stored)
    assert len(stored) == len(set(stored))


def _history(api: Api, chat: int, headers: dict[str, str]) -> list[dict[str, str]]:
    found: list[dict[str, str]] = []
    query = "limit=100"
    while True:
        page = requests.get(f"{api.url}/api/chats/{chat}/messages?{query}", headers=headers, timeout=20).json()
        found += page["items"]
        if not page["has_more_before"]:
            return found
        query = f"limit=100&before={page['items'][-1]['id']}"
