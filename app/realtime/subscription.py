"""This process's one subscription to Redis: reconnects by itself and reports it, since what fell in the gap is lost."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import gevent
import structlog
from gevent.event import Event
from gevent.lock import Semaphore
from redis import RedisError
from redis.connection import AbstractConnection
from redis.exceptions import TimeoutError as RedisTimeoutError

from app.infra.redis import make_connection
from app.infra.redis_writer import RESYNC_CHANNEL
from config import settings

log = structlog.get_logger(__name__)

_IDLE_SECONDS = 5
_CONFIRM_SECONDS = 3
_CHUNK = 1000
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 2.0


class Subscription:
    """Channels wanted by this process, and the greenlet that reads them.

    `on_message(channel, content)` is called in the reader, which must not wait in it. `on_gap()` is called once
    everything is subscribed again after a break, or when a publisher tells that it had to drop events.
    """

    def __init__(self, on_message: Callable[[bytes, bytes], None], on_gap: Callable[[], None]) -> None:
        self._on_message = on_message
        self._on_gap = on_gap
        self._wanted: set[str] = set()
        self._confirmed: set[str] = set()
        self._waiting: dict[str, Event] = {}
        self._connection: AbstractConnection | None = None
        self._late: set[str] = set()
        self._tried = Event()
        self._writing = Semaphore()
        self._reader = gevent.spawn(self._run)

    @property
    def connected(self) -> bool:
        """Whether Redis answers."""
        return self._connection is not None

    def add(self, channels: Iterable[str]) -> None:
        """Subscribes and waits until Redis has confirmed it, a few seconds at most.

        Where Redis is away the channels are subscribed when it is back, and `on_gap` tells.
        """
        new = [channel for channel in channels if channel not in self._confirmed]
        events = []
        for channel in new:
            self._wanted.add(channel)
            events.append(self._waiting.setdefault(channel, Event()))
        # At the very first the connection is still being made.
        self._tried.wait(_CONFIRM_SECONDS)
        if new and self._connection is not None:
            self._command("SUBSCRIBE", new)
            gevent.wait(events, timeout=_CONFIRM_SECONDS)
        # What Redis confirms only later, whatever the reason, has a gap before it, of which `on_gap` tells then.
        self._late.update(channel for channel in new if channel in self._wanted and channel not in self._confirmed)

    def remove(self, channels: Iterable[str]) -> None:
        """Unsubscribes, without waiting."""
        old = [channel for channel in channels if channel in self._wanted]
        self._wanted.difference_update(old)
        self._confirmed.difference_update(old)
        for channel in old:
            self._late.discard(channel)
            if (waiting := self._waiting.pop(channel, None)) is not None:
                waiting.set()
        if old and self._connection is not None:
            self._command("UNSUBSCRIBE", old)

    def _command(self, name: str, channels: list[str]) -> None:
        connection = self._connection
        if connection is None:
            return
        try:
            with self._writing:
                for start in range(0, len(channels), _CHUNK):
                    connection.send_command(name, *channels[start : start + _CHUNK], check_health=False)
        except (RedisError, OSError):
            pass  # The reader sees the broken connection as well, and subscribes everything anew.

    def _run(self) -> None:
        pause = _FIRST_PAUSE
        is_first = True
        while True:
            try:
                connection = self._connect()
                pause = _FIRST_PAUSE
                if not is_first:
                    log.info("redis_subscription_restored", channels=len(self._wanted))
                self._read(connection, tell_gap=not is_first)
            except (RedisError, OSError) as error:
                log.warning("redis_subscription_lost", error=type(error).__name__)
            is_first = False
            self._tried.set()
            self._connection = None
            self._confirmed.clear()
            gevent.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    def _connect(self) -> AbstractConnection:
        connection = make_connection(settings().redis)
        connection.connect()
        for channel in self._wanted:
            self._waiting.setdefault(channel, Event())
        channels = [RESYNC_CHANNEL, *self._wanted]
        self._connection = connection
        self._tried.set()
        self._command("SUBSCRIBE", channels)
        return connection

    def _read(self, connection: AbstractConnection, tell_gap: bool) -> None:
        """Reads until the connection breaks; one that is silent is asked once before it counts as broken."""
        asked = False
        try:
            while True:
                try:
                    answer: Any = connection.read_response(
                        disable_decoding=True, timeout=_IDLE_SECONDS, disconnect_on_error=False
                    )
                except (TimeoutError, RedisTimeoutError):
                    if asked:
                        raise
                    asked = True
                    with self._writing:
                        connection.send_command("PING", check_health=False)
                    continue
                asked = False
                tell_gap = self._handle(answer, tell_gap)
        finally:
            connection.disconnect()

    def _handle(self, answer: list[Any], tell_gap: bool) -> bool:
        kind = answer[0]
        if kind == b"message":
            if answer[1] == RESYNC_CHANNEL.encode():
                self._on_gap()
            else:
                try:
                    self._on_message(answer[1], answer[2])
                except Exception:
                    # One bad payload must not end the only reader of this process.
                    log.exception("payload_failed", channel=answer[1].decode(errors="replace"))
        elif kind == b"subscribe":
            channel = answer[1].decode()
            if channel in self._wanted:
                # Not where it was left in the meantime: a later `add` would take it for subscribed.
                self._confirmed.add(channel)
            waiting = self._waiting.pop(channel, None)
            if waiting is not None:
                waiting.set()
            was_late = channel in self._late
            self._late.discard(channel)
            if tell_gap and self._confirmed >= self._wanted:
                self._on_gap()
                return False
            if was_late and not self._late:
                self._on_gap()
        elif kind == b"unsubscribe":
            self._confirmed.discard(answer[1].decode())
        return tell_gap
