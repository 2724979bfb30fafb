"""Search finds what a look at every message finds: messages, edits, reads, deletions, clearing and questions at random.

Also where chats are longer than a shelf of the index and indexed bit by bit, and by walking alone or by words alone.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from app.infra import jobs
from app.search import indexing, lexemes, looking, postgres_index
from tests.search.brute_force import expected
from tests.search.scenes import found, leave
from tests.search.town import WORDS, Town

QUESTIONS = st.lists(
    st.sampled_from([*WORDS, '"hello world"', '"北京 大学"', '"a b"', "h", "北", "#t", "w", "สวัสดี"]),
    min_size=1,
    max_size=3,
).map(" ".join)


@pytest.fixture(autouse=True, params=["as they are", "walking", "looking up"])
def shelves(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Shelves, steps and batches as they are, or so short that a chat of the tests is longer; then one way finds all.

    A worker that other tests have started knows nothing of short shelves, so it is not asked for anything.
    """
    monkeypatch.setattr(jobs, "mark_for_search", lambda _: None)
    if request.param == "as they are":
        return
    monkeypatch.setattr(indexing, "_LARGEST_BATCH", 3)
    monkeypatch.setattr(indexing, "_LEAST_OF_CHAT", 1)
    monkeypatch.setattr(lexemes, "SHELF", 8)
    monkeypatch.setattr(postgres_index, "_LEAST_WALK", 8)
    monkeypatch.setattr(postgres_index, "FIRST_STEP_ALONE", 2)
    monkeypatch.setattr(postgres_index, "_FIRST_WALKERS", 2)
    monkeypatch.setattr(looking.Seen, "is_walking_cheaper", lambda *_: request.param == "walking")


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck), phases=[Phase.generate])
@given(seed=st.integers(0, 2**32), questions=st.lists(QUESTIONS, min_size=6, max_size=6, unique=True))
def test_a_search_finds_exactly_what_a_look_at_every_message_finds(seed: int, questions: list[str]) -> None:
    town = Town(seed)
    town.live(30)
    leave(town.chats[-1], town.people[2])
    for q in questions:
        for person in town.people:
            assert found(person, q, limit=11) == expected(person, q), (person, q)
    person, (one, *_) = town.people[1], town.chats
    middle = town.middle()
    filters: list[dict[str, Any]] = [
        {"chat_id": one},
        {"sender_id": town.people[0]},
        {"message_type": "image"},
        {"message_type": "text", "chat_id": one},
        {"since": middle},
        {"until": middle},
    ]
    for asked in filters:
        for q in questions[:2]:
            assert found(person, q, limit=5, **asked) == expected(person, q, **asked), (asked, q)
        if "chat_id" not in asked:
            assert found(person, limit=17, **asked) == expected(person, "", **asked), asked
