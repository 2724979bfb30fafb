"""Runs a job over many chats so that one that fails does not stop the others, and none is tried for ever.

Chats are worked on together; where that fails, one by one. A failure is counted in the database, and after three
attempts the chat is set aside until somebody has looked at it. That the job's own time ran out says nothing about the
chat at which it did: a large one takes several jobs.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection, Sequence
from typing import cast

import psycopg2
import structlog
from billiard.exceptions import SoftTimeLimitExceeded
from prometheus_client import Counter
from psycopg2.errors import QueryCanceled

from app.errors import Unavailable
from app.infra import redis as redis_connections
from app.infra import set_aside
from app.infra.db import reading, unit_of_work
from config import settings

log = structlog.get_logger(__name__)


Take = Callable[[int], list[bytes]]
"""Takes so many marked chats, their ids, at most; raises RedisError where Redis is away."""


def marked_in(marks: str) -> Take:
    """Takes those that are in a set of marked ones."""
    return lambda most: cast(list[bytes], redis_connections.client().spop(marks, most))


class Attempts:
    """The attempts of one job; `work(chat_ids)` does it, `counter` counts the chats that are set aside."""

    def __init__(self, job: str, work: Callable[[Sequence[int]], object], counter: Counter) -> None:
        self._job = job
        self._work = work
        self._counter = counter

    def take_marked(self, take: Take, limit: int) -> int:
        """Takes up to `limit` marked chats and works on them; gives how many were taken.

        Raises RedisError where Redis is away. What a worker takes and does not finish is found by a sweep.
        """
        taken = take(limit)
        chat_ids = sorted({int(member) for member in taken if member.isdigit()})
        if chat_ids:
            self.run(chat_ids, count_first=False)
        return len(taken)

    def run(self, chat_ids: Sequence[int], count_first: bool, deadline: float = math.inf) -> bool:
        """Works on the chats; tells whether all are done with, those set aside included.

        `count_first` counts the attempt before the work, so that a chat which ends the worker is known next time.
        None is begun alone once time.monotonic() has passed `deadline`. Raises SoftTimeLimitExceeded.
        """
        with reading() as unit:
            attempts = set_aside.attempts(unit, self._job, _subjects(chat_ids))
        suspects = [chat_id for chat_id in chat_ids if str(chat_id) in attempts]
        others = [chat_id for chat_id in chat_ids if str(chat_id) not in attempts]
        if others and not self._together(others, count_first):
            # Those whose attempt was counted above have it taken back: which of them is to blame shows now.
            suspects = sorted([*suspects, *others])
        is_done = True
        for chat_id in suspects:
            if attempts.get(str(chat_id), 0) < set_aside.MOST_ATTEMPTS:
                is_done &= time.monotonic() < deadline and self._alone(chat_id)
        return is_done

    def retry_set_aside(self) -> int:
        """Tries chats again that were set aside, and looked at since; gives how many there were."""
        with unit_of_work() as unit:
            chat_ids = [int(job.subject) for job in set_aside.listed(unit, 1000) if job.job == self._job]
            set_aside.done(unit, self._job, _subjects(chat_ids))
        if chat_ids:
            self.run(chat_ids, count_first=True)
        return len(chat_ids)

    def _together(self, chat_ids: Sequence[int], count_first: bool) -> bool:
        if count_first:
            self._begin(chat_ids)
        try:
            self._work(chat_ids)
        except SoftTimeLimitExceeded:
            if count_first:
                self._done(chat_ids)
            raise
        except Exception as error:
            log.warning("attempt_failed_together", of=self._job, chats=len(chat_ids), error=type(error).__name__)
            if count_first:
                self._done(chat_ids)
            return False
        if count_first:
            self._done(chat_ids)
        return True

    def _alone(self, chat_id: int) -> bool:
        self._begin((chat_id,))
        begun = time.monotonic()
        try:
            self._work((chat_id,))
        except SoftTimeLimitExceeded:
            self._postpone(chat_id)
            raise
        except Exception as error:
            return self._blame(chat_id, error, time.monotonic() - begun)
        self._done((chat_id,))
        return True

    def _blame(self, chat_id: int, error: Exception, seconds: float) -> bool:
        """Notes the failure after so many seconds; tells whether the chat is set aside, which makes it done with."""
        subject = str(chat_id)
        if isinstance(error, Unavailable) and not _took_too_long(error, seconds):
            self._postpone(chat_id)
            return False
        with unit_of_work() as unit:
            attempts = set_aside.failed(unit, self._job, subject, _reason(error))
        log.error("attempt_failed", of=self._job, chat_id=chat_id, attempts=attempts, exc_info=error)
        if attempts < set_aside.MOST_ATTEMPTS:
            return False
        self._counter.inc()
        log.error("chat_set_aside", of=self._job, chat_id=chat_id)
        return True

    def _begin(self, chat_ids: Collection[int]) -> None:
        with unit_of_work() as unit:
            set_aside.begin(unit, self._job, _subjects(chat_ids))

    def _postpone(self, chat_id: int) -> None:
        with unit_of_work() as unit:
            set_aside.postponed(unit, self._job, _subjects((chat_id,)))

    def _done(self, chat_ids: Collection[int]) -> None:
        with unit_of_work() as unit:
            set_aside.done(unit, self._job, _subjects(chat_ids))


def _reason(error: Exception) -> str:
    """The first line of what went wrong: the further ones of PostgreSQL hold the row's values."""
    return f"{type(error).__name__}: {error}".partition("\n")[0][:500]


def _took_too_long(error: Unavailable, seconds: float) -> bool:
    """Whether a statement took too long, or what lay between two of them, which an input may be to blame for.

    A database that is away never is. A transaction that was idle for too long is ended without a word of why: the
    connection is lost, and that after so long a time.
    """
    cause = error.__cause__
    driver = getattr(cause, "orig", cause)
    if isinstance(driver, QueryCanceled):
        return True
    is_lost = isinstance(driver, psycopg2.OperationalError | psycopg2.InterfaceError) and driver.pgcode is None
    return is_lost and seconds >= settings().db_idle_in_transaction_timeout


def _subjects(chat_ids: Collection[int]) -> list[str]:
    return [str(chat_id) for chat_id in chat_ids]
