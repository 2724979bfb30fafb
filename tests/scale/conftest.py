"""A database of its own for what must not grow with what is stored: its statistics and plans are nobody else's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from app.infra.db import engine, unit_of_work
from tests.alone import new_database, working_on
from tests.scale.actions import ACTIONS, Crowd, act, fill, write_in_the_long_chat
from tests.scale.explaining import Explained, explained_statements

# When the plans that connections keep were made.
TIMES = ("while the tables were empty", "once they were filled", "once they were analysed")

Observed = dict[str, dict[str, list[Explained]]]


@pytest.fixture(scope="session")
def _scale_url(_servers: None, data_dir: Path) -> str:
    """The URL of a migrated, empty database."""
    return new_database(data_dir, "scale")


@pytest.fixture(scope="session")
def _observed(_scale_url: str) -> tuple[Crowd, Observed]:
    """The crowd, and what each statement of each action touched, by when the connection had planned it."""
    observed: Observed = {}
    with working_on(_scale_url):
        for action in ACTIONS:
            act(action, Crowd.nobody())
        crowd = fill()
        for time in TIMES:
            if time == TIMES[2]:
                with unit_of_work() as unit:
                    unit.execute(text("ANALYZE"))
            write_in_the_long_chat(crowd)
            observed[time] = {}
            for action in ACTIONS:
                with explained_statements() as statements:
                    act(action, crowd)
                observed[time][action] = statements
            engine().dispose()
    return crowd, observed


@pytest.fixture
def observed(_observed: tuple[Crowd, Observed]) -> Observed:
    """What each statement touched, by time of planning and action."""
    return _observed[1]


@pytest.fixture
def crowd(_observed: tuple[Crowd, Observed], _scale_url: str) -> Iterator[Crowd]:
    """Who and what is in the database; until the test ends, this process works on it."""
    with working_on(_scale_url):
        yield _observed[0]
