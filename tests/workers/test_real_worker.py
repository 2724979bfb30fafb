"""Workers as operators run them: jobs arrive, and a worker that is killed loses nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from celery import Celery

from app.infra import jobs
from app.infra.db import unit_of_work
from app.infra.redis import client
from local.addresses import embedded_redis_url
from tests import factories
from tests.processes import Worker, eventually
from tests.unique import free_port
from tests.waiting import waiting_for
from tests.workers.scenes import is_counted, make_chat_with_message, new_worker, sender_to

# A broker of its own, so that the workers of other tests take nothing from here.
_BROKER_NUMBER = 5


@pytest.fixture
def broker(alone: None, data_dir: Path) -> str:
    """The URL of the broker."""
    return embedded_redis_url(data_dir, _BROKER_NUMBER)


@pytest.fixture
def producer(broker: str) -> Iterator[Celery]:
    """Sends jobs to that broker."""
    with sender_to(broker) as app:
        yield app


def start(folder: Path, broker: str) -> Worker:
    """A worker that logs all it does as JSON."""
    return new_worker(folder, broker, LOG_FORMAT="json", LOG_LEVEL="debug")


def send(producer: Celery, name: str, **headers: str) -> str:
    return str(producer.send_task(name, queue=jobs.JOBS[name], headers=headers).id)


def test_a_job_runs_and_its_log_lines_name_the_job_and_the_request(
    tmp_path: Path, broker: str, producer: Celery
) -> None:
    chat_id = make_chat_with_message()
    client().sadd(jobs.DIRTY_CHATS, chat_id)
    with start(tmp_path, broker).wait_ready() as worker:
        job_id = send(producer, jobs.FANOUT_UNREAD, request_id="the-request")
        eventually(lambda: is_counted(chat_id))

        def lines() -> list[dict[str, object]]:
            found = [json.loads(line) for line in worker.log.read_text().splitlines() if line.startswith("{")]
            return [line for line in found if line.get("job_id") == job_id]

        eventually(lambda: any(line["event"] == "job_done" for line in lines()))
    assert {(line["job"], line["request_id"]) for line in lines()} == {(jobs.FANOUT_UNREAD, "the-request")}


def test_a_worker_killed_in_the_middle_loses_nothing(tmp_path: Path, broker: str, producer: Celery) -> None:
    chat_id = make_chat_with_message()
    client().sadd(jobs.DIRTY_CHATS, chat_id)
    with start(tmp_path, broker).wait_ready() as worker, unit_of_work() as holder:
        holder.connection.exec_driver_sql("SELECT 1 FROM user_chat_states WHERE chat_id = %s FOR UPDATE", (chat_id,))
        send(producer, jobs.FANOUT_UNREAD)
        eventually(lambda: waiting_for(holder.connection) == 1)
        worker.kill()
    assert client().scard(jobs.DIRTY_CHATS) == 0, "the worker had taken it"
    assert not is_counted(chat_id)
    # As if the worker had run since before the first sweep.
    factories.run("DELETE FROM sweep_marks")
    with start(tmp_path, broker).wait_ready():
        send(producer, jobs.SWEEP_UNREAD)
        eventually(lambda: is_counted(chat_id))


def test_a_worker_shows_its_metrics_where_it_is_told_to(tmp_path: Path, broker: str, producer: Celery) -> None:
    port = free_port()
    with Worker(tmp_path, BROKER_URL=broker, WORKER_METRICS_PORT=str(port)).wait_ready():
        send(producer, jobs.SWEEP_UNREAD)
        wanted = 'paperplane_jobs_total{job="messages.sweep_unread",outcome="done"} 1.0'
        eventually(lambda: wanted in requests.get(f"http://127.0.0.1:{port}/metrics", timeout=5).text)
