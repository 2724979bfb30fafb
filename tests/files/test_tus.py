"""Uploads that go on later, as clients of tus 1.0 do them."""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import pytest
import requests

from app.errors import NotFound
from app.files.queries.uploads import UploadRow
from app.files.service import ending, resumable
from app.files.service.ending import sweep_expired
from app.files.service.leases import Lease
from app.files.service.resumable import Checksum
from app.infra.storage import Upload
from tests.factories import run, scalar
from tests.files import tus
from tests.files.conftest import Making
from tests.files.places import Place, key_of, keys_left, upload
from tests.people import Person
from tests.processes import eventually
from tests.storage.places import content

SIZE = 12_000_000
CONTENT = content(SIZE)


@pytest.fixture
def ada(persons: Making) -> Person:
    """Somebody."""
    return persons(1)[0]


@pytest.fixture
def hers(people: Making) -> Person:
    """Somebody whose files are in a folder."""
    return people(1)[0]


def kept_of(person: Person) -> Upload:
    """The one upload of a person, as storage has it."""
    key = scalar("SELECT key FROM uploads WHERE owner_id = :id", id=person.id)
    return Upload(str(key), str(scalar("SELECT token FROM uploads WHERE owner_id = :id", id=person.id)))


def test_pieces_make_the_file_and_it_is_then_looked_at(place: Place, ada: Person) -> None:
    path = tus.begun(ada, SIZE, filename="Film.mp4", filetype="video/mp4")
    assert tus.offset(ada, path) == 0
    for start in range(0, SIZE, 5_000_000):
        answer = tus.add(ada, path, start, CONTENT[start : start + 5_000_000])
        assert answer.status_code == 204, answer.text
        assert int(answer.headers["Upload-Offset"]) == min(start + 5_000_000, SIZE)
        assert ("Upload-Expires" in answer.headers) == (start + 5_000_000 < SIZE)
    file = ada.get(f"/files/{path.rpartition('/')[2]}/info")
    assert (file["name"], file["size"]) == ("Film.mp4", SIZE)
    assert place.bytes_of(key_of(file["id"])) == CONTENT
    assert scalar("SELECT count(*) FROM uploads WHERE owner_id = :id", id=ada.id) == 0
    # A client that lost the last answer asks, and learns that all is there.
    assert tus.offset(ada, path) == SIZE
    assert tus.add(ada, path, SIZE, b"").status_code == 204
    assert tus.add(ada, path, 0, b"x").json()["code"] == "wrong_offset"


def test_the_first_piece_may_come_with_the_beginning(place: Place, ada: Person) -> None:
    half = tus.begin(ada, 10, b"12345", filename="a.txt")
    assert (half.status_code, half.headers["Upload-Offset"]) == (201, "5")
    whole = tus.begin(ada, 5, b"12345", filename="a.txt")
    file_id = whole.headers["Location"].rpartition("/")[2]
    assert (whole.status_code, place.bytes_of(key_of(file_id))) == (201, b"12345")


def test_a_file_of_no_bytes_is_there_at_once(place: Place, ada: Person) -> None:
    path = tus.begun(ada, 0, filename="empty.txt")
    assert ada.get(f"/files/{path.rpartition('/')[2]}/info")["size"] == 0


def test_what_came_before_the_connection_broke_is_kept(place: Place, ada: Person) -> None:
    path = tus.begun(ada, SIZE)
    address = urlsplit(place.api.url)
    head = (
        f"PATCH /api{path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {ada.access_token}\r\nTus-Resumable: 1.0.0\r\n"
        f"Upload-Offset: 0\r\nContent-Type: {tus.PIECE_TYPE}\r\nContent-Length: {SIZE}\r\n\r\n"
    )
    with socket.create_connection((str(address.hostname), int(address.port or 0))) as line:
        line.sendall(head.encode() + CONTENT[:7_000_000])

    def is_free() -> bool:
        return scalar("SELECT lease IS NULL FROM uploads WHERE owner_id = :id", id=ada.id) is True

    eventually(lambda: tus.offset(ada, path) > 6_000_000 and is_free())
    kept = tus.offset(ada, path)
    assert tus.add(ada, path, kept, CONTENT[kept:]).status_code == 204
    assert place.bytes_of(key_of(path.rpartition("/")[2])) == CONTENT


