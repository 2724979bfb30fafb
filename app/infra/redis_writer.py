"""One writer a process towards Redis: it pipelines whatever gathered since its last round trip.

Callers only append and never wait, so an answer to a client never waits for Redis. While Redis is away commands are
kept up to a bound and repeated when it is back; where the bound was passed, `on_loss` commands tell what was lost.
"""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from functools import lru_cache

import structlog
from prometheus_client import Counter

from app.infra import redis as redis_connections

Command = tuple[str | bytes | int, ...]

_LARGEST_BATCH = 500
_LARGEST_QUEUE = 20_000
_LARGEST_QUEUE_BYTES = 32_000_000
_PAUSE_AFTER_FAILURE = 0.5

log = structlog.get_logger(__name__)
dropped_commands = Counter(
    "paperplane_redis_commands_dropped_total", "Commands dropped because Redis was away for too long."
)


class RedisWriter:
    """A bounded queue and the thread (a greenlet under gevent) that empties it."""

    def __init__(self, on_loss: tuple[Command, ...] = ()) -> None:
        self._on_loss = on_loss
        self._queue: deque[Command] = deque()
        self._queued_bytes = 0
        self._lost = False
        self._wake = threading.Event()
        self._idle = threading.Event()
        self._idle.set()
        self._thread: threading.Thread | None = None
        self._start = threading.Lock()
        self._counting = threading.Lock()

    def submit(self, *command: str | bytes | int) -> None:
        """Queues one Redis command; drops the oldest ones past the bound."""
        with self._counting:
            self._queue.append(command)
            self._idle.clear()
        self._queued_bytes += len(command[-1]) if isinstance(command[-1], bytes) else 0
        while len(self._queue) > _LARGEST_QUEUE or self._queued_bytes > _LARGEST_QUEUE_BYTES:
            self._forget(self._queue.popleft())
            self._lost = True
            dropped_commands.inc()
        if self._thread is None:
            self._launch()
        self._wake.set()

    def flush(self, timeout: float) -> bool:
        """Waits until all is written, at most `timeout` seconds; tells whether it is."""
        return self._idle.wait(timeout)

    def _forget(self, command: Command) -> None:
        self._queued_bytes -= len(command[-1]) if isinstance(command[-1], bytes) else 0

    def _launch(self) -> None:
        with self._start:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="redis-writer", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        client = redis_connections.client()
        pause = threading.Event()
        while True:
            self._wake.wait()
            self._wake.clear()
            while batch := self._take():
                was_lost, self._lost = self._lost, False
                try:
                    with client.pipeline(transaction=False) as pipeline:
                        for command in (*batch, *(self._on_loss if was_lost else ())):
                            pipeline.execute_command(*command)
                        pipeline.execute(raise_on_error=False)
                except Exception as error:
                    # Whatever the client raises, this thread goes on: nobody would start another.
                    self._lost |= was_lost
                    log.warning("redis_write_failed", waiting=len(self._queue) + len(batch), error=type(error).__name__)
                    self._put_back(batch)
                    pause.wait(_PAUSE_AFTER_FAILURE)
            with self._counting:
                # What came since the last look is not written yet.
                if not self._queue:
                    self._idle.set()

    def _take(self) -> list[Command]:
        """The oldest commands, at most a batch of them."""
        batch: list[Command] = []
        with contextlib.suppress(IndexError):  # submit drops from the same end where the queue is full.
            while len(batch) < _LARGEST_BATCH:
                batch.append(self._queue.popleft())
                self._forget(batch[-1])
        return batch

    def _put_back(self, batch: list[Command]) -> None:
        self._queue.extendleft(reversed(batch))
        self._queued_bytes += sum(len(command[-1]) for command in batch if isinstance(command[-1], bytes))


RESYNC_CHANNEL = "hub:resync"


@lru_cache(maxsize=1)
def writer() -> RedisWriter:
    """The writer of this process; after a loss it tells every hub to have its clients sync."""
    return RedisWriter(on_loss=(("PUBLISH", RESYNC_CHANNEL, b"lost"),))
