"""What storage holds and nobody knows of: left by a machine that lost its power, or by a database that was put back."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import structlog

from app.files.queries import objects
from app.infra import sweeps
from app.infra.db import unit_of_work
from app.infra.storage import Stored, new_key, storage
from config import settings

_PAGE = 1000
_LONGEST_RUN = 20.0
_OLD = timedelta(days=1)
# Forms, their rows and their keys are gone long before.
_POSTED = timedelta(hours=4)
_SWEEP = "objects"

log = structlog.get_logger(__name__)


def sweep_storage() -> int:
    """Has objects without a row removed that are older than a day, and unfinished uploads; gives how many objects.

    Each run begins somewhere else and goes as far as its time lets it, so that storages of any size are looked through.
    """
    with sweeps.only_one(_SWEEP) as alone:
        if not alone:
            return 0
        now = datetime.now(UTC)
        storage().remove_leftovers(now - timedelta(seconds=settings().upload_expiry) - _OLD, now - _POSTED)
        deadline = time.monotonic() + _LONGEST_RUN
        middle = new_key()
        return _sweep_part(middle, None, now - _OLD, deadline) + _sweep_part("", middle, now - _OLD, deadline)


def _sweep_part(after: str, until: str | None, before: datetime, deadline: float) -> int:
    """Looks at the objects with keys past `after`, up to `until`."""
    found = 0
    while time.monotonic() < deadline:
        page = storage().keys(after=after, limit=_PAGE)
        part = page if until is None else [stored for stored in page if stored.key <= until]
        found += _note_unknown([stored for stored in part if stored.changed_at < before])
        if len(page) < _PAGE or len(part) < len(page):
            break
        after = page[-1].key
    return found


def _note_unknown(stored: list[Stored]) -> int:
    if not stored:
        return 0
    with unit_of_work() as unit:
        unknown = objects.note_unknown(unit, [each.key for each in stored])
    if unknown:
        log.warning("objects_without_rows", objects=len(unknown), first=unknown[0])
    return len(unknown)