def test_who_is_signed_out_meanwhile_finishes_no_upload_and_the_bytes_are_kept(disk: Place, hers: Person) -> None:
    path = tus.begun(hers, 300_000)
    head = (
        f"PATCH /api{path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {hers.access_token}\r\nTus-Resumable: 1.0.0\r\n"
        f"Upload-Offset: 0\r\nContent-Type: {tus.PIECE_TYPE}\r\nContent-Length: 300000\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", disk.api.port), timeout=20) as line:
        line.sendall(head.encode() + CONTENT[:200_000])
        eventually(lambda: disk.storage.length(kept_of(hers)) > 0)
        hers.post("/auth/logout", status=204)
        line.sendall(CONTENT[200_000:300_000])
        assert b" 401 " in line.recv(4096).partition(b"\r\n")[0]
    assert keys_left(hers) == 0
    assert disk.storage.length(kept_of(hers)) == 300_000


def test_a_piece_for_another_place_is_refused_and_says_where_it_goes_on(place: Place, ada: Person) -> None:
    path = tus.begun(ada, 100)
    tus.add(ada, path, 0, b"12345")
    for wrong in (0, 4, 6, 100, 2**53 - 1):
        answer = tus.add(ada, path, wrong, b"x")
        assert (answer.status_code, answer.json()["code"]) == (409, "wrong_offset")
        assert "goes on at 5" in answer.json()["detail"]
    assert tus.offset(ada, path) == 5


def test_more_bytes_than_were_announced_are_refused(place: Place, ada: Person) -> None:
    path = tus.begun(ada, 10)
    answer = tus.add(ada, path, 0, b"x" * 11)
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
    assert keys_left(ada) == 0


def test_a_piece_that_arrived_damaged_is_not_kept(place: Place, ada: Person) -> None:
    path = tus.begun(ada, 11)
    for algorithm in ("sha1", "sha256", "md5"):
        damaged = tus.add(ada, path, 0, b"hello", **tus.checksum(b"jello", algorithm))
        assert (damaged.status_code, damaged.json()["code"]) == (460, "checksum_mismatch")
        assert tus.offset(ada, path) == 0
    assert tus.add(ada, path, 0, b"hello", **tus.checksum(b"hello")).status_code == 204
    assert tus.add(ada, path, 5, b" world", **tus.checksum(b" world", "sha256")).status_code == 204
    assert place.bytes_of(key_of(path.rpartition("/")[2])) == b"hello world"


def test_a_checksum_of_an_unknown_kind_is_a_bad_request(hers: Person) -> None:
    path = tus.begun(hers, 5)
    answer = tus.add(hers, path, 0, b"hello", **{"Upload-Checksum": "crc32 NhCmhg=="})
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed_request")
    assert "sha1, sha256, md5" in answer.json()["detail"]
    assert tus.offset(hers, path) == 0


def test_the_lease_is_kept_while_a_piece_with_a_checksum_goes_to_the_storage(
    disk: Place, hers: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tus.begun(hers, 1_000_000)
    seen: list[bool] = []
    is_sent = False

    def chunks() -> Iterator[bytes]:
        nonlocal is_sent
        yield CONTENT[:1_000_000]
        is_sent = True

    monkeypatch.setattr(Lease, "renew", lambda _: seen.append(is_sent))
    checksum = Checksum("sha1", hashlib.sha1(CONTENT[:1_000_000]).digest())
    resumable.append(hers.id, UUID(path.rpartition("/")[2]), 0, chunks(), lambda _: None, checksum)
    assert seen.count(True) > 5


def test_of_pieces_at_the_same_time_one_is_taken(place: Place, ada: Person) -> None:
    path = tus.begun(ada, 2_000_000)
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: tus.add(ada, path, 0, CONTENT[:2_000_000]), range(6)))
    assert sorted(answer.status_code for answer in answers if answer.status_code == 204) == [204]
    assert {answer.json()["code"] for answer in answers if answer.content} <= {"upload_busy", "wrong_offset"}
    assert place.bytes_of(key_of(path.rpartition("/")[2])) == CONTENT[:2_000_000]


