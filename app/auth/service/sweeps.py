"""What has expired goes."""

from __future__ import annotations

from app.auth.queries import sweeps
from app.auth.service.limits import CODE_WINDOW, LOGIN_WINDOW
from app.infra.db import UnitOfWork
from config import settings


def sweep_expired(unit: UnitOfWork, batch: int) -> int:
    """Deletes expired codes, sign-ups older than a day, sessions that expired 30 days ago, and old counts of attempts.

    At most `batch` rows of each; answers how many went in all.
    """
    return sweeps.delete_expired(unit, batch, settings().code_resend_after, max(CODE_WINDOW, LOGIN_WINDOW))
