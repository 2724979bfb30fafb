"""Every job has a task, a queue that workers know, and limits that fit the broker."""

from __future__ import annotations

from pathlib import Path

import pytest

import workers
from app.infra import jobs, partitions
from app.infra.db import reading, unit_of_work
from celery_app import app
from config import settings
from workers import maintenance
from workers.base import declared, task
from workers.schedule import schedule


def our_tasks() -> set[str]:
    return {name for name in app.tasks if not name.startswith("celery.")}


def test_every_job_has_a_task_and_every_task_is_a_job() -> None:
    assert our_tasks() == set(jobs.JOBS)


def test_every_job_goes_to_a_queue_that_workers_know() -> None:
    assert {queue.name for queue in app.conf.task_queues} == set(jobs.QUEUES)
    assert set(jobs.JOBS.values()) <= set(jobs.QUEUES)
    for name, queue in jobs.JOBS.items():
        assert app.amqp.router.route({}, name)["queue"].name == queue


def test_every_file_of_tasks_is_imported_by_the_app() -> None:
    files = {path.stem for path in Path(workers.__path__[0]).glob("*.py")} - {"__init__", "base", "schedule", "metrics"}
    assert {each.handler.__module__.removeprefix("workers.") for each in declared.values()} == files


def test_every_scheduled_job_is_known_and_expires_before_it_is_due_again() -> None:
    for entry in schedule(settings()).values():
        assert entry["task"] in jobs.JOBS
        assert entry["options"]["expires"] <= entry["schedule"]


def test_every_sweep_is_scheduled() -> None:
    assert {name for name in jobs.JOBS if ".sweep" in name} <= {each["task"] for each in schedule(settings()).values()}


def test_no_job_may_run_so_long_that_the_broker_gives_it_to_a_second_worker() -> None:
    visible_again = app.conf.broker_transport_options["visibility_timeout"]
    for name in our_tasks():
        soft, hard = app.tasks[name].soft_time_limit, app.tasks[name].time_limit
        assert soft is not None
        assert hard is not None
        assert soft < hard
        # What is off the queue when it begins is given to nobody else.
        assert hard < visible_again or not app.tasks[name].acks_late


def test_jobs_are_kept_until_they_are_done() -> None:
    assert app.conf.task_acks_late
    assert app.conf.task_reject_on_worker_lost
    assert app.conf.worker_prefetch_multiplier == 1
    assert app.conf.result_backend is None


def test_a_task_for_an_unknown_job_is_refused() -> None:
    with pytest.raises(ValueError, match="mesages"):
        task("mesages.fan_out")(lambda: None)


def test_enqueuing_an_unknown_job_is_refused() -> None:
    with unit_of_work() as unit, pytest.raises(KeyError):
        jobs.enqueue(unit, "messages.fan_out_unraed")


def test_maintenance_runs_over_what_there_is() -> None:
    with unit_of_work() as unit:
        maintenance.keep_partitions(unit)
    maintenance.sweep_expired()
    with reading() as unit:
        assert partitions.parts_left(unit.connection) == partitions.PARTS_AHEAD
