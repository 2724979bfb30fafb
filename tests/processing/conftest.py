"""What tests of looking at files need."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from app.infra import jobs
from app.infra.db import UnitOfWork
from app.infra.storage import storage
from app.infra.storage.s3_connection import Server
from config import settings
from local.addresses import embedded_redis_url
from tests.files.places import Place, bucket_settings
from tests.people import Person, make_people
from tests.processes import Api, Worker, running_api, running_worker

Asked = list[tuple[str, dict[str, Any]]]
Making = Callable[[int], list[Person]]

# A broker of its own, so that workers take only files that are where they look.
_BROKER_NUMBER = 7


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    """The jobs that this process asks for, which nobody does: the worker of other tests does not hear of them."""
    found: Asked = []

    def enqueue(unit: UnitOfWork, name: str, **arguments: Any) -> None:
        unit.after_commit(lambda: found.append((name, arguments)))

    monkeypatch.setattr(jobs, "enqueue", enqueue)
    return found


@pytest.fixture(scope="session")
def disk(api: Api, shared_worker: Worker, data_dir: Path) -> Place:
    """The API and the worker that all tests share, and their folder."""
    return Place(api, data_dir / "uploads")


@pytest.fixture(scope="session")
def bucket(
    _servers: None, data_dir: Path, s3_server: Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Place]:
    """An API and a worker whose files are in a bucket."""
    environment = bucket_settings(s3_server) | {"BROKER_URL": embedded_redis_url(data_dir, _BROKER_NUMBER)}
    with running_api(data_dir, **environment) as api, running_worker(tmp_path_factory.mktemp("w"), **environment):
        yield Place(api, data_dir / "uploads", s3_server)


@pytest.fixture(params=["disk", "bucket"])
def place(request: pytest.FixtureRequest) -> Place:
    """Either of them."""
    found: Place = request.getfixturevalue(request.param)
    if request.param == "disk":
        request.getfixturevalue("worker")  # What others have left would be looked at first.
    return found


@pytest.fixture
def persons(app: Flask, place: Place) -> Making:
    """Makes so many new people who use the API of the place."""
    return lambda count: make_people(app, count, place.api.url)


@pytest.fixture(params=["disk", "bucket"])
def either_storage(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """This process keeps files in its folder, and then in a bucket."""
    if request.param == "bucket":
        for name, value in bucket_settings(request.getfixturevalue("s3_server")).items():
            monkeypatch.setattr(settings(), name.lower(), value)
    storage.cache_clear()
    yield
    monkeypatch.undo()
    storage.cache_clear()
