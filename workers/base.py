"""What all tasks share: `@task(name)` declares one, and each run has a log context, time limits and metrics.

    @task(jobs.KEEP_PARTITIONS)
    def keep_partitions(unit: UnitOfWork) -> None:
        "Makes parts ahead."

A parameter named `unit` is one transaction, committed when the task returns; the others come with the job. A task that
fails is not repeated by Celery: what it had to do is readable from the database, and a sweep redoes it.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import structlog
from celery import Celery, Task
from celery.exceptions import SoftTimeLimitExceeded
from prometheus_client import Counter, Histogram

from app.errors import Unavailable
from app.infra.db import unit_of_work
from app.infra.jobs import JOBS
from app.infra.logging import job_context
from app.infra.redis import RedisError

Handler = TypeVar("Handler", bound=Callable[..., Any])

# Seconds; both well below the broker's visibility_timeout, past which a kept job would be given to a second worker.
_SOFT_LIMIT = 30
_HARD_LIMIT = 40

log = structlog.get_logger(__name__)
jobs_total = Counter("paperplane_jobs", "Jobs run by workers.", ("job", "outcome"))
job_seconds = Histogram(
    "paperplane_job_duration_seconds",
    "Time a job took.",
    ("job",),
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)


@dataclass(frozen=True, slots=True)
class DeclaredTask:
    """A task as declared; registered with Celery by `register`."""

    name: str
    handler: Callable[..., Any]
    soft_limit: int
    hard_limit: int
    is_kept: bool
    takes_unit: bool


declared: dict[str, DeclaredTask] = {}


def task(
    name: str, *, soft_limit: int = _SOFT_LIMIT, hard_limit: int = _HARD_LIMIT, is_kept: bool = True
) -> Callable[[Handler], Handler]:
    """Declares the task that runs the job `name`; the function itself stays callable.

    After `soft_limit` seconds SoftTimeLimitExceeded is raised inside it, after `hard_limit` its process is killed. What
    is not `is_kept` is off the queue as soon as it begins: it may run for longer than the broker waits, and where its
    process dies only a sweep finds what it had to do.
    Raises ValueError for a job that is not in jobs.JOBS, or that has a task already.
    """

    def declare(handler: Handler) -> Handler:
        if name not in JOBS or name in declared:
            raise ValueError(f"{name}: not a job, or declared twice")
        takes_unit = "unit" in inspect.signature(handler).parameters
        declared[name] = DeclaredTask(name, handler, soft_limit, hard_limit, is_kept, takes_unit)
        return handler

    return declare


def sweep_each(*sweeps: Callable[[], object]) -> None:
    """Runs sweeps one after the other, also where one fails; raises the first failure in the end."""
    failures: list[Exception] = []
    for sweep in sweeps:
        try:
            sweep()
        except SoftTimeLimitExceeded:
            raise
        except Exception as error:
            log.warning("sweep_failed", sweep=sweep.__name__, exc_info=error)
            failures.append(error)
    if failures:
        raise failures[0]


def register(celery: Celery) -> None:
    """Makes the declared tasks known to a Celery app."""
    for each in declared.values():
        declare = celery.task(
            name=each.name,
            bind=True,
            soft_time_limit=each.soft_limit,
            time_limit=each.hard_limit,
            acks_late=each.is_kept,
        )
        declare(_runner(each))


def _runner(each: DeclaredTask) -> Callable[..., None]:
    def run(celery_task: Task[Any, Any], **arguments: Any) -> None:
        request_id = (celery_task.request.headers or {}).get("request_id")
        with job_context(each.name, str(celery_task.request.id), request_id):
            begun = time.perf_counter()
            jobs_total.labels(each.name, _outcome(each, arguments)).inc()
            job_seconds.labels(each.name).observe(time.perf_counter() - begun)

    run.__name__ = each.handler.__name__
    run.__doc__ = each.handler.__doc__
    return run


def _outcome(each: DeclaredTask, arguments: dict[str, Any]) -> str:
    """Runs the handler; `done`, `postponed` (a server was away or busy, or the time ran out) or `failed`."""
    log.debug("job_started")
    try:
        if each.takes_unit:
            with unit_of_work() as unit:
                each.handler(unit=unit, **arguments)
        else:
            each.handler(**arguments)
    except (Unavailable, RedisError, SoftTimeLimitExceeded) as error:
        log.warning("job_postponed", error=type(error.__cause__ or error).__name__)
        return "postponed"
    except Exception:
        log.exception("job_failed")
        return "failed"
    log.debug("job_done")
    return "done"
