"""Jobs of receipts: which messages have arrived and were read."""

from __future__ import annotations

from app.infra import jobs
from app.messages import status_jobs
from workers.base import task


@task(jobs.UPDATE_STATUS)
def update_status() -> None:
    """Writes down the statuses and receipts of the chats that were marked dirty."""
    status_jobs.update_marked()


@task(jobs.SWEEP_STATUS)
def sweep_status() -> None:
    """Writes down what no job did: it was lost with a worker, with Redis, or never enqueued."""
    status_jobs.sweep()
