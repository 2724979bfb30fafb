"""Attempts of jobs, counted in the database: what failed too often is set aside and reported, it never loops.

An attempt is counted before the work begins, so that an input which ends the whole worker is counted too.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from sqlalchemy import text

from app.infra.db import UnitOfWork

MOST_ATTEMPTS = 3
_NOT_BACK = "the worker did not come back from it"

_ATTEMPTS = text("""
    SELECT subject, attempts FROM set_aside_jobs
    WHERE job = :job AND subject = ANY (CAST(:subjects AS text[]))""")
_BEGIN = text(f"""
    INSERT INTO set_aside_jobs (job, subject, attempts, error)
    SELECT :job, subject, 1, '{_NOT_BACK}' FROM unnest(CAST(:subjects AS text[])) AS subject ORDER BY subject
    ON CONFLICT (job, subject) DO UPDATE
    SET attempts = set_aside_jobs.attempts + 1, error = EXCLUDED.error, updated_at = now()""")
_FAILED = text("""
    UPDATE set_aside_jobs SET error = :error, updated_at = now() WHERE job = :job AND subject = :subject
    RETURNING attempts""")
_POSTPONED = text("""
    UPDATE set_aside_jobs SET attempts = GREATEST(attempts - 1, 0), updated_at = now()
    WHERE job = :job AND subject = ANY (CAST(:subjects AS text[]))""")
_DONE = text("DELETE FROM set_aside_jobs WHERE job = :job AND subject = ANY (CAST(:subjects AS text[]))")
_LIST = text(f"""
    SELECT job, subject, attempts, error FROM set_aside_jobs
    WHERE attempts >= {MOST_ATTEMPTS} ORDER BY updated_at DESC LIMIT :limit""")


class SetAside(NamedTuple):
    """An input that no job touches until somebody has looked at it."""

    job: str
    subject: str
    attempts: int
    error: str


def attempts(unit: UnitOfWork, job: str, subjects: Collection[str]) -> dict[str, int]:
    """How often the job was begun, without an end, on each of the subjects; those without a failure are left out."""
    rows = unit.execute(_ATTEMPTS, {"job": job, "subjects": list(subjects)})
    return {row.subject: row.attempts for row in rows}


def begin(unit: UnitOfWork, job: str, subjects: Collection[str]) -> None:
    """Counts an attempt on each subject; commit before the work."""
    unit.execute(_BEGIN, {"job": job, "subjects": list(subjects)})


def failed(unit: UnitOfWork, job: str, subject: str, error: str) -> int:
    """Notes why the attempt failed; the number of attempts so far, at MOST_ATTEMPTS the subject is set aside."""
    found: int | None = unit.execute(_FAILED, {"job": job, "subject": subject, "error": error}).scalar_one_or_none()
    return found or 0


def postponed(unit: UnitOfWork, job: str, subjects: Collection[str]) -> None:
    """Takes an attempt back that says nothing about the subject: the database was away or busy."""
    unit.execute(_POSTPONED, {"job": job, "subjects": list(subjects)})


def done(unit: UnitOfWork, job: str, subjects: Collection[str]) -> None:
    """Forgets the failures of subjects on which the job succeeded, or which somebody has looked at."""
    unit.execute(_DONE, {"job": job, "subjects": list(subjects)})


def listed(unit: UnitOfWork, limit: int = 100) -> list[SetAside]:
    """What is set aside, the newest first."""
    return [SetAside._make(row) for row in unit.execute(_LIST, {"limit": limit})]
