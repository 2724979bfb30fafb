"""Messages that show files: sending, reading, forwarding, editing, deleting."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID, uuid4

import pytest
import requests
from flask import Flask

from app.files.service import histories, releasing
from tests import factories
from tests.people import Person
from tests.processes import eventually
from tests.processing.files import is_there, keys, known, process, row, send_file, stored, upload
from tests.processing.pictures import jpeg, png

People = Callable[[int], list[Person]]


def status_of(person: Person, url: str) -> int:
    """What a link answers without a token."""
    return requests.get(person.url + url, timeout=20).status_code


def picture(owner: Person) -> UUID:
    """A picture that is ready."""
    file_id = upload(owner.id, png())
    process(file_id)
    return file_id


def shown(file_id: UUID) -> int:
    """How many messages show a file."""
    return int(str(factories.scalar("SELECT count(*) FROM message_files WHERE file_id = :id", id=str(file_id))))


def files_of(*people: Person) -> object:
    """How many files, and objects of these, people have together."""
    count = """
        SELECT count(DISTINCT f.id) || ' ' || count(o.key) FROM files f LEFT JOIN file_objects o ON o.file_id = f.id
        WHERE f.owner_id = ANY (:ids)"""
    return factories.scalar(count, ids=[person.id for person in people])


def release(chat_id: int, *file_ids: UUID) -> None:
    """Waits for the end of files of a chat whose history nobody sees any more; it needs no worker."""
    histories.release_history(chat_id)
    eventually(lambda: not any(is_there(file_id) for file_id in file_ids))


def test_a_message_shows_a_picture_everywhere_in_the_same_way(people: People) -> None:
    ada, bob = people(2)
    chat_id, file_id = ada.direct_chat(bob), picture(ada)
    with bob.socket() as socket:
        cursor = socket.hello["cursor"]
        sent = send_file(ada, chat_id, file_id, text="look")
        told = socket.next("new_message")
    assert (sent["message_type"], sent["text"]) == ("image", "look")
    assert sent["file"]["width"] == 640
    places = {
        "message": bob.get(f"/messages/{sent['id']}"),
        "history": bob.get(f"/chats/{chat_id}/messages")["items"][0],
        "last": bob.get(f"/chats/{chat_id}")["last_message"],
        "listed": bob.get("/chats")["items"][0]["last_message"],
        "sync": bob.get("/sync", cursor=cursor)["messages"][0],
    }
    assert dict.fromkeys(places, told) == places
    assert {**sent, "file": None} == {**told, "file": None}


def test_the_links_in_a_message_open_for_whom_they_were_made_and_as_long_as_that_one_sees_it(people: People) -> None:
    ada, bob = people(2)
    chat_id, file_id = ada.direct_chat(bob), picture(ada)
    with bob.socket() as socket:
        sent = send_file(ada, chat_id, file_id)
        told = socket.next("new_message")
        answer = socket.ask("message", {"chat_id": chat_id, "file_id": str(picture(bob))})
    links = [told["file"]["url"], *(thumbnail["url"] for thumbnail in told["file"]["thumbnails"])]
    assert f"viewer={bob.id}" in links[0]
    assert f"viewer={ada.id}" in sent["file"]["url"]
    assert f"viewer={bob.id}" in answer["data"]["file"]["url"]
    assert [status_of(bob, link) for link in links] == [200, 200, 200]
    ada.call("DELETE", f"/messages/{sent['id']}?for=everyone")
    assert [status_of(bob, link) for link in links] == [404, 404, 404]


def test_only_ones_own_living_files_can_be_sent(people: People) -> None:
    ada, bob = people(2)
    chat_id = ada.direct_chat(bob)
    failed = upload(ada.id, png()[:100])
    process(failed)
    deleted = picture(ada)
    ada.call("DELETE", f"/files/{deleted}")
    for file_id in (picture(bob), failed, deleted, uuid4()):
        answer = ada.call("POST", "/messages", {"chat_id": chat_id, "file_id": str(file_id)})
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "file_id")
    assert bob.get(f"/chats/{chat_id}")["last_seq"] == 0


def test_a_message_with_a_file_is_sent_once_for_its_client_id(people: People) -> None:
    ada, bob = people(2)
    chat_id, file_id, client_id = ada.direct_chat(bob), picture(ada), str(uuid4())
    first = send_file(ada, chat_id, file_id, client_id=client_id)
    assert send_file(ada, chat_id, file_id, client_id=client_id) == first
    answer = ada.call("POST", "/messages", {"chat_id": chat_id, "file_id": str(picture(ada)), "client_id": client_id})
    assert answer.json()["code"] == "client_id_reused"
    assert shown(file_id) == 1


def test_forwarding_copies_no_bytes_and_gives_those_who_see_it_the_file(people: People) -> None:
    ada, bob, eve = people(3)
    file_id = picture(ada)
    sent = send_file(ada, ada.direct_chat(bob), file_id, text="look")
    objects, owned = keys(file_id), files_of(ada, bob, eve)
    chat_id = bob.direct_chat(eve)
    (forwarded,) = bob.post(f"/messages/{sent['id']}/forward", {"chat_ids": [chat_id]})["items"]
    assert (forwarded["message_type"], forwarded["text"], forwarded["file"]["id"]) == ("image", "look", str(file_id))
    assert status_of(eve, eve.get(f"/messages/{forwarded['id']}")["file"]["url"]) == 200
    assert shown(file_id) == 2
    assert (keys(file_id), files_of(ada, bob, eve)) == (objects, owned)
    assert set(objects.values()) <= stored()


def test_who_only_sees_a_file_cannot_send_it_by_its_id(people: People) -> None:
    ada, bob = people(2)
    chat_id, file_id = ada.direct_chat(bob), picture(ada)
    send_file(ada, chat_id, file_id)
    assert bob.call("POST", "/messages", {"chat_id": chat_id, "file_id": str(file_id)}).status_code == 422


def test_a_caption_can_be_edited_and_the_picture_stays(people: People) -> None:
    ada, bob = people(2)
    chat_id, file_id = ada.direct_chat(bob), picture(ada)
    sent = send_file(ada, chat_id, file_id)
    with bob.socket() as socket:
        edited = ada.call("PUT", f"/messages/{sent['id']}", {"text": "a caption"}).json()
        told = socket.next("message_updated")
    assert (edited["text"], edited["file"]["id"]) == ("a caption", str(file_id))
    assert (told["text"], told["message_type"], told["file"]["id"]) == ("a caption", "image", str(file_id))


def test_a_file_lives_as_long_as_one_message_shows_it(people: People) -> None:
    ada, bob, eve = people(3)
    file_id = picture(ada)
    mine = set(keys(file_id).values())
    sent = send_file(ada, ada.direct_chat(bob), file_id)
    (forwarded,) = bob.post(f"/messages/{sent['id']}/forward", {"chat_ids": [bob.direct_chat(eve)]})["items"]
    ada.call("DELETE", f"/messages/{sent['id']}?for=everyone")
    assert is_there(file_id)
    assert status_of(eve, eve.get(f"/messages/{forwarded['id']}")["file"]["url"]) == 200
    bob.call("DELETE", f"/messages/{forwarded['id']}?for=everyone")
    assert not is_there(file_id)
    releasing.remove_objects()
    assert not mine & stored()
    assert not mine & known()


def test_what_somebody_deletes_for_oneself_others_go_on_seeing(people: People) -> None:
    ada, bob = people(2)
    chat_id, file_id = ada.direct_chat(bob), picture(ada)
    with bob.socket() as socket:
        cursor = socket.hello["cursor"]
        sent = send_file(ada, chat_id, file_id)
        link = socket.next("new_message")["file"]["url"]
    bob.call("DELETE", f"/messages/{sent['id']}")
    tombstone = bob.get("/sync", cursor=cursor)["messages"][-1]
    assert (tombstone["deleted"], tombstone["file"]) == (True, None)
    assert status_of(bob, link) == 404
    assert status_of(ada, ada.get(f"/messages/{sent['id']}")["file"]["url"]) == 200


@pytest.mark.parametrize("for_everyone", ["true", "false"])
@pytest.mark.parametrize("path", ["/chats/{}", "/chats/{}/history"])
def test_files_go_with_a_history_that_both_have_cleared(people: People, path: str, for_everyone: str) -> None:
    ada, bob = people(2)
    chat_id, file_id = ada.direct_chat(bob), picture(ada)
    send_file(ada, chat_id, file_id)
    assert ada.call("DELETE", path.format(chat_id), params={"for_everyone": for_everyone}).status_code == 204
    if for_everyone == "false":
        assert is_there(file_id)
        bob.call("DELETE", path.format(chat_id))
    release(chat_id, file_id)


def test_files_go_with_a_group_that_its_owner_deletes(people: People) -> None:
    ada, bob = people(2)
    chat_id, files = ada.group(bob), [picture(ada), picture(bob)]
    send_file(ada, chat_id, files[0])
    send_file(bob, chat_id, files[1])
    assert ada.call("DELETE", f"/chats/{chat_id}").status_code == 204
    release(chat_id, *files)


def test_a_file_that_was_just_uploaded_stays_for_a_day_and_goes_when_it_was_not_sent(people: People) -> None:
    (ada,) = people(1)
    sent, unsent = picture(ada), picture(ada)
    send_file(ada, ada.direct_chat(ada), sent)
    releasing.sweep_unused()
    assert is_there(unsent)
    factories.run("UPDATE files SET unused_since = now() - interval '25 hours' WHERE id = :id", id=str(unsent))
    releasing.sweep_unused()
    assert not is_there(unsent)
    assert is_there(sent)
    assert row(sent)["unused_since"] is None


def test_sending_and_deleting_at_the_same_moment_never_leave_a_message_without_its_file(people: People) -> None:
    ada, bob = people(2)
    chat_id = ada.direct_chat(bob)
    for _ in range(10):
        file_id = upload(ada.id, b"Dear diary")
        first = send_file(ada, chat_id, file_id)
        with ThreadPoolExecutor(2) as threads:
            sending = threads.submit(
                ada.call, "POST", "/messages", {"chat_id": chat_id, "file_id": str(file_id), "text": "again"}
            )
            threads.submit(ada.call, "DELETE", f"/messages/{first['id']}?for=everyone")
        if sending.result().status_code == 201:
            assert ada.get(f"/messages/{sending.result().json()['id']}")["file"]["id"] == str(file_id)
            assert is_there(file_id)
        else:
            assert sending.result().status_code == 422
            assert not is_there(file_id)


def test_a_photo_is_given_to_others_without_the_place_where_it_was_taken(people: People, app: Flask) -> None:
    from tests.media.makers import PLACE

    ada, bob = people(2)
    chat_id, file_id = ada.direct_chat(bob), upload(ada.id, jpeg(orientation=6))
    process(file_id)
    sent = send_file(ada, chat_id, file_id)
    link = bob.get(f"/messages/{sent['id']}")["file"]["url"]
    assert PLACE not in requests.get(bob.url + link, timeout=20).content
    assert PLACE in requests.get(ada.url + sent["file"]["url"], timeout=20).content
