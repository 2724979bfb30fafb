"""The settings choose the storage."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from app.infra.storage import make_storage, new_key, storage
from app.infra.storage.disk import DiskStorage
from app.infra.storage.s3 import S3Storage
from app.infra.storage.s3_connection import Server
from config import Settings, load, settings


def _settings(**given: Any) -> Settings:
    return settings().model_copy(update=given)


def test_files_are_kept_in_a_folder_unless_a_bucket_is_named(tmp_path: Path) -> None:
    key = new_key()
    kept = make_storage(_settings(upload_dir=tmp_path))
    kept.store(key, [b"x"], "text/plain")
    path = kept.internal_path(key)
    assert path is not None
    assert (tmp_path / path).read_bytes() == b"x"
    assert isinstance(make_storage(_settings(s3_bucket="files")), S3Storage)


def test_a_process_has_one_storage() -> None:
    assert storage() is storage()
    assert isinstance(storage(), DiskStorage)


@pytest.mark.parametrize(
    ("given", "beginning"),
    [
        ({}, "https://pictures.s3.eu-west-1.amazonaws.com/files/"),
        ({"s3_addressing": "path"}, "https://s3.eu-west-1.amazonaws.com/pictures/files/"),
        ({"s3_endpoint_url": "http://s3:9000"}, "http://s3:9000/pictures/files/"),
        ({"s3_endpoint_url": "http://s3:9000", "s3_addressing": "virtual"}, "http://pictures.s3:9000/files/"),
        ({"s3_endpoint_url": "http://s3:9000", "s3_public_url": "https://f.org"}, "https://f.org/pictures/files/"),
    ],
)
def test_links_go_where_the_settings_say(given: dict[str, str], beginning: str) -> None:
    bucket = {"s3_bucket": "pictures", "s3_region": "eu-west-1", "s3_access_key": "a", "s3_secret_key": "b"}
    link = make_storage(_settings(**bucket, **given)).download_link(new_key(), "text/plain", "inline", 60)
    assert link is not None
    assert link.startswith(beginning)


def test_a_bucket_works_as_the_settings_say(s3_server: Server, tmp_path: Path) -> None:
    given = {
        "s3_bucket": s3_server.bucket,
        "s3_endpoint_url": s3_server.endpoint,
        "s3_access_key": s3_server.access_key,
        "s3_secret_key": s3_server.secret_key,
        "upload_dir": tmp_path,
    }
    kept, key = make_storage(_settings(**given)), new_key()
    kept.store(key, [b"x"], "text/plain")
    assert kept.size(key) == 1


def test_a_key_without_its_secret_stops_the_start() -> None:
    with pytest.raises(SystemExit, match="S3_ACCESS_KEY and S3_SECRET_KEY: set both"):
        load(s3_bucket="files", s3_access_key="a")
