"""Whether this process lives, and whether it can serve: for load balancers, orchestrators and people."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import lru_cache

import orjson
import structlog
from flask import Blueprint, Response
from sqlalchemy import text

from app.infra.db import reading
from app.infra.redis import client

blueprint = Blueprint("health", __name__)

log = structlog.get_logger(__name__)

# All checks together, in seconds: less than the patience of any load balancer, whatever hangs.
_DEADLINE = 2.0
_RETRY_AFTER = "2"

_CURRENT_MIGRATION = text("SELECT version_num FROM alembic_version")

Check = Callable[[], None]


class NotReady(Exception):
    """Why a check failed, in words that give no secret away."""


@blueprint.get("/healthz")
def healthz() -> Response:
    """Answers as long as the process does; touches nothing else."""
    return Response(b'{"status":"ok"}', content_type="application/json")


@blueprint.get("/readyz")
def readyz() -> Response:
    """200 where the database answers and is migrated and Redis answers; else 503 and which of them failed."""
    checks = _run({"database": _database, "migrations": _migrations, "redis": _redis})
    ready = set(checks.values()) == {"ok"}
    content = orjson.dumps({"status": "ready" if ready else "unavailable", "checks": checks})
    response = Response(content, status=200 if ready else 503, content_type="application/json")
    response.headers["Cache-Control"] = "no-store"
    if not ready:
        response.headers["Retry-After"] = _RETRY_AFTER
        log.warning("not_ready", **checks)
    return response


def _run(checks: dict[str, Check]) -> dict[str, str]:
    """Runs all checks side by side, in threads (greenlets under gevent) that are left behind once the time is over."""
    results = dict.fromkeys(checks, "no answer in time")
    threads = [
        threading.Thread(target=_run_one, args=(name, check, results), name=f"ready-{name}", daemon=True)
        for name, check in checks.items()
    ]
    end = time.monotonic() + _DEADLINE
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, end - time.monotonic()))
    return dict(results)


def _run_one(name: str, check: Check, results: dict[str, str]) -> None:
    try:
        check()
        results[name] = "ok"
    except NotReady as error:
        results[name] = str(error)
    except Exception as error:  # Whatever a driver raises: the answer is that this one failed.
        results[name] = f"failed ({type(error).__name__})"


def _database() -> None:
    with reading() as unit:
        unit.execute(text("SELECT 1"))


def _redis() -> None:
    client().ping()


def _migrations() -> None:
    """Behind is not ready; ahead is: migrations fit the code that still runs while a new version is rolled out."""
    with reading() as unit:
        current = unit.execute(_CURRENT_MIGRATION).scalar()
    if current is None or current < _newest():
        raise NotReady(f"at {current or 'nothing'}, needs {_newest()}")


@lru_cache(maxsize=1)
def _newest() -> str:
    from app.infra.migrations import newest

    return newest()
