"""What is kept about messages for a time only."""

from __future__ import annotations

from app.infra.db import unit_of_work
from app.messages import expiry_queries

_BATCH = 5_000
_MOST_BATCHES = 100


def forget_client_ids() -> int:
    """Forgets which message a `client_id` became 7 days after it was sent; gives how many were forgotten.

    Opens a unit of work for each batch, so that nobody waits for long.
    """
    forgotten = 0
    for _ in range(_MOST_BATCHES):
        with unit_of_work() as unit:
            batch = expiry_queries.delete_client_ids(unit, _BATCH)
        forgotten += batch
        if batch < _BATCH:
            break
    return forgotten
