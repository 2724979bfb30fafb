"""Jobs of search: filling its index."""

from __future__ import annotations

from app.infra import jobs
from app.search import index_jobs
from workers.base import task


@task(jobs.INDEX_MESSAGES)
def index_messages() -> None:
    """Indexes what changed in the chats that were marked dirty."""
    index_jobs.index_marked()


@task(jobs.SWEEP_SEARCH)
def sweep_search() -> None:
    """Indexes what no job did: it was lost with a worker, with Redis, or never enqueued."""
    index_jobs.sweep()
