"""Jobs of calls."""

from __future__ import annotations

from app.calls import service
from app.infra import jobs
from workers.base import task


@task(jobs.SWEEP_CALLS)
def sweep_calls() -> None:
    """Ends calls that nobody answered in time, and those whose devices or people are all gone."""
    service.sweep()


@task(jobs.END_BARRED)
def end_barred(user_ids: list[int]) -> None:
    """Takes people out of calls where they have no business any more."""
    service.end_barred(user_ids)


@task(jobs.CLEAR_ROOMS)
def clear_rooms() -> None:
    """Tells LiveKit who is not in its rooms any more."""
    service.clear_rooms()
