"""Asking Redis together: commands of the same moment go in one round trip, over one connection.

A thousand sockets that open at once would otherwise take a thousand connections, and most of them a time-out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from app.infra.combiner import Combiner
from app.infra.redis import Breaker, client

Command = tuple[str | bytes | int, ...]

_LANES = 2
_LARGEST_BATCH = 100
_PATIENCE = 0.05


class RedisAway(Exception):
    """Redis does not answer, or did not a moment ago."""


class RedisBatches:
    """Commands to the Redis of pub/sub and presence, with a breaker of their own."""

    def __init__(self) -> None:
        self._breaker = Breaker()
        self._combiner: Combiner[Command, Any] = Combiner(self._run, _LANES, _LARGEST_BATCH, _PATIENCE)

    def ask(self, *command: str | bytes | int) -> Any:
        """What Redis answers to a command. Raises RedisAway, or its answer where that is an error."""
        return self._combiner.submit(command)

    def _run(self, commands: Sequence[Command]) -> Sequence[Any]:
        # The breaker is in here, so that batches which wait behind one that failed do not wait for Redis as well.
        unanswered: Sequence[Any] = [RedisAway() for _ in commands]
        return self._breaker.call(lambda: _answers(commands), unanswered)


def _answers(commands: Sequence[Command]) -> Sequence[Any]:
    with client().pipeline(transaction=False) as pipeline:
        for command in commands:
            pipeline.execute_command(*command)
        return pipeline.execute(raise_on_error=False)
