"""A file that its owner deletes: out of reach at once, gone from storage, and from the messages that show it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from app.errors import FileIdReused
from app.files.queries import files
from app.files.service import delete_file, discard, storing
from app.infra.db import UnitOfWork, unit_of_work
from app.infra.storage import NoSuchObject, new_key
from app.messages import forgetting
from tests.factories import run, scalar
from tests.files.conftest import Making
from tests.files.places import Place, add_object, key_of, make_ready, sha256, show, uploaded
from tests.people import Person
from tests.processes import Worker, eventually
from tests.waiting import waiting_for

CONTENT = b"the content"


def sent(person: Person, chat_id: int, words: str | None = None) -> tuple[dict[str, Any], dict[str, Any]]:
    """A file of the person's, and a message that shows it."""
    file = uploaded(person, CONTENT)
    make_ready(file["id"])
    return file, person.post("/messages", {"chat_id": chat_id, "file_id": file["id"], "text": words})


def rows(file_id: str) -> object:
    """Whether the file's row is there, its objects, and messages that show it."""
    return scalar(
        "SELECT (SELECT count(*) FROM files WHERE id = :id) || ' ' || (SELECT count(*) FROM file_objects WHERE"
        " file_id = :id) || ' ' || (SELECT count(*) FROM message_files WHERE file_id = :id)",
        id=file_id,
    )


def test_a_file_that_nothing_shows_is_gone_at_once_with_all_of_its_objects(place: Place, persons: Making) -> None:
    (ada,) = persons(1)
    file_id = uploaded(ada, CONTENT)["id"]
    keys = [key_of(file_id)]
    keys += [add_object(place, file_id, variant, b"x", "image/webp") for variant in ("shared", "small", "large")]
    assert ada.call("DELETE", f"/files/{file_id}").status_code == 204
    for key in keys:
        with pytest.raises(NoSuchObject):
            place.storage.size(key)
    assert rows(file_id) == "0 0 0"
    assert scalar("SELECT count(*) FROM removed_objects WHERE key = ANY (:keys)", keys=keys) == 0
    assert ada.call("DELETE", f"/files/{file_id}").status_code == 404


def test_messages_that_show_it_lose_it_and_stay_and_everybody_is_told(people: Making, worker: Worker) -> None:
    ada, bob, eve = people(3)
    hers, his = ada.group(bob), bob.group(eve)
    file, first = sent(ada, hers, "look")
    forwarded = bob.post(f"/messages/{first['id']}/forward", {"chat_ids": [his]})["items"][0]
    with bob.socket() as bobs, eve.socket() as eves:
        assert ada.call("DELETE", f"/files/{file['id']}").status_code == 204
        assert ada.call("GET", f"/files/{file['id']}").status_code == 404
        assert bob.call("GET", f"/files/{file['id']}").status_code == 404
        told = bobs.next("message_updated", id=first["id"])
        assert (told["file"], told["text"], told["deleted"]) == (None, "look", False)
        assert told["revision"] > first["revision"]
        assert eves.next("message_updated", id=forwarded["id"])["file"] is None
    eventually(lambda: rows(file["id"]) == "0 0 0")
    assert bob.get(f"/messages/{first['id']}")["file"] is None
    refused = ada.call("POST", "/messages", {"chat_id": hers, "file_id": file["id"]})
    assert refused.status_code == 422


def test_of_many_messages_none_is_forgotten_whatever_died_before(people: Making) -> None:
    ada, bob = people(2)
    file_id = uploaded(ada, CONTENT)["id"]
    chats = [ada.group(bob), ada.group(bob)]
    for chat_id in chats:
        for _ in range(60):
            show(file_id, chat_id, ada.id)
    # As a process leaves it that dies right after the deletion has committed: nobody was asked to do the rest.
    run("UPDATE files SET deleted_at = now() WHERE id = :id", id=file_id)
    run("DELETE FROM file_objects WHERE file_id = :id", id=file_id)
    assert forgetting._strip_some(UUID(file_id))
    forgetting.forget_file(UUID(file_id))
    forgetting.forget_file(UUID(file_id))
    assert rows(file_id) == "0 0 0"
    found = "SELECT count(*) FROM messages WHERE chat_id = ANY (:chats) AND file_id IS NOT NULL"
    assert scalar(found, chats=chats) == 0
    # Each has a revision of its own, so that a page of catching up may end behind any of them.
    different = (
        "SELECT count(DISTINCT revision) FROM messages WHERE chat_id = :chat AND seq > 0 AND message_type = 'file'"
    )
    assert scalar(different, chat=chats[0]) == 60