def test_an_upload_that_was_left_by_a_dead_process_goes_on_once_its_lease_is_over(hers: Person) -> None:
    path = tus.begun(hers, 10)
    lease = "UPDATE uploads SET lease = gen_random_uuid(), leased_until = now() + :left WHERE owner_id = :id"
    run(lease.replace(":left", "interval '60 s'"), id=hers.id)
    busy = tus.add(hers, path, 0, b"12345")
    assert (busy.status_code, busy.json()["code"]) == (423, "upload_busy")
    run(lease.replace(":left", "interval '-1 s'"), id=hers.id)
    assert tus.add(hers, path, 0, b"12345").status_code == 204


def test_one_that_died_between_its_last_byte_and_the_file_becomes_the_file(place: Place, ada: Person) -> None:
    path = tus.begun(ada, 5)
    run("UPDATE uploads SET size = 6 WHERE owner_id = :id", id=ada.id)
    assert tus.add(ada, path, 0, b"12345").status_code == 204
    run("UPDATE uploads SET size = 5 WHERE owner_id = :id", id=ada.id)
    place.storage.finish_upload(kept_of(ada))
    assert tus.offset(ada, path) == 5
    assert place.bytes_of(key_of(path.rpartition("/")[2])) == b"12345"


def test_one_that_has_all_bytes_and_is_no_file_yet_becomes_the_file_for_who_asks(place: Place, ada: Person) -> None:
    path = tus.begun(ada, SIZE, filename="a.bin")
    place.storage.append(kept_of(ada), 0, [CONTENT])
    # Clients that learn that all is there ask for nothing more.
    assert tus.offset(ada, path) == SIZE
    file = ada.get(f"/files/{path.rpartition('/')[2]}/info")
    assert (file["name"], file["size"]) == ("a.bin", SIZE)
    assert place.bytes_of(key_of(file["id"])) == CONTENT


def test_one_that_has_more_bytes_than_it_may_becomes_no_file_and_may_be_begun_again(place: Place, ada: Person) -> None:
    file_id = str(uuid4())
    path = tus.begun(ada, 5, id=file_id)
    place.storage.append(kept_of(ada), 0, [b"123456"])
    assert ada.call("HEAD", path, headers=tus.VERSION).status_code == 404
    assert tus.begun(ada, 5, id=file_id) == path
    assert tus.add(ada, path, 0, b"12345").status_code == 204
    assert place.bytes_of(key_of(file_id)) == b"12345"


def test_one_whose_object_may_be_removed_at_this_moment_becomes_no_file(hers: Person) -> None:
    path = tus.begun(hers, 5)
    run(
        "UPDATE removed_objects SET due_at = now() + interval '4 min'"
        " WHERE key = (SELECT key FROM uploads WHERE owner_id = :id)",
        id=hers.id,
    )
    answer = tus.add(hers, path, 0, b"12345")
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert keys_left(hers) == 0


