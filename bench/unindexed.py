"""The application as if there were no search: nothing that is sent is marked for indexing. What sending costs then."""

from __future__ import annotations

from app.infra import jobs


def _mark_nothing(chat_id: int) -> None:
    """In the place of jobs.mark_for_search."""


jobs.mark_for_search = _mark_nothing

from wsgi import app  # noqa: E402

__all__ = ["app"]
