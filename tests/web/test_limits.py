"""Rate limits: the whole allowance at once, then evenly; open and cheap when Redis is away."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from app.errors import RateLimited
from app.infra.redis import Breaker, limits_client, make_client
from app.web import limits
from app.web.limits import limit_action
from config import settings
from local.servers import embedded_valkey


@pytest.fixture(autouse=True)
def small_allowance(monkeypatch: pytest.MonkeyPatch) -> None:
    """Five requests and three messages in a minute."""
    for name, value in {"rate_limit_enabled": True, "rate_limit_requests": 5, "rate_limit_messages": 3}.items():
        monkeypatch.setattr(settings(), name, value)
    monkeypatch.setattr(limits, "_breaker", Breaker())


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


def _uncounted(action: str = "requests") -> float:
    return sum(
        sample.value
        for metric in limits.unlimited_total.collect()
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


def test_uses_come_back_one_by_one(user_id: int) -> None:
    _uses(user_id)
    key = _key(user_id)
    arrival = int(limits_client().get(key) or 0)
    limits_client().set(key, arrival - 2 * 12_000_000, keepttl=True)  # As if 24 s had passed.
    assert _uses(user_id) == 2


def test_a_refused_use_costs_nothing(user_id: int) -> None:
    _uses(user_id)
    before = limits_client().get(_key(user_id))
    assert _uses(user_id) == 0
    assert limits_client().get(_key(user_id)) == before


def test_the_mark_is_gone_once_the_allowance_is_whole_again(user_id: int) -> None:
    limit_action(user_id, "requests")
    assert 11_000 < limits_client().pttl(_key(user_id)) <= 12_000


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


def test_a_redis_that_lost_its_scripts_is_given_them_again(user_id: int) -> None:
    limits_client().script_flush()
    assert _uses(user_id) == 5


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


def test_with_redis_hung_all_pass_after_one_time_out_and_are_counted_again_later(
    user_id: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with embedded_valkey(tmp_path) as server:
        assert server.pid is not None
        own = make_client(server.url())
        monkeypatch.setattr(limits, "limits_client", lambda: own)
        limit_action(user_id, "requests")
        before = _uncounted()
        os.kill(server.pid, signal.SIGSTOP)
        try:
            limit_action(user_id, "requests")
        finally:
            os.kill(server.pid, signal.SIGCONT)
        # The server answers again, but for a moment nobody asks it: that is what spares each request a time-out.
        limit_action(user_id, "requests")
        assert _uncounted() == before + 2
        deadline = time.monotonic() + 20
        while _uses(user_id) == 50:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        own.close()


def test_with_redis_gone_all_pass(user_id: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with embedded_valkey(tmp_path) as server:
        own = make_client(server.url())
    monkeypatch.setattr(limits, "limits_client", lambda: own)
    before = _uncounted()
    assert _uses(user_id) == 50
    assert _uncounted() == before + 50
