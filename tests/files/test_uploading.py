"""A file that comes whole, in a form: stored once, and nothing left where it fails."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import pytest
from flask import Flask

from tests.factories import scalar
from tests.files.conftest import Making
from tests.files.places import FORM_HEAD, Place, broken_upload, key_of, keys_left, noted_keys, sha256, upload, uploaded
from tests.people import Person, make_people
from tests.processes import eventually

CONTENT = bytes(range(256)) * 1000


def test_a_file_is_stored_as_it_came_and_waits_to_be_looked_at(place: Place, persons: Making) -> None:
    (ada,) = persons(1)
    file = uploaded(ada, CONTENT, "Grüße.bin")
    assert (file["name"], file["size"], file["status"]) == ("Grüße.bin", len(CONTENT), "processing")
    assert (file["kind"], file["mime_type"], file["thumbnails"]) == ("file", "application/octet-stream", [])
    assert place.bytes_of(key_of(file["id"])) == CONTENT
    assert bytes(scalar("SELECT sha256 FROM files WHERE id = :id", id=file["id"])) == sha256(CONTENT)  # type: ignore[call-overload]


def test_an_empty_file_and_one_of_a_byte_are_stored(place: Place, persons: Making) -> None:
    (ada,) = persons(1)
    for content in (b"", b"\n", b"\r\n--"):
        file = uploaded(ada, content)
        assert (file["size"], place.bytes_of(key_of(file["id"]))) == (len(content), content)


def test_repeating_an_upload_gives_the_same_file_and_another_body_is_a_conflict(place: Place, persons: Making) -> None:
    ada, bob = persons(2)
    file_id = str(uuid4())
    first = uploaded(ada, CONTENT, id=file_id)
    again = upload(ada, CONTENT, id=file_id)
    assert first["id"] == again.json()["id"] == file_id
    assert again.status_code == 200
    other = upload(ada, CONTENT[:-1] + b"x", id=file_id)
    assert (other.status_code, other.json()["code"]) == (409, "file_id_reused")
    stranger = upload(bob, CONTENT, id=file_id)
    assert (stranger.status_code, stranger.json()["code"]) == (409, "file_id_reused")
    assert keys_left(ada) == 1
    assert keys_left(bob) == 0


def test_the_same_id_twice_at_the_same_time_is_one_file(place: Place, persons: Making) -> None:
    (ada,) = persons(1)
    file_id = str(uuid4())
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: upload(ada, CONTENT, id=file_id), range(8)))
    assert sorted(answer.status_code for answer in answers) == [200] * 7 + [201]
    assert {answer.json()["id"] for answer in answers} == {file_id}
    assert keys_left(ada) == 1
    assert place.bytes_of(key_of(file_id)) == CONTENT


def test_nothing_is_left_of_an_upload_that_was_repeated_or_refused(app: Flask, own_place: Place) -> None:
    place = own_place
    (ada,) = make_people(app, 1, place.api.url)
    file_id = str(uuid4())
    uploaded(ada, CONTENT, id=file_id)
    objects, noted = len(place.storage.keys(limit=10_000)), noted_keys()
    assert upload(ada, CONTENT, id=file_id).status_code == 200
    assert upload(ada, b"other", id=file_id).status_code == 409
    assert upload(ada, CONTENT, id="no uuid").status_code == 422
    assert len(place.storage.keys(limit=10_000)) == objects
    eventually(lambda: noted_keys() == noted)


@pytest.mark.parametrize(
    ("fields", "parts", "field"),
    [
        ({}, {}, "file"),
        ({"file": "text"}, {}, "file"),
        ({"id": "x" * 2000}, {"file": ("a", b"a")}, "id"),
        ({"id": "{00000000-0000-4000-8000-000000000000}"}, {"file": ("a", b"a")}, "id"),
        ({"caption": "hello"}, {"file": ("a", b"a")}, "caption"),
        ({}, {"picture": ("a", b"a")}, "picture"),
    ],
)
def test_a_form_that_is_not_asked_for_is_refused_with_the_field(
    disk: Place, people: Making, fields: dict[str, str], parts: dict[str, Any], field: str
) -> None:
    (ada,) = people(1)
    # Without a file requests would not send multipart.
    files: dict[str, Any] = parts or {name: (None, each) for name, each in (fields or {"id": str(uuid4())}).items()}
    answer = ada.call("POST", "/files/upload", files=files, data=fields if parts else None)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field)


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("application/json", 415),
        ("multipart/form-data", 400),
        ("multipart/form-data; boundary=x", 400),
        ("multipart/form-data; boundary=é", 400),
        ("multipart/mixed; boundary=x", 415),
    ],
)
def test_a_body_that_is_no_form_is_refused(disk: Place, people: Making, content_type: str, status: int) -> None:
    (ada,) = people(1)
    headers = {"Content-Type": content_type.encode("latin-1")}
    answer = ada.call("POST", "/files/upload", data=b"--x\r\nnonsense", headers=headers)
    assert answer.status_code == status, answer.text


def test_a_form_of_endless_headers_or_fields_is_refused_in_little_memory(disk: Place, people: Making) -> None:
    (ada,) = people(1)
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    endless = b"--x\r\nContent-Disposition: form-data; name=" + b"a" * 3_000_000
    answer = ada.call("POST", "/files/upload", data=endless, headers=headers)
    assert answer.status_code == 413


def test_a_file_past_the_limit_is_refused_before_it_is_sent_or_while(
    limited: Person,
) -> None:
    assert (answer := upload(limited, b"x" * 1_100_000)).status_code == 413, answer.text

    def endless() -> Iterator[bytes]:
        yield b"--x\r\nContent-Disposition: form-data; name=file; filename=a\r\n\r\n"
        for _ in range(11):
            yield b"x" * 100_000

    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    answer = limited.call("POST", "/files/upload", data=endless(), headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
    assert keys_left(limited) == 0


def test_what_a_person_has_in_all_is_limited_also_at_the_same_time(limited: Person) -> None:
    barrier = threading.Barrier(4)

    def send(_: int) -> int:
        barrier.wait()
        return upload(limited, b"x" * 600_000).status_code

    with ThreadPoolExecutor(4) as pool:
        statuses = sorted(pool.map(send, range(4)))
    assert statuses == [201, 201, 201, 413]
    refused = upload(limited, b"x" * 600_000)
    assert (refused.status_code, refused.json()["code"]) == (413, "quota_exceeded")
    assert keys_left(limited) == 3


@pytest.mark.parametrize("with_id", [False, True])
def test_what_would_pass_the_quota_is_refused_before_it_comes_and_a_repeated_upload_is_not(
    limited: Person, with_id: bool
) -> None:
    known = str(uuid4())
    for file_id in (known, str(uuid4()), str(uuid4())):
        assert upload(limited, b"x" * 600_000, id=file_id).status_code == 201
    field = f'--x\r\nContent-Disposition: form-data; name="id"\r\n\r\n{uuid4()}\r\n'.encode()
    with broken_upload(limited, b"x" * 140_000, 700_000, before=field if with_id else b"") as line:
        line.settimeout(20)
        assert b" 413 " in line.recv(100)
    repeated = upload(limited, b"x" * 600_000, id=known)
    assert (repeated.status_code, repeated.json()["id"]) == (200, known)


def test_who_is_signed_out_meanwhile_finishes_no_upload(people: Making) -> None:
    (ada,) = people(1)
    content, end, noted = b"x" * 300_000, b"\r\n--x--\r\n", noted_keys()
    with broken_upload(ada, content[:200_000], len(FORM_HEAD) + len(content) + len(end)) as line:
        line.settimeout(20)
        eventually(lambda: noted_keys() - noted)
        ada.post("/auth/logout", status=204)
        line.sendall(content[200_000:] + end)
        answer = line.recv(4096)
    assert b" 401 " in answer.partition(b"\r\n")[0]
    assert keys_left(ada) == 0
