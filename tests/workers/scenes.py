"""Chats with work for workers, and workers and senders of jobs that have a broker to themselves."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from celery import Celery

from app.infra import jobs, sweeps
from config import settings
from tests import factories
from tests.processes import Worker


def make_chat_with_message() -> int:
    """A chat of two with a message that no worker has counted."""
    people = factories.make_users(2)
    chat_id = factories.make_chat(people)
    factories.send_messages(chat_id, [people[0]])
    return chat_id


def is_counted(chat_id: int) -> bool:
    """Whether a worker has counted all messages of the chat."""
    return bool(factories.scalar("SELECT fanned_out_seq = last_seq FROM chats WHERE id = :c", c=chat_id))


def done_while_another_runs(name: str, sweep: Callable[[], int]) -> int:
    """What a sweep does while another one of that name runs."""
    with sweeps.only_one(name) as alone:
        assert alone
        done: list[int] = []
        second = threading.Thread(target=lambda: done.append(sweep()))
        second.start()
        second.join(20)
        (handled,) = done
    return handled


@contextmanager
def sender_to(broker: str) -> Iterator[Celery]:
    """Sends jobs to the broker with that URL."""
    current = settings().model_copy(update={"broker_url": broker})
    with jobs.configure(Celery("tests", set_as_current=False), current) as app:
        yield app


def new_worker(folder: Path, broker: str, **environment: str) -> Worker:
    """A worker on that broker, whose log is in a new folder, so that nothing there is of another."""
    return Worker(Path(tempfile.mkdtemp(dir=folder)), BROKER_URL=broker, **environment)
