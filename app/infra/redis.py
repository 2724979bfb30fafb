"""Redis (or Valkey): clients with short time-outs, and a breaker so that a dead Redis costs nothing per request."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import lru_cache
from typing import TypeVar, cast

import redis
from redis.backoff import NoBackoff
from redis.connection import AbstractConnection
from redis.retry import Retry

from config import settings

Result = TypeVar("Result")
RedisError = redis.RedisError

# How long Redis is left alone after it failed, in seconds.
_PAUSE = 2.0


def make_client(url: str) -> redis.Redis:
    """A client whose calls take at most REDIS_TIMEOUT seconds; bytes in, bytes out."""
    timeout = settings().redis_timeout
    return redis.Redis.from_url(
        url,
        socket_timeout=timeout,
        socket_connect_timeout=timeout,
        # A connection that broke is made anew once; what took too long is not waited for a second time.
        retry=Retry(NoBackoff(), 1, supported_errors=(redis.ConnectionError,)),
        health_check_interval=0,
    )


def make_connection(url: str) -> AbstractConnection:
    """A connection beside all pools, not opened yet, for one greenlet that speaks with Redis all the time.

    A command through a client takes a connection from a pool, asks the system whether it is still good, and gives it
    back; that costs several times what the command itself does.
    """
    pool = make_client(url).connection_pool
    pool.connection_kwargs["protocol"] = 2
    return cast(AbstractConnection, pool.make_connection())


@lru_cache(maxsize=1)
def client() -> redis.Redis:
    """The client for pub/sub, presence and typing."""
    return make_client(settings().redis)


class Breaker:
    """Lets calls through until one fails, then skips them for a moment instead of waiting for each time-out.

    After the moment one call tries again, while the others are still skipped until it succeeds.
    """

    def __init__(self, pause: float = _PAUSE) -> None:
        self._pause = pause
        self._closed_until = 0.0
        self._lock = threading.Lock()

    def call(self, action: Callable[[], Result], otherwise: Result) -> Result:
        """The action's result; `otherwise` when Redis fails or failed less than `pause` seconds ago."""
        if self._closed_until and not self._may_probe():
            return otherwise
        try:
            result = action()
        except (redis.RedisError, OSError):
            self._closed_until = time.monotonic() + self._pause
            return otherwise
        self._closed_until = 0.0
        return result

    def _may_probe(self) -> bool:
        """Whether the pause is over and the caller is the first to notice."""
        with self._lock:
            now = time.monotonic()
            if now < self._closed_until:
                return False
            self._closed_until = now + self._pause
            return True
