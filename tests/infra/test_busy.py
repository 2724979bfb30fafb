"""API processes tell what they use of a processor; together they are busy, and are forgotten soon after."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest
import requests

from app.infra import busy
from app.infra.redis import client
from config import settings
from tests.processes import Api, eventually, running_api


@pytest.fixture
def quiet(alone: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """No process has told anything, on a machine with two processors."""
    monkeypatch.setattr(busy, "_processors", lambda: 2)
    client().delete(busy.SHARES, busy.TOLD)


def test_the_share_of_a_processor_is_what_was_used_since_it_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    moment, used = 100.0, 7.0
    monkeypatch.setattr(busy, "time", SimpleNamespace(monotonic=lambda: moment, process_time=lambda: used))
    load = busy.Load()
    moment, used = 102.0, 8.0
    assert load.share() == 0.5
    moment, used = 106.0, 8.0
    assert load.share() == 0.0
    moment, used = 107.0, 10.0
    assert load.share() == 2.0


def ask(api: Api) -> None:
    requests.get(f"{api.url}/readyz", timeout=60)


def test_an_api_process_that_is_busy_tells_so_for_a_moment(quiet: None, data_dir: Path) -> None:
    with running_api(data_dir, BUSY_PERCENT="1") as api:

        def is_told_under_load() -> bool:
            ask(api)
            return busy.is_told()

        eventually(is_told_under_load)
    eventually(lambda: not busy.is_told())
    assert not client().exists(busy.SHARES)


def test_each_process_of_an_api_is_counted(quiet: None, data_dir: Path) -> None:
    with running_api(data_dir, WEB_WORKERS="2") as api, ThreadPoolExecutor(4) as pool:

        def are_both_counted() -> bool:
            list(pool.map(ask, [api] * 8))
            return client().hlen(busy.SHARES) == 2

        eventually(are_both_counted)


def keep_telling(monkeypatch: pytest.MonkeyPatch, shares: Iterable[float]) -> None:
    """A process tells of these shares of a processor, one after the other."""
    remaining = iter(shares)
    without_time = SimpleNamespace(sleep=lambda _: None, monotonic=lambda: 0, process_time=lambda: 0)
    with monkeypatch.context() as patch:
        patch.setattr(busy.Load, "share", lambda _: next(remaining))
        patch.setattr(busy, "time", without_time)
        with pytest.raises(StopIteration):
            busy.keep_telling()


@pytest.fixture
def lasting(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is told counts for long: a machine that is busy is no defect."""
    monkeypatch.setattr(busy, "_COUNTS_MS", 600_000)


@pytest.mark.usefixtures("lasting")
def test_one_process_is_busy_above_so_much_of_a_processor(monkeypatch: pytest.MonkeyPatch, quiet: None) -> None:
    keep_telling(monkeypatch, (0.4, 0.4, 0.4))
    assert not busy.is_told()
    client().delete(busy.SHARES)
    keep_telling(monkeypatch, (0.41, 0.41))
    assert busy.is_told()


@pytest.mark.usefixtures("lasting")
def test_a_moment_of_work_however_often_it_comes_makes_no_process_busy(
    monkeypatch: pytest.MonkeyPatch, quiet: None
) -> None:
    keep_telling(monkeypatch, (0.02, 1.0, 0.3, 0.9, 0.02, 1.0, 0.02))
    assert not busy.is_told()


@pytest.mark.usefixtures("lasting")
def test_several_processes_are_busy_together_though_none_is_by_itself(
    monkeypatch: pytest.MonkeyPatch, quiet: None
) -> None:
    keep_telling(monkeypatch, (0.3, 0.3))
    keep_telling(monkeypatch, (0.1, 0.1))
    assert not busy.is_told()
    keep_telling(monkeypatch, (0.1, 0.1))
    assert busy.is_told()


@pytest.mark.usefixtures("lasting")
def test_a_process_that_falls_idle_is_not_counted_from_then_on(monkeypatch: pytest.MonkeyPatch, quiet: None) -> None:
    keep_telling(monkeypatch, (0.3, 0.3, 0.02))
    busy.tell("another", 39)
    assert not busy.is_told()


def test_a_process_with_nothing_to_do_asks_nothing_of_redis(monkeypatch: pytest.MonkeyPatch, quiet: None) -> None:
    told: list[int] = []
    monkeypatch.setattr(busy, "tell", lambda _, percent: told.append(percent))
    keep_telling(monkeypatch, (0.0, 0.04, 0.04, 0.9, 0.04, 0.1, 0.2, 0.0, 0.01))
    assert told == [10, 0]


def test_a_process_that_tells_nothing_more_is_not_counted(quiet: None) -> None:
    busy.tell("one", 30)
    eventually(lambda: not client().exists(busy.SHARES))
    busy.tell("two", 30)
    assert not busy.is_told()


def test_a_process_that_died_is_taken_out_by_the_others(quiet: None) -> None:
    busy.tell("dead", 30)

    def is_alone() -> bool:
        busy.tell("alive", 6)
        return client().hkeys(busy.SHARES) == [b"alive"]

    eventually(is_alone)
    busy.tell("alive", 30)
    assert not busy.is_told()


@pytest.mark.usefixtures("lasting")
def test_a_clock_of_redis_that_steps_back_keeps_nobody_counted(quiet: None) -> None:
    client().hset(busy.SHARES, "dead", "99999999999999 30")
    busy.tell("alive", 30)
    assert client().hkeys(busy.SHARES) == [b"alive"]
    assert not busy.is_told()


@pytest.mark.usefixtures("lasting")
def test_processes_of_another_machine_are_judged_by_themselves(monkeypatch: pytest.MonkeyPatch, quiet: None) -> None:
    busy.tell("one", 30)
    with monkeypatch.context() as patch:
        patch.setattr(busy, "SHARES", f"{busy.SHARES} of another machine")
        patch.setattr(busy, "_processors", lambda: 64)
        busy.tell("two", 1_200)
        assert not busy.is_told()
        busy.tell("three", 100)
        assert busy.is_told()
        client().delete(busy.SHARES)


@pytest.mark.usefixtures("lasting")
def test_how_much_is_busy_is_a_setting(monkeypatch: pytest.MonkeyPatch, quiet: None) -> None:
    monkeypatch.setattr(settings(), "busy_percent", 75)
    busy.tell("one", 80)
    busy.tell("two", 70)
    assert not busy.is_told()
    busy.tell("two", 71)
    assert busy.is_told()
