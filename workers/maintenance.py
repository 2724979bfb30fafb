"""Jobs that keep the house."""

from __future__ import annotations

import structlog
from prometheus_client import Gauge

from app.auth import service as sign_in
from app.infra import jobs, partitions
from app.infra.db import UnitOfWork, unit_of_work
from app.messages import expiry
from workers.base import task

_BATCH = 5_000
_MOST_BATCHES = 100

log = structlog.get_logger(__name__)
parts_left = Gauge(
    "paperplane_message_parts_left", "Parts of messages that are made ahead of time.", multiprocess_mode="mostrecent"
)


@task(jobs.KEEP_PARTITIONS)
def keep_partitions(unit: UnitOfWork) -> None:
    """Makes the parts of messages that are missing ahead."""
    made = partitions.keep_ahead(unit.connection)
    parts_left.set(partitions.parts_left(unit.connection))
    if made:
        log.info("parts_made", parts=made)


@task(jobs.SWEEP_EXPIRED)
def sweep_expired() -> None:
    """Deletes what has expired: codes, sign-ups never finished, old sessions, counts of attempts, client_ids."""
    for _ in range(_MOST_BATCHES):
        with unit_of_work() as unit:
            if not sign_in.sweep_expired(unit, _BATCH):
                break
    expiry.forget_client_ids()