def test_a_file_that_is_not_deleted_is_not_forgotten(people: Making) -> None:
    (ada,) = people(1)
    file_id = uploaded(ada, CONTENT)["id"]
    show(file_id, ada.group(), ada.id)
    forgetting.forget_file(UUID(file_id))
    assert rows(file_id) == "1 1 1"


def test_an_avatar_that_is_deleted_is_taken_from_the_person_and_the_chat(people: Making) -> None:
    ada, bob = people(2)
    chat_id = ada.group(bob)
    file_id = uploaded(ada, CONTENT)["id"]
    run("UPDATE users SET avatar_file_id = :file WHERE id = :id", file=file_id, id=ada.id)
    run("UPDATE chats SET avatar_file_id = :file WHERE id = :id", file=file_id, id=chat_id)
    with bob.socket() as bobs:
        assert ada.call("DELETE", f"/files/{file_id}").status_code == 204
        forgetting.forget_file(UUID(file_id))
        assert bobs.next("chat_updated", id=chat_id)["avatar_url"] is None
    assert bob.get(f"/users/{ada.id}")["avatar_url"] is None
    assert rows(file_id) == "0 0 0"


def test_an_avatar_that_is_chosen_while_it_is_deleted_does_not_keep_the_file(people: Making) -> None:
    (ada,) = people(1)
    file_id = uploaded(ada, CONTENT)["id"]
    with ThreadPoolExecutor(1) as pool:
        with unit_of_work() as unit:
            unit.execute(text("SELECT 1 FROM users WHERE id = :id FOR NO KEY UPDATE"), {"id": ada.id})
            chosen = {"file": file_id, "id": ada.id}
            unit.execute(text("UPDATE users SET avatar_file_id = :file WHERE id = :id"), chosen)
            deleting = pool.submit(ada.call, "DELETE", f"/files/{file_id}")
            eventually(lambda: waiting_for(unit.connection) == 1)
        assert deleting.result().status_code == 204
    assert rows(file_id) == "0 0 0"
    assert scalar("SELECT avatar_file_id FROM users WHERE id = :id", id=ada.id) is None


def test_an_upload_that_is_repeated_while_its_file_is_deleted_is_refused(
    people: Making, monkeypatch: pytest.MonkeyPatch
) -> None:
    (ada,) = people(1)
    file_id = UUID(uploaded(ada, CONTENT)["id"])
    known = files.known

    def deleted_right_after(unit: UnitOfWork, wanted: UUID) -> files.Known | None:
        found = known(unit, wanted)
        assert ada.call("DELETE", f"/files/{file_id}").status_code == 204
        return found

    monkeypatch.setattr(files, "known", deleted_right_after)
    again = files.NewFile(file_id, ada.id, "note.txt", len(CONTENT), sha256(CONTENT), new_key())
    with pytest.raises(FileIdReused), unit_of_work() as unit:
        storing.add_file(unit, again)


def test_a_file_whose_storage_is_away_is_deleted_all_the_same_and_its_objects_later(
    disk: Place, people: Making
) -> None:
    (ada,) = people(1)
    file_id = uploaded(ada, CONTENT)["id"]
    key = key_of(file_id)
    path = disk.folder / (disk.storage.internal_path(key) or "")
    with unit_of_work() as unit:
        keys = delete_file(unit, ada.id, UUID(file_id))
    # Whoever should remove the object finds a folder in its place: the disk refuses.
    path.unlink()
    path.mkdir()
    discard(keys)
    assert scalar("SELECT count(*) FROM removed_objects WHERE key = :key AND due_at <= now()", key=key) == 1
    path.rmdir()
    discard(keys)
    assert scalar("SELECT count(*) FROM removed_objects WHERE key = :key", key=key) == 0
