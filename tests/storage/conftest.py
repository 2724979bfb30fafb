"""Each test that asks for `place` or `kept` runs on a folder and on a bucket."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import pytest

from app.infra.storage import Storage
from app.infra.storage.s3_connection import Server
from tests.storage.places import Place


@pytest.fixture
def disk(tmp_path: Path) -> Place:
    """An empty folder."""
    return Place(tmp_path / "uploads")


@pytest.fixture(scope="session")
def bucket(tmp_path_factory: pytest.TempPathFactory, s3_server: Server) -> Place:
    """The bucket that all tests share."""
    return Place(tmp_path_factory.mktemp("uploads"), s3_server)


@pytest.fixture(params=["disk", "bucket"])
def place(request: pytest.FixtureRequest) -> Place:
    """Either of them."""
    found: Place = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def kept(place: Place) -> Storage:
    """The storage on it."""
    return opened(place)


@lru_cache
def opened(place: Place) -> Storage:
    """The storage on a place; that on the bucket is the same for all tests, since a client takes a while to make."""
    return place.open()
