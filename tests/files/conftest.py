"""Each test that asks for `place` runs against an API on a folder and against one on a bucket."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest
from flask import Flask

from app.infra.storage.s3_connection import Connection, Server
from tests.files.places import Place, bucket_settings
from tests.people import Person, connections, make_people
from tests.processes import Api, running_api

Making = Callable[[int], list[Person]]


@pytest.fixture(scope="session")
def disk(api: Api, data_dir: Path) -> Place:
    """The API that all tests share, and its folder."""
    return Place(api, data_dir / "uploads")


@pytest.fixture(scope="session")
def bucket(_servers: None, data_dir: Path, s3_server: Server) -> Iterator[Place]:
    """An API whose files are in a bucket."""
    with running_api(data_dir, **bucket_settings(s3_server)) as process:
        yield Place(process, data_dir / "uploads", s3_server)


@pytest.fixture(params=["disk", "bucket"])
def place(request: pytest.FixtureRequest) -> Place:
    """Either of them."""
    found: Place = request.getfixturevalue(request.param)
    return found


@pytest.fixture(params=["disk", "bucket"])
def own_place(request: pytest.FixtureRequest, alone: None, data_dir: Path, tmp_path: Path) -> Iterator[Place]:
    """An API with a database, and a folder or a bucket, in which nothing happens but one test."""
    folder, server = tmp_path / "uploads", None
    environment = {"UPLOAD_DIR": str(folder)}
    if request.param == "bucket":
        server = replace(request.getfixturevalue("s3_server"), bucket=f"own-{uuid4()}")
        Connection(server).client.create_bucket(Bucket=server.bucket)
        environment |= bucket_settings(server)
    with running_api(data_dir, **environment) as process:
        yield Place(process, folder, server)
        connections().close()  # The server would wait for more requests on them before it ends.


@pytest.fixture
def persons(app: Flask, place: Place) -> Making:
    """Makes so many new people who use the API of the place."""
    return lambda count: make_people(app, count, place.api.url)


@pytest.fixture(scope="session")
def small_api(_servers: None, data_dir: Path) -> Iterator[Api]:
    """An API that takes files of up to 1 MB, and 2 MB of them from each person."""
    with running_api(data_dir, MAX_FILE_SIZE="1MB", FILE_QUOTA="2MB") as process:
        yield process


@pytest.fixture
def limited(app: Flask, small_api: Api) -> Person:
    """Somebody who uses that API."""
    (person,) = make_people(app, 1, small_api.url)
    return person
