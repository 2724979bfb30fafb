"""A job over chats that are marked in Redis: taken in groups at once, and again by a sweep where they were lost.

A chat that fails is counted in the database and does not stop the others; after three attempts it is set aside until
somebody has looked at it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from prometheus_client import Counter

from app.infra.attempts import Attempts, Take


def passed(seconds: float) -> Callable[[], bool]:
    """Tells, whenever it is asked, whether so many seconds have passed since now."""
    deadline = time.monotonic() + seconds
    return lambda: time.monotonic() >= deadline


class MarkedChats:
    """The marked chats of the job `name`; `work(chat_ids)` does it, `counter` counts those that are set aside."""

    largest_group = 200

    def __init__(self, name: str, take: Take, work: Callable[[Sequence[int]], object], counter: Counter) -> None:
        self._take = take
        self._attempts = Attempts(name, work, counter)

    def take_all(self, is_over: Callable[[], bool]) -> bool:
        """Takes marked chats and sees to them, group by group until it is over; tells whether it came to the last one.

        Raises RedisError where Redis is away. What a worker takes and does not finish is found by the sweep.
        """
        while not is_over():
            if self._attempts.take_marked(self._take, self.largest_group) < self.largest_group:
                return True
        return False

    def sweep(self, chat_ids: Sequence[int], deadline: float, must_wait: Callable[[], bool] = lambda: False) -> bool:
        """Sees to chats that a sweep has found, group by group; tells whether all are done with.

        Begins nothing once time.monotonic() has passed `deadline`, and no group where it must wait: what is left then
        is not done with.
        """
        is_done = True
        for start in range(0, len(chat_ids), self.largest_group):
            if time.monotonic() >= deadline or must_wait():
                return False
            group = chat_ids[start : start + self.largest_group]
            is_done &= self._attempts.run(group, count_first=True, deadline=deadline)
        return is_done

    def sweep_all(self, find: Callable[[int], Sequence[int]], deadline: float) -> tuple[int, bool]:
        """Sees to the chats that `find(id)` gives past an id, in their order, until it gives none.

        Tells how many there were, and whether all are done with; see `sweep`.
        """
        handled = after = 0
        is_done = True
        while time.monotonic() < deadline:
            chat_ids = find(after)
            if not chat_ids:
                return handled, is_done
            is_done &= self.sweep(chat_ids, deadline)
            handled += len(chat_ids)
            after = chat_ids[-1]
        return handled, False

    def retry_set_aside(self) -> int:
        """Sees again, now, to chats that were set aside, and looked at since; gives how many there were."""
        return self._attempts.retry_set_aside()
