"""The combiner: alone nobody waits, in company all go at once, and every failure reaches just those it concerns."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from app.infra.combiner import Combiner


def test_what_waits_at_the_same_moment_goes_as_one_batch() -> None:
    batches: list[list[int]] = []
    begun, go_on = threading.Event(), threading.Event()

    def run(items: Sequence[int]) -> list[int | Exception]:
        batches.append(list(items))
        begun.set()
        assert go_on.wait(20)
        return [item * 2 for item in items]

    combiner: Combiner[int, int] = Combiner(run, lanes=1, largest_batch=4, patience=0.0)
    with ThreadPoolExecutor(8) as pool:
        first = pool.submit(combiner.submit, 0)
        assert begun.wait(20)
        others = [pool.submit(combiner.submit, item) for item in range(1, 7)]
        while len(combiner._waiting) < 6:
            pass
        go_on.set()
        assert [future.result(20) for future in [first, *others]] == [0, 2, 4, 6, 8, 10, 12]
    assert [len(batch) for batch in batches] == [1, 4, 2]


def test_an_item_that_fails_fails_alone() -> None:
    def run(items: Sequence[int]) -> list[int | Exception]:
        return [ValueError(str(item)) if item % 2 else item for item in items]

    combiner: Combiner[int, int] = Combiner(run, lanes=2, largest_batch=10, patience=0.0)
    assert combiner.submit(4) == 4
    with pytest.raises(ValueError, match="5"):
        combiner.submit(5)


def test_a_batch_that_fails_whole_fails_for_all_and_the_next_one_runs() -> None:
    def run(items: Sequence[int]) -> list[int | Exception]:
        if 1 in items:
            raise ConnectionError
        return [*items]

    combiner: Combiner[int, int] = Combiner(run, lanes=1, largest_batch=10, patience=0.0)
    with pytest.raises(ConnectionError):
        combiner.submit(1)
    assert combiner.submit(2) == 2


def test_under_load_every_item_gets_its_own_result() -> None:
    lanes_in_use = 0
    most = 0
    lock = threading.Lock()

    def run(items: Sequence[int]) -> list[int | Exception]:
        nonlocal lanes_in_use, most
        with lock:
            lanes_in_use += 1
            most = max(most, lanes_in_use)
        results: list[int | Exception] = [item + 1 for item in items]
        with lock:
            lanes_in_use -= 1
        return results

    combiner: Combiner[int, int] = Combiner(run, lanes=2, largest_batch=16, patience=0.0)
    with ThreadPoolExecutor(32) as pool:
        assert list(pool.map(combiner.submit, range(5000))) == list(range(1, 5001))
    assert most <= 2
    assert combiner._running == 0


def _submitted_while_one_runs(patience: float) -> list[list[int]]:
    """The batches where three items come while a first one runs that ends only when all others wait or are done."""
    batches: list[list[int]] = []
    begun, go_on = threading.Event(), threading.Event()

    def run(items: Sequence[int]) -> list[int | Exception]:
        batches.append(list(items))
        if 0 in items:
            begun.set()
            assert go_on.wait(20)
        return [*items]

    combiner: Combiner[int, int] = Combiner(run, lanes=2, largest_batch=16, patience=patience)
    with ThreadPoolExecutor(8) as pool:
        first = pool.submit(combiner.submit, 0)
        assert begun.wait(20)
        others = [pool.submit(combiner.submit, item) for item in (1, 2, 3)]
        while len(combiner._waiting) + sum(other.done() for other in others) < 3:
            pass
        assert not first.done()
        go_on.set()
        assert [future.result(20) for future in [first, *others]] == [0, 1, 2, 3]
    return batches


def test_those_who_come_while_a_batch_runs_go_together_after_it_though_a_lane_is_free() -> None:
    batches = _submitted_while_one_runs(patience=60.0)
    assert [sorted(batch) for batch in batches] == [[0], [1, 2, 3]]


def test_nobody_waits_behind_a_batch_that_is_held_up() -> None:
    batches = _submitted_while_one_runs(patience=0.0)
    assert batches[0] == [0]
    assert sorted(item for batch in batches[1:] for item in batch) == [1, 2, 3]
