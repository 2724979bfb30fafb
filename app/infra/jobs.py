"""Jobs: every queue and every job's name in one place; enqueued by name, after the commit, without waiting.

State in the database tells what is due, so a job lost on the way is found by a sweep.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Collection
from functools import lru_cache
from typing import Any

import structlog
from celery import Celery

from app.infra import redis as redis_connections
from app.infra.db import UnitOfWork
from config import Settings, settings

log = structlog.get_logger(__name__)

# One pool of workers for each; named here and nowhere else.
QUEUES = ("messaging", "media", "calls", "search", "maintenance")

FANOUT_UNREAD = "messages.fan_out_unread"
SWEEP_UNREAD = "messages.sweep_unread"
UPDATE_STATUS = "messages.update_status"
SWEEP_STATUS = "messages.sweep_status"
TELL_MEMBERS = "chats.tell_members"
SWEEP_PRESENCE = "presence.sweep"
KEEP_PARTITIONS = "maintenance.keep_partitions"
SWEEP_EXPIRED = "maintenance.sweep_expired"

# The queue of each job.
JOBS: dict[str, str] = {
    FANOUT_UNREAD: "messaging",
    SWEEP_UNREAD: "messaging",
    UPDATE_STATUS: "messaging",
    SWEEP_STATUS: "messaging",
    TELL_MEMBERS: "messaging",
    SWEEP_PRESENCE: "messaging",
    KEEP_PARTITIONS: "maintenance",
    SWEEP_EXPIRED: "maintenance",
}

# The sets in Redis of chats whose unread counts, or whose messages' statuses, are behind.
DIRTY_CHATS = "fanout:dirty"
DIRTY_RECEIPTS = "receipts:dirty"

# Marks made within a moment become one job, which takes what the set holds.
_JOB_OF_MARKS: dict[str, str] = {DIRTY_CHATS: FANOUT_UNREAD, DIRTY_RECEIPTS: UPDATE_STATUS}

_LARGEST_BACKLOG = 10_000
_PAUSE_AFTER_FAILURE = 1.0


def configure(celery: Celery, current: Settings) -> Celery:
    """The settings that producers and workers share: routes, JSON, and time-outs everywhere."""
    timeout = current.redis_timeout
    celery.conf.update(
        broker_url=current.broker,
        task_routes={name: {"queue": queue} for name, queue in JOBS.items()},
        task_default_queue="maintenance",
        task_ignore_result=True,
        task_serializer="json",
        accept_content=["json"],
        broker_connection_timeout=timeout,
        broker_connection_retry_on_startup=True,
        broker_transport_options={
            "socket_timeout": timeout + 4,
            "socket_connect_timeout": timeout,
            "visibility_timeout": 60,
            "unacked_restore_interval": 2,
            "unacked_restore_throttle": 1,
        },
    )
    return celery


@lru_cache(maxsize=1)
def _producer() -> Celery:
    """The Celery app of a process that only enqueues; shares no code with the workers."""
    producer = configure(Celery("paperplane-producer", set_as_current=False), settings())
    producer.conf.broker_transport_options |= {"socket_timeout": settings().redis_timeout, "max_retries": 0}
    return producer


class _Sender:
    """The one thread (a greenlet under gevent) of this process that talks to the broker."""

    def __init__(self) -> None:
        self._waiting: deque[Callable[[], None]] = deque(maxlen=_LARGEST_BACKLOG)
        self._dirty: dict[str, set[int]] = {}
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None

    def submit(self, name: str, arguments: dict[str, Any], headers: dict[str, Any]) -> None:
        self._waiting.append(lambda: self._send(name, arguments, headers))
        self._launch()
        self._wake.set()

    def mark_dirty(self, marks: str, chat_ids: Collection[int]) -> None:
        with self._lock:
            first = not self._dirty
            dirty = self._dirty.setdefault(marks, set())
            # Past the bound the sweep finds the chat.
            if len(dirty) < _LARGEST_BACKLOG:
                dirty.update(chat_ids)
        # While marks wait for their moment, further ones need not wake anybody.
        if first:
            self._launch()
            self._wake.set()

    def _launch(self) -> None:
        if self._thread is None:
            with self._lock:
                if self._thread is None:
                    self._thread = threading.Thread(target=self._run, name="job-sender", daemon=True)
                    self._thread.start()

    def _run(self) -> None:
        next_marks = 0.0
        while True:
            # The pause between such jobs is what coalesces: chats marked meanwhile go as one job.
            self._wake.wait(max(0.0, next_marks - time.monotonic()) if self._dirty else None)
            self._wake.clear()
            while self._waiting:
                self._attempt(self._waiting.popleft())
            if self._dirty and time.monotonic() >= next_marks:
                pause = (
                    settings().fanout_interval_ms / 1000 if self._attempt(self._send_dirty) else _PAUSE_AFTER_FAILURE
                )
                next_marks = time.monotonic() + pause

    def _send_dirty(self) -> None:
        with self._lock:
            dirty, self._dirty = self._dirty, {}
        try:
            for marks, chat_ids in list(dirty.items()):
                redis_connections.client().sadd(marks, *chat_ids)
                self._send(_JOB_OF_MARKS[marks], {}, {})
                del dirty[marks]
        except Exception:
            # Marking twice is harmless; keeping them heals sooner than the sweep would.
            for marks, chat_ids in dirty.items():
                self.mark_dirty(marks, chat_ids)
            raise

    def _send(self, name: str, arguments: dict[str, Any], headers: dict[str, Any]) -> None:
        _producer().send_task(name, kwargs=arguments, queue=JOBS[name], headers=headers, retry=False)

    def _attempt(self, send: Callable[[], None]) -> bool:
        try:
            send()
        except Exception as error:  # The broker's libraries raise many kinds; a sweep redoes what is lost here.
            log.warning("job_not_enqueued", error=type(error).__name__)
            return False
        return True


@lru_cache(maxsize=1)
def _sender() -> _Sender:
    return _Sender()


def enqueue(unit: UnitOfWork, name: str, **arguments: Any) -> None:
    """Enqueues a job once the unit of work has committed; KeyError for a name that is not in JOBS."""
    if name not in JOBS:
        raise KeyError(name)
    request_id = structlog.contextvars.get_contextvars().get("request_id")
    headers = {"request_id": request_id} if request_id else {}
    unit.after_commit(lambda: _sender().submit(name, arguments, headers))


def mark_for_fanout(chat_id: int) -> None:
    """Asks for the unread fan-out of a chat whose new message has committed; many marks become one job."""
    _sender().mark_dirty(DIRTY_CHATS, (chat_id,))


def mark_for_receipts(chat_id: int) -> None:
    """Asks for the statuses and receipts of a chat where a mark has moved, in the same way."""
    _sender().mark_dirty(DIRTY_RECEIPTS, (chat_id,))
