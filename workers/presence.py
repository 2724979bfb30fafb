"""Jobs of presence."""

from __future__ import annotations

from app.infra import jobs
from app.realtime import presence
from workers.base import task


@task(jobs.SWEEP_PRESENCE)
def sweep_presence() -> None:
    """Tells of people whose connections ended without a word, with their process for example."""
    presence.sweep()
