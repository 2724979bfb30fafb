"""Deadlines of waits that nearly always end long before them: looked at together each second, so that none has a timer.

For the greenlets of one hub; a process has one. A timer for each wait, started and stopped, costs several times as much
as a place in a set. In return a wait may last for a second more than it should.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import gevent
from greenlet import greenlet

_PERIOD_SECONDS = 1.0

# Those that go on.
_waits: set[Within] = set()


class Within:
    """`with Within(seconds, error): ...` raises what `error()` gives in a block that takes longer."""

    __slots__ = ("_error", "_greenlet", "_until")

    def __init__(self, seconds: float, error: Callable[[], BaseException]) -> None:
        self._until = time.monotonic() + seconds
        self._error = error
        self._greenlet: greenlet = gevent.getcurrent()

    def __enter__(self) -> None:
        _waits.add(self)
        _timer.start()

    def __exit__(self, *_: object) -> bool | None:
        _waits.discard(self)
        return None

    def end(self) -> None:
        """Raises the error in the block as soon as nobody else runs, unless it has been left by then."""
        gevent.get_hub().loop.run_callback(self._end)

    def is_over(self, now: float) -> bool:
        """Whether it has lasted for too long, at a monotonic time."""
        return now > self._until

    def _end(self) -> None:
        # The hub runs this, so whoever is in the block waits for something.
        if self in _waits:
            error = self._error()
            _waits.discard(self)
            self._greenlet.throw(error)


class _Timer:
    """The one timer of this process, from the first wait on."""

    _is_started = False

    def start(self) -> None:
        if not self._is_started:
            self._is_started = True
            # It holds nothing up: a hub that only waits for it ends.
            gevent.get_hub().loop.timer(_PERIOD_SECONDS, _PERIOD_SECONDS, ref=False).start(self._look)

    def _look(self) -> None:
        now = time.monotonic()
        for wait in [wait for wait in _waits if wait.is_over(now)]:
            wait.end()


_timer = _Timer()
