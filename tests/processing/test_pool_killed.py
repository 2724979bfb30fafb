"""A worker as operators run it, whose process of the pool is killed while it looks at a file."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import partial
from pathlib import Path

import pytest
from celery import Celery
from sqlalchemy import text

from app.files.service import releasing, workplace
from app.infra import jobs
from app.infra.db import unit_of_work
from app.infra.storage import storage
from config import settings
from local.addresses import embedded_redis_url
from tests import factories
from tests.local.folders import alive, descendants
from tests.processes import Worker, eventually
from tests.processing.dying import Scene, delete, make_scene
from tests.processing.files import keys, row, stored

# A broker of its own, so that the workers of other tests take nothing from here.
_BROKER_NUMBER = 6
_PATIENT = {"DB_LOCK_TIMEOUT": "60s", "DB_STATEMENT_TIMEOUT": "60s"}

Waiting = Callable[[], bool]
Step = Callable[[Scene, socket.socket], AbstractContextManager[Waiting]]


@contextmanager
def held(statement: str, scene: Scene, _: socket.socket) -> Iterator[Waiting]:
    """Holds what the worker needs next; tells whether it waits for it."""
    with unit_of_work() as unit:
        unit.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
        unit.execute(text(statement.format(**scene._asdict())))
        own = unit.execute(text("SELECT pg_backend_pid()")).scalar_one()
        waiting = "SELECT count(*) FROM pg_stat_activity WHERE :own = ANY (pg_blocking_pids(pid))"
        yield lambda: factories.scalar(waiting, own=own) != 0


@contextmanager
def silent_clamd(_: Scene, server: socket.socket) -> Iterator[Waiting]:
    """A clamd that takes files and says nothing; tells whether one comes."""
    server.settimeout(0.05)
    taken: list[socket.socket] = []

    def comes() -> bool:
        with suppress(TimeoutError):
            taken.append(server.accept()[0])
        return bool(taken)

    with server:
        yield comes
        for each in taken:
            each.close()


@pytest.fixture
def clamd() -> Iterator[socket.socket]:
    """Where a clamd may listen; it is ours from before the worker is told of it."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


_STEPS: dict[str, Step] = {
    "claiming it": partial(held, "SELECT 1 FROM files WHERE id = '{file_id}' FOR UPDATE"),
    "having it scanned": silent_clamd,
    "noting what it stores": partial(held, "LOCK TABLE removed_objects IN SHARE MODE"),
    "writing what it found": partial(held, "LOCK TABLE file_objects IN SHARE MODE"),
    "telling of it": partial(held, "SELECT 1 FROM chats WHERE id = {chat_id} FOR UPDATE"),
}


def pool_process(worker: Worker) -> int | None:
    """The one process of the worker's pool; None while there is none."""
    path = Path(f"/proc/{worker.child.pid}/task/{worker.child.pid}/children")
    return next((int(pid) for pid in path.read_text().split()), None)


def is_told(scene: Scene) -> bool:
    found = factories.scalar("SELECT message_type FROM messages WHERE id = :id", id=scene.message_id)
    return row(scene.file_id)["status"] == "ready" and found == "image"


@pytest.fixture
def uploads(alone: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of files, and a database, in which nothing happens but this."""
    folder = tmp_path / "uploads"
    with monkeypatch.context() as patch:
        patch.setattr(settings(), "upload_dir", folder)
        patch.setenv("UPLOAD_DIR", str(folder))
        storage.cache_clear()
        yield folder
    storage.cache_clear()


@pytest.mark.parametrize("step", _STEPS)
def test_a_process_of_the_pool_killed_at_a_step_leaves_nothing_but_the_file(
    step: str, tmp_path: Path, data_dir: Path, clamd: socket.socket, uploads: Path
) -> None:
    broker = embedded_redis_url(data_dir, _BROKER_NUMBER)
    environment = _PATIENT | {"BROKER_URL": broker}
    if step == "having it scanned":
        environment["CLAMD_ADDRESS"] = f"127.0.0.1:{clamd.getsockname()[1]}"
    scene, producer = make_scene(), Celery("tests", set_as_current=False)
    jobs.configure(producer, settings().model_copy(update={"broker_url": broker}))
    with producer, Worker(tmp_path, **environment).wait_ready() as worker:
        with _STEPS[step](scene, clamd) as is_waiting:
            producer.send_task(
                jobs.PROCESS_FILE, kwargs={"file_id": str(scene.file_id)}, queue=jobs.JOBS[jobs.PROCESS_FILE]
            )
            eventually(is_waiting)
            killed = pool_process(worker)
            assert killed is not None
            below = descendants(killed)
            os.kill(killed, signal.SIGKILL)
            eventually(lambda: pool_process(worker) not in (None, killed))
        # The nursery and the child that looks end with the process that they are for.
        eventually(lambda: not below or not alive(*below))
        if step == "having it scanned":
            worker.stop()
    with producer, Worker(tmp_path, **_PATIENT, BROKER_URL=broker).wait_ready():
        # As if a day had passed.
        factories.run("UPDATE files SET try_after = now() WHERE id = :id", id=str(scene.file_id))
        factories.run(
            "UPDATE untold_files SET since = since - interval '1 day' WHERE file_id = :id", id=str(scene.file_id)
        )
        factories.run("UPDATE removed_objects SET due_at = now()")
        producer.send_task(jobs.SWEEP_FILES, queue=jobs.JOBS[jobs.SWEEP_FILES])
        eventually(lambda: is_told(scene))
    workplace.remove_abandoned()
    releasing.remove_objects()
    found = keys(scene.file_id)
    assert sorted(found) == ["medium", "original", "shared", "small"]
    assert stored() == set(found.values())
    assert list((uploads / "processing").iterdir()) == []
    delete(scene)
    assert stored() == set()
    assert factories.scalar("SELECT count(*) FROM files WHERE id = :id", id=str(scene.file_id)) == 0