def test_one_that_is_given_up_while_its_last_piece_comes_is_not_found(
    disk: Place, hers: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tus.begun(hers, 5)
    finish = resumable._finish

    def finish_too_late(row: UploadRow) -> None:
        ending.abandon(row)
        finish(row)

    monkeypatch.setattr(resumable, "_finish", finish_too_late)
    with pytest.raises(NotFound):
        resumable.append(hers.id, UUID(path.rpartition("/")[2]), 0, iter([b"12345"]), lambda _: None)


def test_the_id_of_an_upload_whose_bytes_were_lost_is_free_again(place: Place, ada: Person) -> None:
    file_id = str(uuid4())
    path = tus.begun(ada, 5, id=file_id)
    place.storage.abandon_upload(kept_of(ada))
    assert tus.begun(ada, 5, id=file_id) == path
    assert tus.add(ada, path, 0, b"12345").status_code == 204
    assert place.bytes_of(key_of(file_id)) == b"12345"


def test_beginning_again_with_the_same_id_goes_on(place: Place, ada: Person) -> None:
    file_id = str(uuid4())
    path = tus.begun(ada, 10, id=file_id, filename="a")
    assert path.endswith(file_id)
    tus.add(ada, path, 0, b"12345")
    again = tus.begin(ada, 10, id=file_id, filename="a")
    assert (again.status_code, again.headers["Upload-Offset"]) == (200, "5")
    other = tus.begin(ada, 11, id=file_id)
    assert (other.status_code, other.json()["code"]) == (409, "file_id_reused")
    assert upload(ada, b"1234567890", id=file_id).json()["code"] == "file_id_reused"


def test_beginning_twice_at_the_same_time_is_one_upload(place: Place, ada: Person) -> None:
    file_id = str(uuid4())
    with ThreadPoolExecutor(4) as pool:
        statuses = [answer.status_code for answer in pool.map(lambda _: tus.begin(ada, 9, id=file_id), range(4))]
    assert sorted(statuses) == [200, 200, 200, 201]
    assert scalar("SELECT count(*) FROM uploads WHERE owner_id = :id", id=ada.id) == 1


def test_an_ended_upload_leaves_nothing(place: Place, ada: Person) -> None:
    path = tus.begun(ada, SIZE)
    tus.add(ada, path, 0, CONTENT[:6_000_000])
    key = str(scalar("SELECT key FROM uploads WHERE owner_id = :id", id=ada.id))
    assert ada.call("DELETE", path, headers=tus.VERSION).status_code == 204
    assert ada.call("HEAD", path, headers=tus.VERSION).status_code == 404
    assert ada.call("DELETE", path, headers=tus.VERSION).status_code == 404
    assert scalar("SELECT count(*) FROM uploads WHERE owner_id = :id", id=ada.id) == 0
    # Due, or removed by now by the worker of other tests.
    assert scalar("SELECT count(*) FROM removed_objects WHERE key = :key AND due_at > now()", key=key) == 0


def test_an_upload_is_its_owners_alone_and_ends_with_its_time(people: Making) -> None:
    ada, eve = people(2)
    path = tus.begun(ada, 10)
    for method in ("HEAD", "PATCH", "DELETE"):
        headers = {**tus.VERSION, "Upload-Offset": "0", "Content-Type": tus.PIECE_TYPE}
        assert eve.call(method, path, headers=headers, data=b"").status_code == 404, method
    run("UPDATE uploads SET expires_at = now() WHERE owner_id = :id", id=ada.id)
    assert ada.call("HEAD", path, headers=tus.VERSION).status_code == 404
    assert tus.add(ada, path, 0, b"x").status_code == 404


def test_uploads_whose_time_is_over_are_swept_but_not_one_that_runs(disk: Place, people: Making) -> None:
    ada, bob = people(2)
    path = tus.begun(ada, SIZE)
    tus.add(ada, path, 0, CONTENT[:1_000_000])
    tus.begun(bob, 10)
    key = str(scalar("SELECT key FROM uploads WHERE owner_id = :id", id=ada.id))
    assert (disk.folder / "uploads" / key).stat().st_size == 1_000_000
    run("UPDATE uploads SET expires_at = now() - interval '1 s' WHERE owner_id = :id", id=ada.id)
    run(
        "UPDATE uploads SET lease = gen_random_uuid(), leased_until = now() + interval '1 min' WHERE owner_id = :id",
        id=ada.id,
    )
    left = "SELECT count(*) FROM uploads WHERE owner_id = :id"
    sweep_expired()
    assert scalar(left, id=ada.id) == 1
    run("UPDATE uploads SET leased_until = now() WHERE owner_id = :id", id=ada.id)
    sweep_expired()
    assert (scalar(left, id=ada.id), scalar(left, id=bob.id)) == (0, 1)
    assert not (disk.folder / "uploads" / key).exists()
    # Due, or removed by now by the worker of other tests.
    assert scalar("SELECT count(*) FROM removed_objects WHERE key = :key AND due_at > now()", key=key) == 0


def test_what_an_upload_is_to_have_counts_for_what_a_person_may_have(limited: Person) -> None:
    assert tus.begin(limited, 1_000_001).status_code == 413
    first = tus.begun(limited, 1_000_000)
    tus.begun(limited, 900_000)
    refused = tus.begin(limited, 200_000)
    assert (refused.status_code, refused.json()["code"]) == (413, "quota_exceeded")
    assert upload(limited, b"x" * 200_000).json()["code"] == "quota_exceeded"
    limited.call("DELETE", first, headers=tus.VERSION)
    assert tus.begin(limited, 200_000).status_code == 201


def test_anybody_may_ask_what_the_server_can(disk: Place) -> None:
    answer = requests.options(f"{disk.api.url}/api/files/tus", timeout=20)
    assert answer.status_code == 204
    assert answer.headers["Tus-Version"] == answer.headers["Tus-Resumable"] == "1.0.0"
    assert answer.headers["Tus-Max-Size"] == "100000000"
    assert answer.headers["Tus-Checksum-Algorithm"] == "sha1,sha256,md5"
    assert set(answer.headers["Tus-Extension"].split(",")) >= {"creation", "expiration", "checksum", "termination"}


def test_a_page_of_an_allowed_origin_may_upload_in_pieces(disk: Place, hers: Person) -> None:
    headers = {
        "Origin": "http://localhost:3000",
        "Access-Control-Request-Method": "PATCH",
        "Access-Control-Request-Headers": "authorization,tus-resumable,upload-offset,upload-checksum,content-type",
    }
    path = tus.begun(hers, 5)
    asked = requests.options(f"{disk.api.url}/api{path}", headers=headers, timeout=20)
    assert "PATCH" in asked.headers["Access-Control-Allow-Methods"]
    assert "upload-offset" in asked.headers["Access-Control-Allow-Headers"].lower()
    answer = tus.add(hers, path, 0, b"123", Origin="http://localhost:3000")
    assert "Upload-Offset" in answer.headers["Access-Control-Expose-Headers"]


@pytest.mark.parametrize(
    ("headers", "status", "field"),
    [
        ({"Tus-Resumable": "0.2.2"}, 412, ""),
        ({"Tus-Resumable": ""}, 412, ""),
        ({"Tus-Resumable": "0.2.2", "Upload-Length": None}, 412, ""),
        ({"Tus-Resumable": None, "Upload-Length": "x"}, 412, ""),
        ({"Upload-Length": "-1"}, 422, "Upload-Length"),
        ({"Upload-Length": "1e3"}, 422, "Upload-Length"),
        ({"Upload-Length": "9" * 30}, 422, "Upload-Length"),
        ({"Upload-Metadata": "filename !!!"}, 422, "Upload-Metadata"),
        ({"Upload-Metadata": "id eHl6"}, 422, "id"),
        ({"Upload-Metadata": "filename " + "A" * 8000}, 422, "Upload-Metadata"),
        ({"Content-Type": "text/plain"}, 415, ""),
    ],
)
def test_a_beginning_that_cannot_be_read_is_refused(
    hers: Person, headers: dict[str, str | None], status: int, field: str
) -> None:
    answer = hers.call("POST", "/files/tus", headers={**tus.VERSION, "Upload-Length": "5"} | headers)
    assert answer.status_code == status, answer.text
    assert [error["field"] for error in answer.json()["errors"]] == [field] * bool(field)
    assert answer.headers["Tus-Resumable"] == "1.0.0"
