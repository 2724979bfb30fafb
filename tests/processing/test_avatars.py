"""Pictures of people and chats."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

import pytest
import requests

from app.files.service import releasing
from tests import factories
from tests.people import PASSWORD, Person
from tests.processing.files import is_there, keys, process, row, send_file, stored, upload
from tests.processing.pictures import png

People = Callable[[int], list[Person]]


def picture(owner: Person) -> str:
    """A picture that is ready."""
    file_id = upload(owner.id, png())
    process(file_id)
    return str(file_id)


def set_avatar(person: Person, file_id: str | None) -> requests.Response:
    """Changes the own avatar."""
    return person.call("PATCH", "/auth/me", {"avatar_file_id": file_id})


def opens(person: Person, url: str) -> bool:
    """Whether a link opens without a token."""
    answer = requests.get(person.url + url, timeout=20)
    return answer.status_code == 200 and answer.headers["Content-Type"] == "image/webp"


def test_everybody_sees_a_persons_avatar_by_a_link_of_their_own(people: People) -> None:
    ada, bob = people(2)
    own = set_avatar(ada, picture(ada)).json()["avatar_url"]
    assert opens(ada, own)
    chat_id = bob.direct_chat(ada)
    for user in (bob.get(f"/users/{ada.id}"), bob.get(f"/chats/{chat_id}")["peer"]):
        assert f"viewer={bob.id}" in user["avatar_url"]
        assert opens(bob, user["avatar_url"])


def test_a_group_shows_its_avatar_to_its_members_and_says_who_changed_it(people: People) -> None:
    ada, bob, eve = people(3)
    chat_id, file_id = ada.group(bob), picture(ada)
    with bob.socket() as socket:
        changed = ada.call("PUT", f"/chats/{chat_id}", {"avatar_file_id": file_id}).json()
        notice = socket.next("new_message", message_type="service")
        told = socket.next("chat_updated")
    assert notice["service"] == {"action": "avatar_changed"}
    assert opens(ada, changed["avatar_url"])
    assert f"viewer={bob.id}" in told["avatar_url"]
    assert opens(bob, told["avatar_url"])
    assert eve.call("GET", f"/files/{file_id}").status_code == 404


@pytest.mark.parametrize("change", ["person", "chat"])
def test_only_ones_own_picture_that_is_ready_becomes_an_avatar(people: People, change: str) -> None:
    ada, bob = people(2)
    method, path = ("PATCH", "/auth/me") if change == "person" else ("PUT", f"/chats/{ada.group(bob)}")
    document = upload(ada.id, b"Dear diary")
    process(document)
    for file_id in (picture(bob), str(document), str(upload(ada.id, png())), str(UUID(int=1))):
        answer = ada.call(method, path, {"avatar_file_id": file_id})
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "avatar_file_id")


def test_members_do_not_change_the_avatar(people: People) -> None:
    ada, bob = people(2)
    chat_id = ada.group(bob)
    assert bob.call("PUT", f"/chats/{chat_id}", {"avatar_file_id": picture(bob)}).status_code == 403


def test_an_avatar_goes_when_another_takes_its_place_unless_a_message_shows_it(people: People) -> None:
    ada, bob = people(2)
    first, second = picture(ada), picture(ada)
    mine = set(keys(UUID(first)).values())
    set_avatar(ada, first)
    assert row(UUID(first))["unused_since"] is None
    set_avatar(ada, second)
    releasing.release_one(UUID(first))
    assert not is_there(UUID(first))
    releasing.remove_objects()
    assert not mine & stored()
    send_file(ada, ada.direct_chat(bob), UUID(second))
    assert set_avatar(ada, None).json()["avatar_url"] is None
    releasing.release_one(UUID(second))
    assert is_there(UUID(second))


def test_an_old_avatar_whose_job_was_lost_is_swept(people: People) -> None:
    (ada,) = people(1)
    file_id = picture(ada)
    set_avatar(ada, file_id)
    set_avatar(ada, None)
    factories.run("UPDATE files SET unused_since = now() - interval '25 hours' WHERE id = :id", id=file_id)
    releasing.sweep_unused()
    assert not is_there(UUID(file_id))


def test_an_avatar_outlives_the_message_that_showed_it(people: People) -> None:
    ada, bob = people(2)
    file_id = picture(ada)
    set_avatar(ada, file_id)
    sent = send_file(ada, ada.direct_chat(bob), UUID(file_id))
    ada.call("DELETE", f"/messages/{sent['id']}?for=everyone")
    assert opens(bob, bob.get(f"/users/{ada.id}")["avatar_url"])


def test_the_avatar_of_a_chat_goes_with_the_chat(people: People) -> None:
    ada, bob = people(2)
    chat_id, file_id = ada.group(bob), picture(ada)
    ada.call("PUT", f"/chats/{chat_id}", {"avatar_file_id": file_id})
    ada.call("DELETE", f"/chats/{chat_id}")
    assert not is_there(UUID(file_id))


def test_who_signs_in_gets_a_link_that_opens(people: People) -> None:
    (ada,) = people(1)
    set_avatar(ada, picture(ada))
    answer = requests.post(f"{ada.url}/api/auth/login", json={"phone": ada.phone, "password": PASSWORD}, timeout=20)
    assert opens(ada, answer.json()["user"]["avatar_url"])
