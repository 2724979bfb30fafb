"""How many requests and frames of one person are at work at once in this process; further ones wait their turn.

Each that is at work may hold a connection to PostgreSQL, for as long as it waits for a lock, and the process has few of
them: without this bound a person with 17 sockets took them all. What waits here holds none. Messages that are sent need
no turn: they are gathered into batches, and a batch holds one connection for all.

Nothing that has a turn may take a second one, so nobody waits for oneself.
"""

from __future__ import annotations

import threading
from collections import deque
from functools import lru_cache
from types import TracebackType

from prometheus_client import Counter

from app.errors import TooManyAtOnce
from config import settings

# Seconds; what waited for so long waits behind many that take long, and is better asked again.
_LONGEST_WAIT = 10.0

refused_total = Counter("paperplane_turns_refused", "Requests and frames refused since too many of their user waited.")


class Turns:
    """The turns of everybody: `most` of one person at once, and `most_waiting` behind them."""

    def __init__(self, most: int, most_waiting: int) -> None:
        self._most = most
        self._most_waiting = most_waiting
        self._at_work: dict[int, int] = {}
        self._waiting: dict[int, deque[threading.Event]] = {}
        self._lock = threading.Lock()

    def take(self, user_id: int) -> None:
        """Takes a turn, to be given back, after those who came before; raises TooManyAtOnce."""
        with self._lock:
            at_work = self._at_work.get(user_id, 0)
            if at_work < self._most:
                self._at_work[user_id] = at_work + 1
                return
            waiting = self._waiting.setdefault(user_id, deque())
            if len(waiting) < self._most_waiting:
                turn = threading.Event()
                waiting.append(turn)
            else:
                self._refuse()
        self._wait(user_id, turn)

    def give_back(self, user_id: int) -> None:
        """Hands a turn to whoever of the person has waited longest."""
        with self._lock:
            waiting = self._waiting.get(user_id)
            if waiting:
                waiting.popleft().set()
                return
            self._waiting.pop(user_id, None)
            left = self._at_work[user_id] - 1
            if left:
                self._at_work[user_id] = left
            else:
                del self._at_work[user_id]

    def _wait(self, user_id: int, turn: threading.Event) -> None:
        try:
            is_given = turn.wait(_LONGEST_WAIT)
        except BaseException:
            # Killed while waiting: the turn may have been handed over in the same moment, and must go on.
            if not self._withdraw(user_id, turn):
                self.give_back(user_id)
            raise
        if not is_given and self._withdraw(user_id, turn):
            self._refuse()

    def _withdraw(self, user_id: int, turn: threading.Event) -> bool:
        """Waits no more; False where the turn was handed over already."""
        with self._lock:
            waiting = self._waiting.get(user_id, ())
            if turn not in waiting:
                return False
            self._waiting[user_id].remove(turn)
            return True

    def _refuse(self) -> None:
        refused_total.inc()
        raise TooManyAtOnce(retry_after=1)


@lru_cache(maxsize=1)
def _turns() -> Turns:
    current = settings()
    return Turns(current.user_requests_at_once, current.user_requests_waiting)


class in_turn:  # noqa: N801  It is used as a function; one with @contextmanager costs a microsecond more.
    """Does something of a person's in turn: `with in_turn(user_id): ...`. Raises TooManyAtOnce."""

    __slots__ = ("_user_id",)

    def __init__(self, user_id: int) -> None:
        self._user_id = user_id

    def __enter__(self) -> None:
        _turns().take(self._user_id)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _turns().give_back(self._user_id)
