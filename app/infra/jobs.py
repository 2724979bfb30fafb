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
INDEX_MESSAGES = "search.index_messages"
SWEEP_SEARCH = "search.sweep"
TELL_MEMBERS = "chats.tell_members"
FORGET_FILE = "messages.forget_file"
TELL_OF_FILE = "messages.tell_of_file"
PROCESS_FILE = "files.process"
RELEASE_FILE = "files.release"
RELEASE_HISTORY = "files.release_history"
REMOVE_OBJECTS = "files.remove_objects"
SWEEP_FILES = "files.sweep"
SWEEP_STORAGE = "files.sweep_storage"
SWEEP_PRESENCE = "presence.sweep"
SWEEP_CALLS = "calls.sweep"
END_BARRED = "calls.end_barred"
CLEAR_ROOMS = "calls.clear_rooms"
KEEP_PARTITIONS = "maintenance.keep_partitions"
SWEEP_EXPIRED = "maintenance.sweep_expired"

# The queue of each job.
JOBS: dict[str, str] = {
    FANOUT_UNREAD: "messaging",
    SWEEP_UNREAD: "messaging",
    UPDATE_STATUS: "messaging",
    SWEEP_STATUS: "messaging",
    TELL_MEMBERS: "messaging",
    FORGET_FILE: "messaging",
    TELL_OF_FILE: "messaging",
    PROCESS_FILE: "media",
    RELEASE_FILE: "maintenance",
    RELEASE_HISTORY: "maintenance",
    REMOVE_OBJECTS: "maintenance",
    SWEEP_FILES: "maintenance",
    SWEEP_STORAGE: "maintenance",
    SWEEP_PRESENCE: "messaging",
    INDEX_MESSAGES: "search",
    SWEEP_SEARCH: "search",
    SWEEP_CALLS: "calls",
    END_BARRED: "calls",
    # LiveKit may keep it waiting, and nobody else may be.
    CLEAR_ROOMS: "maintenance",
    KEEP_PARTITIONS: "maintenance",
    SWEEP_EXPIRED: "maintenance",
}

# The sets in Redis of chats whose unread counts, whose messages' statuses, or which in the index of search are behind,
# and of large ones that are to be shown anew to their members.
DIRTY_CHATS = "fanout:dirty"
DIRTY_RECEIPTS = "receipts:dirty"
DIRTY_SEARCH = "search:dirty"
DIRTY_TOLD = "telling:dirty"

# Marks made within a moment become one job, which takes what the set holds.
_JOB_OF_MARKS: dict[str, str] = {
    DIRTY_CHATS: FANOUT_UNREAD,
    DIRTY_RECEIPTS: UPDATE_STATUS,
    DIRTY_SEARCH: INDEX_MESSAGES,
    DIRTY_TOLD: TELL_MEMBERS,
}

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
        # When the next job of each kind of marks may be sent, in monotonic seconds.
        self._next: dict[str, float] = {}
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None

    def submit(self, name: str, arguments: dict[str, Any], headers: dict[str, Any]) -> None:
        self._waiting.append(lambda: self._send(name, arguments, headers))
        self._launch()
        self._wake.set()

    def mark_dirty(self, marks: str, chat_ids: Collection[int]) -> None:
        with self._lock:
            first = marks not in self._dirty
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
        while True:
            # The pause between jobs of one kind is what coalesces: chats marked meanwhile go as one job.
            self._wake.wait(self._pause())
            self._wake.clear()
            while self._waiting:
                self._attempt(self._waiting.popleft())
            for marks in self._due():
                is_sent = self._attempt(lambda marks=marks: self._send_dirty(marks))  # type: ignore[misc]
                self._next[marks] = time.monotonic() + (_interval(marks) if is_sent else _PAUSE_AFTER_FAILURE)

    def _pause(self) -> float | None:
        """Seconds until marks that wait may become a job; None where there are none."""
        with self._lock:
            times = [self._next.get(marks, 0.0) for marks in self._dirty]
        return max(0.0, min(times) - time.monotonic()) if times else None

    def _due(self) -> list[str]:
        with self._lock:
            return [marks for marks in self._dirty if self._next.get(marks, 0.0) <= time.monotonic()]

    def _send_dirty(self, marks: str) -> None:
        with self._lock:
            chat_ids = self._dirty.pop(marks)
        try:
            redis_connections.client().sadd(marks, *chat_ids)
            self._send(_JOB_OF_MARKS[marks], {}, {})
        except Exception:
            # Marking twice is harmless; keeping them heals sooner than the sweep would.
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


def _interval(marks: str) -> float:
    """Seconds between two jobs of such marks."""
    current = settings()
    return (current.search_interval_ms if marks == DIRTY_SEARCH else current.fanout_interval_ms) / 1000


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


def mark_for_search(chat_id: int) -> None:
    """Asks to index what has changed and committed in a chat, in the same way but less often."""
    _sender().mark_dirty(DIRTY_SEARCH, (chat_id,))


def mark_for_telling(chat_id: int) -> None:
    """Asks to show a large chat that has changed and committed to its members, in the same way."""
    _sender().mark_dirty(DIRTY_TOLD, (chat_id,))
