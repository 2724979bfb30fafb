"""Servers that only the tests of one module use, so that they may be hurt."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flask import Flask

from local.servers import Valkey, embedded_valkey
from tests.people import Person, connections, make_people
from tests.processes import Api, running_api

Folk = Callable[[int], list[Person]]


@pytest.fixture(scope="module")
def own_valkey(data_dir: Path, request: pytest.FixtureRequest) -> Iterator[Valkey]:
    """A Valkey for hanging, and for orders that all hubs obey."""
    with embedded_valkey(data_dir / request.module.__name__.rpartition("_")[2]) as server:
        yield server


@pytest.fixture(scope="module")
def own_api(app: Flask, data_dir: Path, own_valkey: Valkey) -> Iterator[Api]:
    """An API process that uses it, and notices soon that somebody holds a lock for long."""
    with running_api(data_dir, REDIS_URL=own_valkey.url(), DB_LOCK_TIMEOUT="1s") as api:
        yield api
        connections().close()  # The server would wait for more requests on them before it ends.


@pytest.fixture
def folk(app: Flask, own_api: Api) -> Folk:
    """Makes so many new people who use that API."""
    return lambda count: make_people(app, count, own_api.url)
