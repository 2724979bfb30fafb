"""Uploads that go to the storage itself, by a form that it has signed."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
import requests
from flask import Flask

from app.files.service.ending import sweep_expired
from app.infra.storage.s3 import S3Storage
from app.infra.storage.s3_objects import listed
from tests.factories import run, scalar
from tests.files.conftest import Making
from tests.files.places import Place, key_of, keys_left
from tests.people import Person, make_people


@pytest.fixture
def ada(app: Flask, bucket: Place) -> Person:
    """Somebody whose files are in a bucket."""
    return make_people(app, 1, bucket.api.url)[0]


def offered(person: Person, size: int, **fields: Any) -> dict[str, Any]:
    """A form for a file."""
    form: dict[str, Any] = person.post("/files/direct", {"name": "a/b.bin", "size": size, **fields}, 201)
    return form


def send(form: dict[str, Any], content: bytes) -> int:
    """Posts the form as a browser does; the status."""
    return requests.post(form["url"], data=form["fields"], files={"file": content}, timeout=20).status_code


def posted(bucket: Place, key: str) -> list[str]:
    """What lies in the bucket as posted with the form of a key: the key again, or nothing."""
    assert isinstance(bucket.storage, S3Storage)
    connection = bucket.storage._connection
    return [found.name.removeprefix("posted/") for found in listed(connection, f"posted/{key}")]


def test_what_was_sent_with_the_form_becomes_a_file(bucket: Place, ada: Person) -> None:
    form = offered(ada, 1_000_000)
    assert send(form, b"x" * 900_000) < 300
    first = ada.call("POST", f"/files/direct/{form['id']}")
    assert (first.status_code, first.json()["size"], first.json()["name"]) == (201, 900_000, "b.bin")
    assert bucket.bytes_of(key_of(form["id"])) == b"x" * 900_000
    again = ada.call("POST", f"/files/direct/{form['id']}")
    assert (again.status_code, again.json()["id"]) == (200, form["id"])


def test_a_form_that_is_posted_again_does_not_change_the_file(bucket: Place, ada: Person) -> None:
    form = offered(ada, 10)
    send(form, b"first")
    ada.post(f"/files/direct/{form['id']}", status=201)
    send(form, b"second")
    ada.post(f"/files/direct/{form['id']}", status=200)
    assert bucket.bytes_of(key_of(form["id"])) == b"first"


def test_more_than_the_form_allows_is_not_taken_and_without_any_there_is_no_file(bucket: Place, ada: Person) -> None:
    form = offered(ada, 1000)
    assert send(form, b"x" * 1001) >= 400
    answer = ada.call("POST", f"/files/direct/{form['id']}")
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
    assert keys_left(ada) == 0


def test_a_form_is_its_owners_alone_and_its_id_is_used_once(app: Flask, bucket: Place, ada: Person) -> None:
    (eve,) = make_people(app, 1, bucket.api.url)
    file_id = str(uuid4())
    form = offered(ada, 10, id=file_id)
    assert form["id"] == file_id
    assert eve.call("POST", f"/files/direct/{file_id}").status_code == 404
    again = eve.call("POST", "/files/direct", {"name": "a", "size": 1, "id": file_id})
    assert (again.status_code, again.json()["code"]) == (409, "file_id_reused")


def test_a_file_past_the_limit_gets_no_form(ada: Person) -> None:
    answer = ada.call("POST", "/files/direct", {"name": "a", "size": 100_000_001})
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


def test_a_server_that_keeps_files_itself_says_where_to_send_them(people: Making) -> None:
    (bob,) = people(1)
    answer = bob.call("POST", "/files/direct", {"name": "a", "size": 1})
    assert (answer.status_code, answer.json()["code"]) == (409, "direct_upload_unavailable")
    assert "/api/files/upload" in answer.json()["detail"]
    assert scalar("SELECT count(*) FROM uploads WHERE owner_id = :id", id=bob.id) == 0


def test_what_was_posted_and_not_accepted_goes_with_its_key(bucket: Place, ada: Person) -> None:
    form = offered(ada, 10)
    assert send(form, b"left") < 300
    key = str(scalar("SELECT key FROM uploads WHERE id = :id", id=form["id"]))
    bucket.storage.delete([key])
    answer = ada.call("POST", f"/files/direct/{form['id']}")
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")


def test_a_form_counts_and_leaves_nothing_however_often_it_is_posted_until_it_is_dead(
    bucket: Place, ada: Person
) -> None:
    form = offered(ada, 100)
    key = str(scalar("SELECT key FROM uploads WHERE id = :id", id=form["id"]))
    send(form, b"")
    ada.post(f"/files/direct/{form['id']}", status=201)
    assert posted(bucket, key) == []
    ada.call("DELETE", f"/files/{form['id']}")
    assert send(form, b"x" * 100) < 300
    assert posted(bucket, key) == [key]
    # As if it were the form of a very large file.
    run("UPDATE uploads SET size = 9999999999 WHERE owner_id = :id", id=ada.id)
    refused = ada.call("POST", "/files/direct", {"name": "a", "size": 100})
    assert (refused.status_code, refused.json()["code"]) == (413, "quota_exceeded")
    run("UPDATE uploads SET expires_at = now() - interval '1 s' WHERE owner_id = :id", id=ada.id)
    sweep_expired()
    assert scalar("SELECT count(*) FROM uploads WHERE owner_id = :id", id=ada.id) == 0
    # Due, or removed by now from the folder of the worker of other tests.
    assert scalar("SELECT count(*) FROM removed_objects WHERE key = :key AND due_at > now()", key=key) == 0
    bucket.storage.delete([key])
    assert posted(bucket, key) == []
    offered(ada, 100)


def test_a_file_that_just_fits_is_accepted_although_its_form_still_counts(ada: Person) -> None:
    form = offered(ada, 100)
    send(form, b"x" * 100)
    run("UPDATE uploads SET size = 10000000000 WHERE owner_id = :id", id=ada.id)
    ada.post(f"/files/direct/{form['id']}", status=201)


def test_the_same_offer_asked_for_again_gives_the_same_form(bucket: Place, ada: Person) -> None:
    file_id = str(uuid4())
    first = offered(ada, 10, id=file_id)
    run("UPDATE uploads SET expires_at = expires_at - interval '30 min' WHERE id = :id", id=file_id)
    again = offered(ada, 10, id=file_id)
    assert again["fields"]["key"] == first["fields"]["key"]
    assert again["expires_at"] < first["expires_at"]
    assert send(again, b"x" * 11) >= 400
    assert send(again, b"x" * 10) < 300
    ada.post(f"/files/direct/{file_id}", status=201)
    assert bucket.bytes_of(key_of(file_id)) == b"x" * 10


def test_an_offer_is_not_given_again_for_another_size_or_once_it_is_dead_or_accepted(ada: Person) -> None:
    file_id = str(uuid4())
    form = offered(ada, 10, id=file_id)

    def asked_again(size: int) -> str:
        answer = ada.call("POST", "/files/direct", {"name": "a", "size": size, "id": file_id})
        assert answer.status_code == 409
        return str(answer.json()["code"])

    assert asked_again(11) == "file_id_reused"
    send(form, b"x")
    run("UPDATE uploads SET expires_at = now() + interval '59 min' WHERE id = :id", id=file_id)
    assert asked_again(10) == "file_id_reused"
    ada.post(f"/files/direct/{file_id}", status=201)
    assert asked_again(10) == "file_id_reused"
