"""A process that is killed may have committed what nobody was told: then all clients are asked to sync."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis
from flask import Flask
from sqlalchemy import text

from app.infra import jobs
from app.infra.redis_writer import RESYNC_CHANNEL
from config import settings
from local.servers import Valkey
from tests.faults.hurting import hung_valkey, kill_child, locked
from tests.people import connections, make_people
from tests.processes import Api, Process, Worker, eventually, running_api, running_worker
from tests.waiting import waiting_for
from tests.workers.scenes import sender_to

Environment = dict[str, str]


@pytest.fixture
def environment(tmp_path: Path, own_valkey: Valkey) -> Environment:
    """Of processes that know nothing of those of other tests."""
    return {
        "DATA_DIR": str(tmp_path),
        "DATABASE_URL": settings().database,
        "REDIS_URL": own_valkey.url(),
        "BROKER_URL": own_valkey.url(),
    }


@contextmanager
def listening(server: Valkey) -> Iterator[Callable[[], int]]:
    """Counts how often all hubs were asked to resync, up to when that is asked."""
    with redis.Redis.from_url(server.url()) as client, client.pubsub(ignore_subscribe_messages=True) as subscription:
        subscription.subscribe(RESYNC_CHANNEL)
        subscription.get_message(timeout=20)

        def count() -> int:
            client.publish(RESYNC_CHANNEL, b"end")
            heard = 0
            while True:
                message = subscription.get_message(timeout=20)
                if message is not None and message["data"] == b"end":
                    return heard
                heard += message is not None

        yield count


def start_api(folder: Path, environment: Environment) -> Api:
    return Api(folder, **environment).wait_ready()


def start_worker(folder: Path, environment: Environment) -> Worker:
    """A worker whose log is not of the one before."""
    logs = folder / f"worker-{len(list(folder.iterdir()))}"
    logs.mkdir()
    worker = Worker(logs, **environment).wait_ready()
    # Its pool is up: only then it does jobs.
    eventually(lambda: marks(environment), message="no process of the pool is marked")
    return worker


def marks(environment: Environment) -> list[Path]:
    """The marks of processes that run, or died."""
    return list((Path(environment["DATA_DIR"]) / "processes").glob("*.running"))


def test_a_deletion_that_a_killed_api_worker_could_not_tell_is_found_by_the_sync_that_all_are_asked_for(
    app: Flask, tmp_path: Path, environment: Environment, own_valkey: Valkey
) -> None:
    patient = environment | {"REDIS_TIMEOUT": "10s"}
    with running_api(tmp_path, **patient) as dying, running_api(tmp_path, **environment) as other:
        ada, bob = make_people(app, 2, dying.url)
        chat_id = ada.direct_chat(bob)
        message_id = ada.send(chat_id, "secret")["id"]
        with bob.socket(other.url) as socket:
            cursor = socket.hello["cursor"]
            with hung_valkey(own_valkey):
                # This one is on its way already; what comes after it waits for its answer, and dies waiting.
                ada.send(chat_id, "next")
                assert ada.call("DELETE", f"/messages/{message_id}?for=everyone").status_code == 204
                connections().close()
                kill_child(dying)
            socket.next("hello")
            assert all(event["event"] != "message_deleted" for event in socket.events)
            bob.url = other.url
            page = bob.get("/sync", cursor=cursor)
            assert [message["deleted"] for message in page["messages"] if message["id"] == message_id] == [True]
        connections().close()


@pytest.mark.parametrize("start", [start_api, start_worker])
def test_a_service_that_was_killed_as_a_whole_asks_all_to_sync_when_it_is_back(
    tmp_path: Path, environment: Environment, own_valkey: Valkey, start: Callable[[Path, Environment], Process]
) -> None:
    start(tmp_path, environment).kill()
    with listening(own_valkey) as heard:
        with start(tmp_path, environment) as again:
            # What a process still has to say it says before it ends.
            assert again.stop() == 0
        assert heard() == 1


@pytest.mark.parametrize("start", [start_api, start_worker])
def test_a_service_that_ended_in_order_asks_nobody_to_sync(
    tmp_path: Path, environment: Environment, own_valkey: Valkey, start: Callable[[Path, Environment], Process]
) -> None:
    with listening(own_valkey) as heard:
        for _ in range(2):
            with start(tmp_path, environment) as process:
                assert process.stop() == 0
        assert heard() == 0
    assert marks(environment) == []


def test_a_killed_process_of_a_workers_pool_has_all_asked_to_sync_by_the_one_that_follows(
    tmp_path: Path, environment: Environment, own_valkey: Valkey
) -> None:
    with listening(own_valkey) as heard, start_worker(tmp_path, environment) as worker:
        before = marks(environment)
        kill_child(worker)
        eventually(lambda: marks(environment) not in ([], before))
        worker.stop()
        assert heard() == 1


def test_a_worker_told_to_end_while_a_job_runs_asks_nobody_to_sync(
    tmp_path: Path, environment: Environment, own_valkey: Valkey
) -> None:
    with listening(own_valkey) as heard, running_worker(tmp_path, **environment) as worker:
        with sender_to(own_valkey.url()) as producer:
            for _ in range(50):
                producer.send_task(jobs.SWEEP_UNREAD, queue=jobs.JOBS[jobs.SWEEP_UNREAD])
        worker.stop()
        with start_worker(tmp_path, environment) as next_worker:
            next_worker.stop()
        assert heard() == 0


def test_a_frame_that_is_still_in_work_when_its_process_must_end_has_all_asked_to_sync(
    app: Flask, tmp_path: Path, environment: Environment, own_valkey: Valkey
) -> None:
    patient = environment | {"DB_LOCK_TIMEOUT": "60s", "DB_STATEMENT_TIMEOUT": "60s", "SHUTDOWN_TIMEOUT": "6s"}
    with listening(own_valkey) as heard:
        with running_api(tmp_path, **patient) as ending:
            ada, bob = make_people(app, 2, ending.url)
            chat_id = ada.direct_chat(bob)
            connections().close()
            held = locked("SELECT FROM chats WHERE id = :chat FOR UPDATE", chat=chat_id)
            with ada.socket() as socket, held as connection:
                socket.frame("message", {"chat_id": chat_id, "text": "committed or not"})
                eventually(lambda: waiting_for(connection) > 0)
                # Otherwise PostgreSQL would end this transaction, and let the frame go on, before the process ends.
                connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
                assert ending.stop() == 0
        with start_api(tmp_path, environment) as following:
            assert following.stop() == 0
        assert heard() == 1
