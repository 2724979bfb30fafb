"""API and worker together: what is sent while the API is busy is indexed once it is not."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests
from flask import Flask

from app.infra import busy, jobs
from app.infra.redis import client
from app.search import waiting
from tests.factories import make_chat
from tests.people import Person, make_people
from tests.processes import Api, eventually, running_api, running_worker
from tests.search.scenes import in_index, is_marked
from tests.unique import free_port

pytestmark = pytest.mark.usefixtures("alone_with_the_index")

_DONE = re.compile(rf'^paperplane_jobs_total{{job="{jobs.INDEX_MESSAGES}",outcome="done"}} ([0-9.]+)$', re.MULTILINE)


@contextmanager
def under_load(api: Api) -> Iterator[None]:
    """Meanwhile the API answers request after request."""
    is_over = threading.Event()

    def ask() -> None:
        with requests.Session() as session:
            while not is_over.is_set():
                session.get(f"{api.url}/readyz", timeout=60)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        is_over.set()
        for thread in threads:
            thread.join()


def jobs_done(port: int) -> float:
    """How many jobs of indexing a worker has done."""
    found = _DONE.search(requests.get(f"http://127.0.0.1:{port}/metrics", timeout=60).text)
    return float(found[1]) if found else 0.0


def found(person: Person, typed: str) -> list[int]:
    return [item["message"]["id"] for item in person.get("/messages/search", q=typed)["items"]]


def test_what_is_sent_while_the_api_is_busy_is_indexed_once_it_is_not(
    app: Flask, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Longer than the test takes, on a machine that is busy too.
    monkeypatch.setenv("SEARCH_PATIENCE", "30m")
    port = free_port()
    with running_api(data_dir, BUSY_PERCENT="1") as api, running_worker(data_dir, WORKER_METRICS_PORT=str(port)):
        person, other = make_people(app, 2, api.url)
        chat_id = make_chat([person.id, other.id])
        before = person.send(chat_id, "before it is busy")["id"]
        eventually(lambda: in_index(chat_id) == [before] and client().exists(waiting.KEY))
        with under_load(api):
            eventually(busy.is_told)
            meanwhile = person.send(chat_id, "while it is busy")["id"]
            eventually(lambda: is_marked(chat_id))
            done = jobs_done(port)
            eventually(lambda: jobs_done(port) >= done + 2)
            assert found(other, "busy") == [before]
        # Asking the API again and again would keep it busy.
        eventually(lambda: in_index(chat_id) == [before, meanwhile])
        assert found(other, "busy") == [meanwhile, before]
