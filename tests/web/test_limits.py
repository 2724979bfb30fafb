"""Rate limits: the whole allowance at once, then evenly; shared by all processes, and never waiting for Redis."""

from __future__ import annotations

import os
import signal
import threading
import time
from functools import lru_cache
from pathlib import Path

import pytest
import redis
from flask.testing import FlaskClient
from prometheus_client import Counter

from app.errors import RateLimited
from app.infra.redis import make_client
from app.web import limits
from app.web.limits import Limiter, limit_action
from config import settings
from local.servers import embedded_valkey
from tests.processes import eventually


@pytest.fixture(autouse=True)
def small_allowance(monkeypatch: pytest.MonkeyPatch) -> None:
    """Five requests and three messages in a minute."""
    for name, value in {"rate_limit_enabled": True, "rate_limit_requests": 5, "rate_limit_messages": 3}.items():
        monkeypatch.setattr(settings(), name, value)


@pytest.fixture(autouse=True)
def limiter(monkeypatch: pytest.MonkeyPatch) -> Limiter:
    """What this process knows: nothing yet."""
    return another_process(monkeypatch)


def another_process(monkeypatch: pytest.MonkeyPatch) -> Limiter:
    """Uses from now on are counted as another process would: it knows only what Redis answers."""
    made = Limiter()
    monkeypatch.setattr(limits, "_limiter", lambda: made)
    return made


@lru_cache(maxsize=1)
def limits_client() -> redis.Redis:
    """A client of the Redis of the limits."""
    return make_client(settings().limits_redis)


def _uses(user_id: int, action: str = "requests", most: int = 50) -> int:
    """How often the user gets through before being refused."""
    for used in range(most):
        try:
            limit_action(user_id, action)
        except RateLimited:
            return used
    return most


def _key(user_id: int, action: str = "requests") -> str:
    return f"ratelimit:{user_id}:{action}"


def _count(counter: Counter, action: str = "requests") -> float:
    return sum(
        sample.value
        for metric in counter.collect()
        for sample in metric.samples
        if sample.name.endswith("_total") and sample.labels["action"] == action
    )


def test_the_whole_allowance_may_be_spent_at_once(user_id: int) -> None:
    assert _uses(user_id) == 5


def test_each_user_and_each_action_has_an_allowance_of_its_own(user_id: int) -> None:
    assert (_uses(user_id), _uses(user_id, "messages"), _uses(user_id + 1)) == (5, 3, 5)


def test_a_refusal_says_when_the_next_use_is_free(user_id: int) -> None:
    _uses(user_id)
    with pytest.raises(RateLimited) as refused:
        limit_action(user_id, "requests")
    assert refused.value.retry_after is not None
    assert 1 <= refused.value.retry_after <= 12  # A minute for five uses: one comes back every 12 s.


def test_uses_come_back_one_by_one(user_id: int, limiter: Limiter, monkeypatch: pytest.MonkeyPatch) -> None:
    _uses(user_id)
    assert limiter.flush(20)
    # As if 24 s had passed.
    arrival = int(limits_client().get(_key(user_id)) or 0)
    limits_client().set(_key(user_id), arrival - 24_000_000, keepttl=True)
    monkeypatch.setattr(limits, "_now", lambda: time.monotonic_ns() // 1000 + 24_000_000)
    assert _uses(user_id) == 2


def test_a_refused_use_costs_nothing(user_id: int, limiter: Limiter) -> None:
    _uses(user_id)
    assert limiter.flush(20)
    before = limits_client().get(_key(user_id))
    assert _uses(user_id) == 0
    assert limiter.flush(20)
    assert limits_client().get(_key(user_id)) == before


def test_the_mark_is_gone_once_the_allowance_is_whole_again(user_id: int, limiter: Limiter) -> None:
    limit_action(user_id, "requests")
    assert limiter.flush(20)
    assert 0 < limits_client().pttl(_key(user_id)) <= 12_000


def test_another_process_learns_with_its_first_use_what_was_used_elsewhere(
    user_id: int, limiter: Limiter, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert _uses(user_id) == 5
    assert limiter.flush(20)
    other = another_process(monkeypatch)
    limit_action(user_id, "requests")
    assert other.flush(20)
    assert _uses(user_id) == 0


def test_processes_that_take_turns_share_one_allowance_but_for_a_use_each(
    user_id: int, limiter: Limiter, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = another_process(monkeypatch)
    passed = 0
    for turn in range(20):
        one = (limiter, other)[turn % 2]
        monkeypatch.setattr(limits, "_limiter", lambda one=one: one)
        passed += _uses(user_id, most=1)
        assert one.flush(20)
    assert 5 <= passed <= 6


def test_users_racing_each_other_get_no_more_than_the_allowance(user_id: int) -> None:
    passed: list[int] = []

    def use() -> None:
        passed.append(_uses(user_id, most=5))

    threads = [threading.Thread(target=use) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(passed) == 5


def test_a_redis_that_lost_its_scripts_is_given_them_again(user_id: int, limiter: Limiter) -> None:
    limits_client().script_flush()
    limit_action(user_id, "requests")
    eventually(lambda: limits_client().exists(_key(user_id)) == 1)


def test_an_action_that_nobody_defined_is_a_defect(user_id: int) -> None:
    with pytest.raises(KeyError):
        limit_action(user_id, "no-such-action")


def test_turned_off_it_leaves_no_trace_in_redis(user_id: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings(), "rate_limit_enabled", False)
    assert _uses(user_id) == 50
    assert limits_client().exists(_key(user_id)) == 0


def test_an_endpoint_over_the_limit_answers_429(client: FlaskClient, signed_in: dict[str, str]) -> None:
    answers = [client.get("/api/probe/mine", headers=signed_in) for _ in range(6)]
    assert [answer.status_code for answer in answers] == [200] * 5 + [429]
    assert 1 <= int(answers[-1].headers["Retry-After"]) <= 12
    assert answers[-1].json is not None
    assert answers[-1].json["code"] == "rate_limited"


def test_with_redis_hung_nobody_waits_and_the_process_counts_by_itself(
    user_id: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with embedded_valkey(tmp_path) as server, make_client(server.url()) as own:
        assert server.pid is not None
        monkeypatch.setattr(settings(), "limits_redis_url", server.url())
        limit_action(user_id, "messages")
        eventually(lambda: own.exists(_key(user_id, "messages")) == 1)
        before = _count(limits.alone_total)
        os.kill(server.pid, signal.SIGSTOP)
        try:
            assert _uses(user_id) == 5
            eventually(lambda: _count(limits.alone_total) == before + 5)
        finally:
            os.kill(server.pid, signal.SIGCONT)
        limit_action(user_id, "messages")
        eventually(lambda: own.pttl(_key(user_id, "messages")) > 20_000, message="uses are counted again")
