"""Keeping people's names findable."""

from __future__ import annotations

from collections.abc import Sequence

from app.auth import names
from app.auth.queries import names as queries
from app.infra.db import UnitOfWork


def index_names(unit: UnitOfWork, user_ids: Sequence[int]) -> None:
    """Makes people findable and sorted by the names they have now; after every statement that writes names."""
    people = queries.lock(unit, user_ids)
    sort_names = {person.user_id: " ".join(names.words(person.first_name, person.last_name)) for person in people}
    words = [
        (word, person.user_id)
        for person in people
        for word in names.words(person.first_name, person.last_name, person.username)
    ]
    queries.store(unit, sort_names, words)
