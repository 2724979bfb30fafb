"""A writer towards Redis: one greenlet that pipelines whatever gathered since its last round trip.

Callers only append and never wait, so an answer to a client never waits for Redis. While Redis is away commands are
kept up to a bound and repeated when it is back; where the bound was passed, `on_loss` commands tell what was lost.
"""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import structlog
from prometheus_client import Counter
from redis import ConnectionError, ResponseError  # noqa: A004 - not OSError's: what a broken connection raises
from redis.connection import AbstractConnection

from app.infra.redis import make_connection
from config import settings

Argument = str | bytes | int
Command = tuple[Argument, ...]

_LARGEST_BATCH = 500
_LARGEST_QUEUE = 20_000
_LARGEST_QUEUE_BYTES = 32_000_000
_PAUSE_AFTER_FAILURE = 0.5

log = structlog.get_logger(__name__)
dropped_commands = Counter(
    "paperplane_redis_commands_dropped_total", "Commands dropped because Redis was away for too long."
)


class Queued(NamedTuple):
    """A command, and who is told what Redis answers to it, or the exception that stands for it."""

    command: Command
    on_answer: Callable[[Any], None] | None = None

    @property
    def size(self) -> int:
        """The bytes that count for the bound of the queue."""
        last = self.command[-1]
        return len(last) if isinstance(last, bytes) else 0


class RedisWriter:
    """A bounded queue and the thread (a greenlet under gevent) that empties it."""

    def __init__(
        self, url: Callable[[], str], on_loss: Sequence[Command] = (), keeps: bool = True, linger: float = 0
    ) -> None:
        """`url` names the server. Without `keeps` commands that Redis did not take are given up, not repeated.

        `linger`: seconds in which more may gather before a round trip, for commands that nobody waits for.
        """
        self._url = url
        self._linger = linger
        self._on_loss = [Queued(command) for command in on_loss]
        self._keeps = keeps
        self._connection: AbstractConnection | None = None
        self._queue: deque[Queued] = deque()
        self._queued_bytes = 0
        self._lost = False
        self._wake = threading.Event()
        self._idle = threading.Event()
        self._idle.set()
        self._thread: threading.Thread | None = None
        self._start = threading.Lock()
        self._counting = threading.Lock()

    def submit(self, *command: Argument, on_answer: Callable[[Any], None] | None = None) -> None:
        """Queues one Redis command; drops the oldest ones past the bound.

        `on_answer` is called by the writer, which must not wait in it; never for a command that was dropped.
        """
        queued = Queued(command, on_answer)
        with self._counting:
            self._queue.append(queued)
            self._idle.clear()
        self._queued_bytes += queued.size
        while len(self._queue) > _LARGEST_QUEUE or self._queued_bytes > _LARGEST_QUEUE_BYTES:
            self._queued_bytes -= self._queue.popleft().size
            self._lost = True
            dropped_commands.inc()
        if self._thread is None:
            self._launch()
        self._wake.set()

    def flush(self, timeout: float) -> bool:
        """Waits until all is written, at most `timeout` seconds; tells whether it is."""
        return self._idle.wait(timeout)

    def _launch(self) -> None:
        with self._start:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="redis-writer", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        pause = threading.Event()
        while True:
            self._wake.wait()
            if self._linger:
                pause.wait(self._linger)
            self._wake.clear()
            while batch := self._take():
                was_lost, self._lost = self._lost, False
                try:
                    self._write([*batch, *(self._on_loss if was_lost else ())])
                except Exception as error:
                    # Whatever the client raises, this thread goes on: nobody would start another.
                    self._lost |= was_lost
                    log.warning("redis_write_failed", waiting=len(self._queue) + len(batch), error=type(error).__name__)
                    if self._keeps:
                        self._put_back(batch)
                    else:
                        self._give_up(batch, error)
                    pause.wait(_PAUSE_AFTER_FAILURE)
            with self._counting:
                # What came since the last look is not written yet.
                if not self._queue:
                    self._idle.set()

    def _write(self, batch: Sequence[Queued]) -> None:
        """One round trip for all commands; raises RedisError or OSError where Redis does not answer."""
        commands = [queued.command for queued in batch]
        try:
            answers = self._exchange(commands)
        except ConnectionError:
            # A connection that was idle may have been closed by the server: one made anew tells whether it is there.
            answers = self._exchange(commands)
        _tell(batch, answers)

    def _exchange(self, commands: Sequence[Command]) -> list[Any]:
        connection = self._connection
        if connection is None:
            connection = make_connection(self._url())
            connection.connect()
            self._connection = connection
        try:
            connection.send_packed_command(connection.pack_commands(commands), check_health=False)
            return [_answer(connection) for _ in commands]
        except BaseException:
            # What it still answers must not be taken for the answer to something later.
            self._connection = None
            connection.disconnect()
            raise

    def _take(self) -> list[Queued]:
        """The oldest commands, at most a batch of them."""
        batch: list[Queued] = []
        with contextlib.suppress(IndexError):  # submit drops from the same end where the queue is full.
            while len(batch) < _LARGEST_BATCH:
                batch.append(self._queue.popleft())
                self._queued_bytes -= batch[-1].size
        return batch

    def _give_up(self, batch: list[Queued], error: Exception) -> None:
        """Forgets the batch and all that waits behind it: it would come too late."""
        while rest := self._take():
            batch += rest
        _tell(batch, [error] * len(batch))

    def _put_back(self, batch: list[Queued]) -> None:
        self._queue.extendleft(reversed(batch))
        self._queued_bytes += sum(queued.size for queued in batch)


def _tell(batch: Sequence[Queued], answers: Sequence[Any]) -> None:
    for queued, answer in zip(batch, answers, strict=True):
        if queued.on_answer is not None:
            queued.on_answer(answer)


def _answer(connection: AbstractConnection) -> Any:
    try:
        return connection.read_response(disable_decoding=True, disconnect_on_error=False)
    except ResponseError as error:
        return error


RESYNC_CHANNEL = "hub:resync"


@lru_cache(maxsize=1)
def writer() -> RedisWriter:
    """The writer of this process; after a loss it tells every hub to have its clients sync."""
    return RedisWriter(lambda: settings().redis, on_loss=(("PUBLISH", RESYNC_CHANNEL, b"lost"),))
