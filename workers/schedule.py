"""What beat asks for, and when. One beat runs; a second would do no harm, since every job looks first."""

from __future__ import annotations

from typing import Any

from app.infra import jobs
from config import Settings

_DAY = 86_400
_HOUR = 3_600
_MINUTE = 60


def schedule(current: Settings) -> dict[str, dict[str, Any]]:
    """The beat schedule; intervals in seconds.

    A job that no worker took in time expires, so that sweeps do not pile up while workers are away.
    """
    return {
        jobs.SWEEP_UNREAD: _every(current.sweep_interval, jobs.SWEEP_UNREAD),
        jobs.SWEEP_STATUS: _every(current.sweep_interval, jobs.SWEEP_STATUS),
        jobs.SWEEP_SEARCH: _every(current.sweep_interval, jobs.SWEEP_SEARCH),
        jobs.SWEEP_PRESENCE: _every(current.sweep_interval, jobs.SWEEP_PRESENCE),
        jobs.SWEEP_FILES: _every(_MINUTE, jobs.SWEEP_FILES),
        jobs.SWEEP_STORAGE: _every(_HOUR, jobs.SWEEP_STORAGE),
        jobs.SWEEP_CALLS: _every(current.call_sweep_interval, jobs.SWEEP_CALLS),
        jobs.CLEAR_ROOMS: _every(current.sweep_interval, jobs.CLEAR_ROOMS),
        jobs.SWEEP_EXPIRED: _every(_HOUR, jobs.SWEEP_EXPIRED),
        jobs.KEEP_PARTITIONS: _every(_DAY, jobs.KEEP_PARTITIONS),
    }


def _every(seconds: int, name: str) -> dict[str, Any]:
    return {"task": name, "schedule": float(seconds), "options": {"expires": seconds}}
