"""What tests of filling the index share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from app.infra import busy, jobs
from app.infra.redis import client
from app.search import index_jobs, waiting
from config import settings
from tests.factories import make_chat, make_users, run
from tests.search.scenes import Chat


@pytest.fixture
def chat() -> Chat:
    """A new chat, and one of its three members."""
    people = make_users(3)
    return make_chat(people), people[0]


@pytest.fixture
def alone_with_the_index(alone: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """All that tests before this one have left is indexed, and the sweep begins with the first chat."""
    monkeypatch.setattr(settings(), "search_patience", 60)
    client().delete(busy.TOLD)
    while index_jobs.sweep(age_seconds=0):
        pass
    run("DELETE FROM sweep_marks WHERE name = 'search'")
    yield
    run("DELETE FROM set_aside_jobs")
    client().delete(busy.TOLD, waiting.KEY, jobs.DIRTY_SEARCH)
