"""An API process that knows a LiveKit."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask

from tests.calls.rooms import KEY, SECRET, Rooms, running_rooms
from tests.calls.scenes import People
from tests.people import connections, make_people
from tests.processes import Api, running_api


@pytest.fixture(scope="module")
def rooms() -> Iterator[Rooms]:
    """What stands in for LiveKit."""
    with running_rooms() as server:
        yield server


@pytest.fixture(scope="module")
def livekit_api(app: Flask, data_dir: Path, rooms: Rooms) -> Iterator[Api]:
    """An API process that knows it, and lets three into a call."""
    with running_api(
        data_dir,
        LIVEKIT_URL=rooms.url,
        LIVEKIT_API_KEY=KEY,
        LIVEKIT_API_SECRET=SECRET,
        CALL_MAX_PARTICIPANTS="3",
    ) as process:
        yield process
        connections().close()  # The server would wait for more requests on them before it ends.


@pytest.fixture
def livekit_people(app: Flask, livekit_api: Api) -> People:
    """Makes so many new people who use that API."""
    return lambda count: make_people(app, count, livekit_api.url)
