"""What becomes of a file that was uploaded, and who hears of it."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

import pytest
from flask import Flask
from PIL import Image

from app.errors import Unavailable
from app.files.queries import files
from app.files.queries import processing as queries
from app.files.service import processing, releasing
from app.infra import jobs
from app.infra.db import UnitOfWork, reading
from app.infra.storage import storage
from app.messages import shown_files
from tests import factories
from tests.media.makers import PLACE
from tests.people import Person
from tests.processes import eventually
from tests.processing.files import content, keys, process, process_after_pause, row, send_file, stored, upload
from tests.processing.pictures import jpeg, png, truncated
from tests.processing.shown import show_often

People = Callable[[int], list[Person]]


@pytest.fixture
def owner(app: Flask) -> int:
    """Somebody who uploads files."""
    return factories.make_users(1)[0]


@pytest.mark.usefixtures("either_storage")
def test_a_picture_gets_its_size_its_likeness_and_thumbnails(owner: int) -> None:
    found = process(upload(owner, png(2000, 1000)))
    assert (found["status"], found["kind"], found["mime_type"]) == ("ready", "image", "image/png")
    assert (found["width"], found["height"], found["attempts"]) == (2000, 1000, 1)
    assert found["preview"]
    assert sorted(keys(found["id"])) == ["large", "medium", "original", "small"]
    with Image.open(io.BytesIO(content(found["id"], "medium"))) as small:
        assert (small.format, small.size) == ("WEBP", (480, 240))


@pytest.mark.usefixtures("either_storage")
def test_others_get_a_photo_upright_and_without_the_place_where_it_was_taken(owner: int) -> None:
    found = process(upload(owner, jpeg(640, 480, orientation=6)))
    assert (found["width"], found["height"]) == (480, 640)
    assert PLACE in content(found["id"])
    assert PLACE not in content(found["id"], "shared")
    with Image.open(io.BytesIO(content(found["id"], "shared"))) as shared:
        assert shared.size == (480, 640)


def test_what_is_made_of_a_file_counts_for_what_its_owner_may_have(owner: int) -> None:
    found = process(upload(owner, jpeg(640, 480, orientation=6)))
    stored_bytes = factories.scalar("SELECT sum(size) FROM file_objects WHERE file_id = :id", id=str(found["id"]))
    with reading() as unit:
        assert files.bytes_used(unit, owner) == stored_bytes > found["size"]


@pytest.mark.usefixtures("either_storage")
def test_what_is_no_picture_is_a_plain_file(owner: int) -> None:
    found = process(upload(owner, b"Dear diary", "photo.png"))
    assert (found["status"], found["kind"], found["mime_type"]) == ("ready", "file", "text/plain")
    assert list(keys(found["id"])) == ["original"]


@pytest.mark.usefixtures("either_storage")
def test_a_damaged_picture_has_failed_with_a_reason_and_keeps_only_what_was_uploaded(owner: int) -> None:
    found = process(upload(owner, truncated(png())))
    assert (found["status"], found["failure"], found["kind"]) == ("failed", "damaged", "file")
    assert list(keys(found["id"])) == ["original"]


@pytest.mark.usefixtures("either_storage")
def test_a_hash_that_the_upload_could_not_make_is_filled_in(owner: int) -> None:
    file_id = upload(owner, b"Dear diary")
    wanted = row(file_id)["sha256"]
    factories.run("UPDATE files SET sha256 = NULL WHERE id = :id", id=str(file_id))
    assert process(file_id)["sha256"] == wanted


def test_a_second_job_for_the_same_file_does_nothing(owner: int) -> None:
    first = process(upload(owner, png()))
    assert process(first["id"]) == first


def test_a_file_that_another_worker_has_is_left_to_it(owner: int) -> None:
    file_id = upload(owner, png())
    factories.run(
        "UPDATE files SET attempts = 1, try_after = now() + interval '1 minute' WHERE id = :id", id=str(file_id)
    )
    assert process(file_id)["status"] == "processing"


def test_a_file_whose_workers_died_three_times_is_given_up(owner: int) -> None:
    file_id = upload(owner, png())
    factories.run("UPDATE files SET attempts = 3, try_after = now() WHERE id = :id", id=str(file_id))
    found = process(file_id)
    assert (found["status"], found["failure"]) == ("failed", "not_processed")


def test_what_fails_through_no_refusal_is_tried_three_times_with_pauses(
    owner: int, asked: list[tuple[str, dict[str, Any]]]
) -> None:
    file_id = upload(owner, png())
    factories.run("UPDATE files SET size = size + 1 WHERE id = :id", id=str(file_id))
    looks = [process(file_id), process_after_pause(file_id), process_after_pause(file_id)]
    assert [(found["status"], found["attempts"]) for found in looks] == [
        ("processing", 1),
        ("processing", 2),
        ("failed", 3),
    ]
    assert row(file_id)["failure"] == "not_processed"
    assert asked == []


def test_a_storage_that_is_away_takes_no_attempt(owner: int, monkeypatch: pytest.MonkeyPatch) -> None:
    file_id = upload(owner, png())

    class Away:
        def internal_path(self, key: str) -> str:
            raise Unavailable

    with monkeypatch.context() as patch:
        patch.setattr("app.files.service.workplace.storage", Away)
        with pytest.raises(Unavailable):
            process(file_id)
    assert (row(file_id)["status"], row(file_id)["attempts"]) == ("processing", 0)
    assert process(file_id)["status"] == "ready"


def test_a_storage_that_goes_while_something_is_stored_keeps_nothing_of_it_and_takes_no_attempt(
    owner: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    file_id = upload(owner, png())
    kept: list[str] = []
    works = storage()

    class Going:
        def store(self, key: str, chunks: Iterator[bytes], mime_type: str) -> None:
            if kept:
                raise Unavailable
            kept.append(key)
            works.store(key, chunks, mime_type)

    with monkeypatch.context() as patch:
        patch.setattr(processing, "storage", Going)
        with pytest.raises(Unavailable):
            process(file_id)
    assert (row(file_id)["status"], row(file_id)["attempts"]) == ("processing", 0)
    releasing.remove_objects()
    eventually(lambda: not set(kept) & stored())
    assert len(kept) == 1
    assert process_after_pause(file_id)["status"] == "ready"


def test_a_file_that_is_deleted_meanwhile_leaves_nothing(owner: int, monkeypatch: pytest.MonkeyPatch) -> None:
    file_id = upload(owner, png())
    made: set[str] = set()
    original = processing._store

    def store(claim: queries.Claim, result: processing._Result) -> None:
        original(claim, result)
        made.update(each.key for each, _ in result.objects)
        assert made <= stored()
        factories.run("UPDATE files SET deleted_at = now() WHERE id = :id", id=str(file_id))

    monkeypatch.setattr(processing, "_store", store)
    process(file_id)
    assert list(keys(file_id)) == ["original"]
    assert len(made) == 2
    # Due, or removed by now by the worker of other tests.
    waiting = "SELECT count(*) FROM removed_objects WHERE key = ANY (:keys) AND due_at > now()"
    assert factories.scalar(waiting, keys=list(made)) == 0
    releasing.remove_objects()
    eventually(lambda: not made & stored())


def test_the_owners_devices_hear_of_the_result(people: People) -> None:
    (ada,) = people(1)
    file_id = upload(ada.id, png(), "holiday.png")
    with ada.socket() as socket:
        process(file_id)
        file = socket.next("file_updated", id=str(file_id))
    assert (file["status"], file["kind"], file["name"]) == ("ready", "image", "holiday.png")
    assert [thumbnail["name"] for thumbnail in file["thumbnails"]] == ["small", "medium"]


def test_the_chats_that_show_it_already_hear_of_the_result_and_so_does_sync(people: People) -> None:
    ada, bob = people(2)
    chat_id = ada.direct_chat(bob)
    file_id = upload(ada.id, png())
    with bob.socket() as socket:
        cursor = socket.hello["cursor"]
        sent = send_file(ada, chat_id, file_id, text="look")
        assert (sent["message_type"], sent["file"]["status"]) == ("file", "processing")
        assert socket.next("new_message")["file"]["status"] == "processing"
        process(file_id)
        told = socket.next("message_updated", id=sent["id"])
    assert (told["message_type"], told["text"], told["file"]["status"]) == ("image", "look", "ready")
    assert told["revision"] > sent["revision"]
    assert told["edited_at"] is None
    (message,) = [each for each in bob.get("/sync", cursor=cursor)["messages"] if each["id"] == sent["id"]]
    assert (message["revision"], message["file"]["status"]) == (told["revision"], "ready")


def test_a_chat_that_comes_to_show_it_at_the_last_moment_hears_of_the_result_too(
    people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada, bob = people(2)
    chat_id, file_id = ada.direct_chat(bob), upload(ada.id, png())
    sent: list[int] = []
    original = queries.hold

    def hold(unit: UnitOfWork, claim: queries.Claim) -> bool:
        if not sent:
            sent.append(send_file(ada, chat_id, file_id)["id"])
        return original(unit, claim)

    monkeypatch.setattr(queries, "hold", hold)
    process(file_id)
    message = bob.get(f"/messages/{sent[0]}")
    assert (message["message_type"], message["file"]["status"]) == ("image", "ready")


def test_thousands_of_messages_that_show_it_already_are_told_in_batches_whatever_dies_in_between(
    owner: int, asked: list[tuple[str, dict[str, Any]]]
) -> None:
    file_id = upload(owner, png())
    chats = [factories.make_chat(factories.make_users(2)) for _ in range(3)]
    for chat_id in chats:
        show_often(file_id, chat_id, owner, 40)
    processing.process_file(file_id)
    wanted = (jobs.TELL_OF_FILE, {"file_id": str(file_id)})
    assert wanted in asked
    assert told_of(file_id) == 0
    # As a worker leaves it that dies after the first batch.
    assert shown_files._tell_some(file_id)
    assert told_of(file_id) == 50
    asked.clear()
    factories.run("UPDATE untold_files SET since = since - interval '2 minutes' WHERE file_id = :id", id=str(file_id))
    shown_files.sweep_untold()
    assert wanted in asked
    shown_files.tell_of_file(file_id)
    assert told_of(file_id) == 120
    assert factories.scalar("SELECT count(*) FROM untold_files WHERE file_id = :id", id=str(file_id)) == 0
    # Each has a revision of its own, so that a page of catching up may end behind any of them.
    revisions = "SELECT count(DISTINCT (chat_id, revision)) FROM messages WHERE file_id = :id"
    assert factories.scalar(revisions, id=str(file_id)) == 120


@pytest.mark.usefixtures("asked")
def test_chats_that_are_told_of_a_file_are_indexed_anew(owner: int, monkeypatch: pytest.MonkeyPatch) -> None:
    file_id = upload(owner, png())
    chats = [factories.make_chat(factories.make_users(2)) for _ in range(2)]
    for chat_id in chats:
        show_often(file_id, chat_id, owner, 2)
    processing.process_file(file_id)
    marked: list[int] = []
    monkeypatch.setattr(jobs, "mark_for_search", marked.append)
    shown_files.tell_of_file(file_id)
    assert sorted(marked) == sorted(chats)


def test_nobody_waits_for_a_file_to_be_told_that_no_message_shows(
    owner: int, asked: list[tuple[str, dict[str, Any]]]
) -> None:
    file_id = upload(owner, png())
    processing.process_file(file_id)
    assert asked == []
    assert factories.scalar("SELECT count(*) FROM untold_files WHERE file_id = :id", id=str(file_id)) == 0


def told_of(file_id: UUID) -> object:
    """How many messages have the kind of a picture."""
    found = "SELECT count(*) FROM messages WHERE file_id = :id AND message_type = 'image'"
    return factories.scalar(found, id=str(file_id))


def test_a_file_that_nobody_looked_at_in_time_is_asked_for_again(
    owner: int, asked: list[tuple[str, dict[str, Any]]]
) -> None:
    file_id = upload(owner, png())
    # Before all that other tests have left to be looked at.
    factories.run("UPDATE files SET attempts = 1, try_after = '-infinity' WHERE id = :id", id=str(file_id))
    assert processing.sweep_processing() >= 1
    assert (jobs.PROCESS_FILE, {"file_id": str(file_id)}) in asked
    factories.run("UPDATE files SET try_after = now() + interval '1 day' WHERE id = :id", id=str(file_id))
