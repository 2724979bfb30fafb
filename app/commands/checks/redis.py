"""Redis in its three roles, and the workers behind the broker."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import redis
from celery import Celery

from app.commands.checks.database import skew
from app.commands.checks.finding import Finding, broken, good, warning
from app.infra import jobs
from app.infra.redis import make_client
from config import Settings

# Workers answer within milliseconds; a busy machine gets some more.
_WORKERS_TIMEOUT = 2.0


def check(current: Settings) -> Iterator[Finding]:
    """What is found about each Redis, then about the workers; nothing of workers where the broker is away."""
    servers = {"Redis": current.redis, "Redis of limits": current.limits_redis, "Broker": _client_url(current.broker)}
    seen: set[str] = set()
    reached = True
    for name, url in servers.items():
        if url in seen:
            continue
        seen.add(url)
        found = list(_server(name, url, current))
        # The last is the broker, unless it is one of those before.
        reached = found[0].level.name != "BROKEN"
        yield from found
    if reached:
        yield from _workers(current)


def _client_url(broker: str) -> str:
    return broker.replace("redis+socket://", "unix://").replace("?virtual_host=", "?db=")


def _server(name: str, url: str, current: Settings) -> Iterator[Finding]:
    if not url.startswith(("redis://", "rediss://", "unix://")):
        yield warning(name, "is not a Redis: not looked at", "see it with its own tools")
        return
    client = make_client(url)
    try:
        facts: dict[str, Any] = client.info("server")
        seconds, microseconds = client.time()
    except (redis.RedisError, OSError) as error:
        advice = "start it with `make run`" if current.embeds_redis else "see REDIS_URL, REDIS_* or BROKER_URL"
        yield broken(name, f"cannot be reached: {type(error).__name__}", advice)
        return
    version = facts.get("valkey_version") or facts.get("redis_version")
    yield good(name, f"{facts.get('server_name', 'redis')} {version}")
    yield skew(f"{name}'s clock", seconds + microseconds / 1e6 - time.time())
    yield _eviction(name, client)


def _eviction(name: str, client: redis.Redis) -> Finding:
    try:
        policy = client.config_get("maxmemory-policy").get("maxmemory-policy")
    except redis.RedisError:
        return warning(f"{name}'s eviction", "cannot be asked for", "make sure maxmemory-policy is noeviction")
    if policy != "noeviction":
        return broken(f"{name}'s eviction", f"maxmemory-policy is {policy}: jobs can vanish", "set it to noeviction")
    return good(f"{name}'s eviction", "noeviction")


def _workers(current: Settings) -> Iterator[Finding]:
    inspector = jobs.configure(Celery("paperplane-doctor", set_as_current=False), current)
    try:
        answers = inspector.control.inspect(timeout=_WORKERS_TIMEOUT).active_queues() or {}
    except Exception as error:  # The broker's libraries raise many kinds.
        yield broken("Workers", f"the broker did not answer: {type(error).__name__}", "see BROKER_URL")
        return
    consumed = {queue["name"] for queues in answers.values() for queue in queues}
    due = set(jobs.JOBS.values())
    missing = [queue for queue in jobs.QUEUES if queue in due and queue not in consumed]
    if missing:
        advice = f"start one: celery -A celery_app worker -Q {','.join(missing)} (make run starts all)"
        yield broken("Workers", f"{len(answers)} running, none takes {', '.join(missing)}", advice)
    else:
        yield good("Workers", f"{len(answers)} running, every queue is taken")
