"""The Celery app of workers and beat: `celery -A celery_app worker -Q messaging`, `celery -A celery_app beat`.

Start workers with `REMAP_SIGTERM=SIGQUIT` in the environment: only then is the time after SIGTERM bounded.
"""

from __future__ import annotations

import gc
import logging
import os
from typing import Any

from celery import Celery
from celery.signals import beat_init, setup_logging, worker_process_init, worker_process_shutdown
from kombu import Queue

from config import Settings, settings
from workers.metrics import prepare as prepare_metrics

prepare_metrics(settings())
# What is loaded stays: looks of the collector at it, again and again, took a sixth of the time until a process works.
gc.disable()

from app.infra import jobs  # noqa: E402 - metrics are prepared first
from app.infra.logging import configure_logging  # noqa: E402
from app.infra.running import process_begins, process_ends  # noqa: E402
from workers import (  # noqa: E402 - they declare tasks
    base,
    calls,  # noqa: F401
    chats,  # noqa: F401
    maintenance,  # noqa: F401
    media,  # noqa: F401
    messages,  # noqa: F401
    presence,  # noqa: F401
    receipts,  # noqa: F401
    search,  # noqa: F401
)
from workers.schedule import schedule  # noqa: E402

gc.enable()

# What jobs that run at SIGTERM are given. Celery waits all of it when there are any; most jobs take milliseconds, and
# one that is cut short is found by its sweep.
_LAST_SECONDS = 3.0
# Their lines for each job repeat what the job's own say, and know neither its request nor its arguments' meaning.
_TALKATIVE = ("celery.app.trace", "celery.beat", "celery.pool", "celery.worker.strategy", "celery.bootsteps")


def make_app(current: Settings) -> Celery:
    """The Celery app: what producers and workers share, and what only workers and beat need."""
    # Celery's command line takes BROKER_URL for its own option, as it stands there; the settings know how to read it.
    os.environ.pop("CELERY_BROKER_URL", None)
    celery = jobs.configure(Celery("paperplane"), current)
    celery.conf.update(
        task_queues=[Queue(name) for name in jobs.QUEUES],
        task_create_missing_queues=False,
        # A job is taken off the queue when it is done, also where its process was killed.
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        worker_prefetch_multiplier=1,
        worker_concurrency=current.worker_concurrency,
        worker_send_task_events=False,
        task_send_sent_event=False,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        worker_soft_shutdown_timeout=_LAST_SECONDS,
        # Forever: the broker may be away for hours, and the worker goes on when it is back.
        broker_connection_max_retries=None,
        timezone="UTC",
        beat_schedule=schedule(current),
        beat_schedule_filename=str(current.data_dir / "beat-schedule"),
        # beat sleeps no longer than this, so that a changed clock costs little.
        beat_max_loop_interval=current.sweep_interval,
    )
    base.register(celery)
    return celery


app = make_app(settings())


@setup_logging.connect
def _log_our_way(**_: Any) -> None:
    configure_logging(settings())
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)


@worker_process_init.connect
def _mark_as_running(**_: Any) -> None:
    """In each process of the pool; one that follows a killed one has all clients sync."""
    process_begins()


@worker_process_shutdown.connect
def _send_what_waits(**_: Any) -> None:
    """Events of the last jobs are still on their way to Redis when a process is told to end."""
    process_ends(1.0)


@beat_init.connect
def _at_start(**_: Any) -> None:
    """Daily jobs would otherwise wait for a day on a machine that starts anew each morning."""
    settings().data_dir.mkdir(parents=True, exist_ok=True)
    app.send_task(jobs.KEEP_PARTITIONS, queue=jobs.JOBS[jobs.KEEP_PARTITIONS], ignore_result=True)
