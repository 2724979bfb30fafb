"""How often a person may upload and download: counts of their own, beside that of all requests."""

from __future__ import annotations

from pathlib import Path

import pytest
from flask import Flask

from tests.factories import run
from tests.files import tus
from tests.files.places import broken_upload, noted_keys, upload
from tests.people import make_people
from tests.processes import eventually, running_api


def test_uploads_and_downloads_are_limited_each_by_itself(app: Flask, data_dir: Path) -> None:
    limits = {"RATE_LIMIT_ENABLED": "true", "RATE_LIMIT_UPLOADS": "2", "RATE_LIMIT_DOWNLOADS": "3"}
    with running_api(data_dir, **limits) as api:
        ada, bob = make_people(app, 2, api.url)
        file = upload(ada, b"one").json()
        assert tus.begin(ada, 10).status_code == 201
        for refused in (upload(ada, b"three"), tus.begin(ada, 10), ada.call("POST", "/files/direct", {})):
            assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
            assert int(refused.headers["Retry-After"]) > 0
        # A link counts for its viewer, as a token does.
        path = file["url"].removeprefix("/api")
        statuses = [ada.call("GET", path, headers={"Authorization": None}).status_code for _ in range(4)]
        assert statuses == [200, 200, 200, 429]
        assert upload(bob, b"of another").status_code == 201


@pytest.mark.usefixtures("alone")
def test_a_person_sends_no_more_forms_at_once_than_the_settings_say(app: Flask, data_dir: Path) -> None:
    with running_api(data_dir, UPLOADS_AT_ONCE="2", FILES_WAITING="1000") as api:
        ada, bob = make_people(app, 2, api.url)
        noted = noted_keys()
        lines = [broken_upload(ada, b"x" * 140_000, 700_000) for _ in range(2)]
        try:
            eventually(lambda: len(noted_keys() - noted) == 2)
            refused = upload(ada, b"three")
            assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
            assert int(refused.headers["Retry-After"]) > 0
            assert upload(bob, b"of another").status_code == 201
        finally:
            for line in lines:
                line.close()
        eventually(lambda: upload(ada, b"three").status_code == 201)


def test_who_has_many_files_waiting_to_be_looked_at_waits_before_sending_more(app: Flask, data_dir: Path) -> None:
    with running_api(data_dir, FILES_WAITING="2") as api:
        ada, bob = make_people(app, 2, api.url)
        path = tus.begun(ada, 3)
        for content in (b"one", b"two"):
            assert upload(ada, content).status_code == 201
        # No worker has them, nor takes them.
        waiting = "status = 'processing', attempts = attempts + 1, try_after = now() + interval '1 hour'"
        run(f"UPDATE files SET {waiting} WHERE owner_id = :id", id=ada.id)
        for refused in (upload(ada, b"three"), tus.begin(ada, 10), tus.add(ada, path, 0, b"abc")):
            assert (refused.status_code, refused.json()["code"]) == (429, "files_waiting")
            assert int(refused.headers["Retry-After"]) > 0
        with broken_upload(ada, b"x" * 140_000, 700_000) as line:
            line.settimeout(20)
            assert b" 429 " in line.recv(100)
        assert upload(bob, b"of another").status_code == 201
        run("UPDATE files SET status = 'ready' WHERE owner_id = :id", id=ada.id)
        # What came of the upload in pieces was kept.
        assert tus.offset(ada, path) == 3
        assert ada.call("GET", path.replace("/tus/", "/") + "/info").status_code == 200


def test_who_has_many_unfinished_uploads_begins_no_more(app: Flask, data_dir: Path) -> None:
    with running_api(data_dir, UPLOADS_UNFINISHED="2") as api:
        ada, bob = make_people(app, 2, api.url)
        path = tus.begun(ada, 3)
        tus.begun(ada, 3)
        refused = tus.begin(ada, 3)
        assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
        assert int(refused.headers["Retry-After"]) > 0
        assert tus.begin(bob, 3).status_code == 201
        assert tus.add(ada, path, 0, b"abc").status_code == 204
        assert tus.begin(ada, 3).status_code == 201
