"""Combines what waits at the same moment into batches: one statement and one commit for many sends.

Whoever comes while nothing runs leads: it runs its own item at once, so alone nobody waits for anybody. Those who come
meanwhile wait together, and the leader hands its lane to the first of them when it is done; that one then runs all who
wait as one batch. Where a batch takes long, the next one to come takes those who wait along on a lane beside it. There
is no thread of its own, and it works for greenlets and threads alike.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class _Waiter(Generic[Item, Result]):
    """One item, and the place where its result arrives."""

    __slots__ = ("error", "item", "leads", "ready", "result")

    def __init__(self, item: Item) -> None:
        self.item = item
        self.ready: threading.Event | None = None
        self.leads = False
        self.result: Result | None = None
        self.error: BaseException | None = None


class Combiner(Generic[Item, Result]):
    """Runs items in batches of at most `largest_batch`, one at a time, and up to `lanes` where one takes long.

    Long is more than `patience` seconds: small batches at the same time cost more than a larger one after the other,
    but nobody must wait behind one that is held up. `run` gives for each item, in their order, its result or the
    exception to raise for it alone; an exception that it raises itself goes to all of the batch.
    """

    def __init__(
        self,
        run: Callable[[Sequence[Item]], Sequence[Result | Exception]],
        lanes: int,
        largest_batch: int,
        patience: float,
    ) -> None:
        self._run = run
        self._largest_batch = largest_batch
        self._lanes = lanes
        self._patience = patience
        self._running = 0
        self._latest_start = 0.0
        self._waiting: deque[_Waiter[Item, Result]] = deque()
        self._lock = threading.Lock()

    def submit(self, item: Item) -> Result:
        """Runs the item, in company if there is any; returns its result or raises its exception."""
        waiter: _Waiter[Item, Result] = _Waiter(item)
        with self._lock:
            if self._may_lead():
                self._running += 1
                waiter.leads = True
            else:
                waiter.ready = threading.Event()
                self._waiting.append(waiter)
        if waiter.ready is not None:
            self._wait(waiter)
        if waiter.leads:
            self._lead(waiter)
        if waiter.error is not None:
            raise waiter.error
        return waiter.result  # type: ignore[return-value]

    def _may_lead(self) -> bool:
        if self._running == 0:
            return True
        return self._running < self._lanes and time.monotonic() - self._latest_start > self._patience

    def _wait(self, waiter: _Waiter[Item, Result]) -> None:
        assert waiter.ready is not None
        try:
            waiter.ready.wait()
        except BaseException:
            # Killed while waiting: the lane may have been handed over in the same moment and must go on.
            with self._lock:
                if waiter in self._waiting:
                    self._waiting.remove(waiter)
            if waiter.leads:
                self._hand_over()
            raise

    def _lead(self, first: _Waiter[Item, Result]) -> None:
        batch = [first]
        with self._lock:
            self._latest_start = time.monotonic()
            while self._waiting and len(batch) < self._largest_batch:
                batch.append(self._waiting.popleft())
        try:
            for waiter, result in zip(batch, self._run([waiter.item for waiter in batch]), strict=True):
                if isinstance(result, Exception):
                    waiter.error = result
                else:
                    waiter.result = result
        except BaseException as error:
            for waiter in batch:
                waiter.error = error
            if not isinstance(error, Exception):
                # This greenlet was killed, not the others: they get an error of their own that says so.
                for waiter in batch[1:]:
                    waiter.error = InterruptedError("the batch was interrupted")
        finally:
            self._hand_over()
            for waiter in batch[1:]:
                assert waiter.ready is not None
                waiter.ready.set()

    def _hand_over(self) -> None:
        with self._lock:
            if not self._waiting:
                self._running -= 1
                return
            successor = self._waiting.popleft()
            successor.leads = True
        assert successor.ready is not None
        successor.ready.set()
