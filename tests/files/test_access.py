"""Who may have a file: its owner, and whoever sees a message or an avatar that shows it, asked on every use."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
import requests

from app.web import links
from config import settings
from tests.counting import counted_statements
from tests.factories import run
from tests.files.conftest import Making
from tests.files.places import Place, add_object, make_ready, show, show_elsewhere, uploaded
from tests.people import Person
from tests.processes import running_api

CONTENT = b"the content"
Code = int | str


def outcome(answer: requests.Response) -> Code:
    """200, or the code of the refusal."""
    if answer.status_code == 200:
        assert answer.content
        return 200
    code: str = answer.json()["code"]
    return code


def by_token(person: Person, file_id: str) -> Code:
    """What somebody is answered who asks for the file; the same as for its description."""
    got = outcome(person.call("GET", f"/files/{file_id}"))
    assert outcome(person.call("GET", f"/files/{file_id}/info")) == got
    return got


def by_link(place: Place, link: str) -> Code:
    """What a browser is answered that follows a link."""
    return outcome(requests.get(place.api.url + link, timeout=20))


def ready_file(person: Person) -> dict[str, Any]:
    file = uploaded(person, CONTENT)
    make_ready(file["id"])
    return file


@pytest.fixture
def sent(people: Making) -> tuple[Person, Person, int, str, int]:
    """Ada and Bob, a group of theirs, and a file that she has sent to it with a message."""
    ada, bob = people(2)
    chat_id = ada.group(bob)
    file_id = ready_file(ada)["id"]
    return ada, bob, chat_id, file_id, show(file_id, chat_id, ada.id)


# What is done to Bob or the message: what he is answered then. Ada, whose file it is, gets it always.
CHANGES: dict[str, tuple[str, Code]] = {
    "nothing": ("SELECT 1", 200),
    "left": ("UPDATE chat_members SET left_at = now() WHERE chat_id = :chat AND user_id = :bob", "not_found"),
    "joined later": (
        "UPDATE chat_members SET history_from_seq = 1000 WHERE chat_id = :chat AND user_id = :bob",
        "not_found",
    ),
    "joined before": ("UPDATE chat_members SET history_from_seq = 0 WHERE chat_id = :chat AND user_id = :bob", 200),
    "cleared": ("UPDATE user_chat_states SET cleared_seq = 1000 WHERE chat_id = :chat AND user_id = :bob", "not_found"),
    "hidden by himself": (
        "INSERT INTO message_hides (user_id, chat_id, message_id, seq, revision) VALUES (:bob, :chat, :message, 1, 1)",
        "not_found",
    ),
    "hidden by her": (
        "INSERT INTO message_hides (user_id, chat_id, message_id, seq, revision) VALUES (:ada, :chat, :message, 1, 1)",
        200,
    ),
    "no longer shown": ("DELETE FROM message_files WHERE message_id = :message", "not_found"),
    "deleted": ("UPDATE files SET deleted_at = now() WHERE id = :file", "not_found"),
}


@pytest.mark.parametrize("others", [0, 200])
@pytest.mark.parametrize("change", CHANGES)
def test_a_file_is_had_by_who_sees_a_message_that_shows_it(
    sent: tuple[Person, Person, int, str, int], change: str, others: int
) -> None:
    ada, bob, chat_id, file_id, message_id = sent
    show_elsewhere(file_id, others)
    assert by_token(bob, file_id) == 200
    statement, expected = CHANGES[change]
    values = {"ada": ada.id, "bob": bob.id, "chat": chat_id, "file": file_id, "message": message_id}
    run(statement, **{name: value for name, value in values.items() if f":{name}" in statement})
    assert by_token(bob, file_id) == expected
    assert by_token(ada, file_id) == ("not_found" if change == "deleted" else 200)


def test_one_message_that_is_seen_is_enough(people: Making) -> None:
    ada, bob = people(2)
    file_id = ready_file(ada)["id"]
    for _ in range(3):
        show(file_id, ada.group(), ada.id)
    assert by_token(bob, file_id) == "not_found"
    show(file_id, ada.group(bob), ada.id)
    show(file_id, ada.group(), ada.id)
    assert by_token(bob, file_id) == 200


def test_a_stranger_and_who_is_not_signed_in_learn_nothing(disk: Place, people: Making) -> None:
    ada, eve = people(2)
    file_id = ready_file(ada)["id"]
    unknown = eve.call("GET", "/files/00000000-0000-4000-8000-000000000000")
    refused = eve.call("GET", f"/files/{file_id}")
    assert (refused.status_code, refused.json()["detail"]) == (404, unknown.json()["detail"])
    assert outcome(requests.get(f"{disk.api.url}/api/files/{file_id}", timeout=20)) == "unauthenticated"
    assert outcome(eve.call("DELETE", f"/files/{file_id}")) == "not_found"


def test_avatars_are_had_by_who_may_see_the_profile_or_the_chat(people: Making) -> None:
    ada, bob, eve = people(3)
    hers, of_chat = ready_file(ada)["id"], ready_file(ada)["id"]
    chat_id = ada.group(bob)
    assert by_token(eve, hers) == "not_found"
    run("UPDATE users SET avatar_file_id = :file WHERE id = :id", file=hers, id=ada.id)
    run("UPDATE chats SET avatar_file_id = :file WHERE id = :id", file=of_chat, id=chat_id)
    assert [by_token(person, hers) for person in (ada, bob, eve)] == [200, 200, 200]
    assert [by_token(person, of_chat) for person in (ada, bob, eve)] == [200, 200, "not_found"]


def test_the_avatar_of_a_public_chat_is_had_by_everybody_signed_in_as_long_as_the_chat_is_public(
    disk: Place, people: Making
) -> None:
    ada, bob, eve = people(3)
    file_id = ready_file(ada)["id"]
    add_object(disk, file_id, "small", b"small", "image/webp")
    chat_id = ada.group(bob)
    run("UPDATE chats SET avatar_file_id = :file WHERE id = :id", file=file_id, id=chat_id)
    ada.call("DELETE", f"/chats/{chat_id}/members/{bob.id}")
    assert [by_token(person, file_id) for person in (ada, bob, eve)] == [200, "not_found", "not_found"]

    name = f"public{chat_id}"
    assert ada.call("PUT", f"/chats/{chat_id}", {"username": name}).status_code == 200
    assert [by_token(person, file_id) for person in (ada, bob, eve)] == [200, 200, 200]
    (found,) = eve.get("/chats/search", q=f"@{name}")["items"]
    assert by_link(disk, found["avatar_url"]) == 200
    assert outcome(requests.get(f"{disk.api.url}/api/files/{file_id}", timeout=20)) == "unauthenticated"

    assert ada.call("PUT", f"/chats/{chat_id}", {"username": None}).status_code == 200
    assert [by_token(person, file_id) for person in (ada, bob, eve)] == [200, "not_found", "not_found"]
    assert by_link(disk, found["avatar_url"]) == "not_found"

    run("UPDATE chats SET username = :name, deleted_at = now() WHERE id = :id", name=name, id=chat_id)
    assert by_token(eve, file_id) == "not_found"


def test_what_is_shown_in_a_public_chat_is_for_its_members(people: Making) -> None:
    ada, bob, eve = people(3)
    file_id = ready_file(ada)["id"]
    chat_id = ada.group(bob)
    show(file_id, chat_id, ada.id)
    run("UPDATE chats SET username = :name WHERE id = :id", name=f"public{chat_id}", id=chat_id)
    assert [by_token(person, file_id) for person in (bob, eve)] == [200, "not_found"]


def test_a_link_needs_no_token_and_is_good_for_its_viewer_only_as_long_as_the_viewer_may_see(
    disk: Place, sent: tuple[Person, Person, int, str, int]
) -> None:
    _, bob, chat_id, file_id, _ = sent
    link = bob.get(f"/files/{file_id}/info")["url"]
    assert by_link(disk, link) == 200
    run("UPDATE chat_members SET left_at = now() WHERE chat_id = :chat AND user_id = :bob", chat=chat_id, bob=bob.id)
    assert by_link(disk, link) == "not_found"


def test_a_link_opens_nothing_once_its_viewer_has_signed_out_everywhere(disk: Place, people: Making) -> None:
    (ada,) = people(1)
    link = ready_file(ada)["url"]
    assert by_link(disk, link) == 200
    ada.post("/auth/logout", status=204)
    assert by_link(disk, link) == "session_revoked"


FORGERIES: dict[str, Callable[[dict[str, str], Person], dict[str, str]]] = {
    "another viewer": lambda query, eve: query | {"viewer": str(eve.id)},
    "a later end": lambda query, _: query | {"until": str(int(query["until"]) + 1)},
    "another signature": lambda query, _: query | {"signature": query["signature"][::-1]},
    "no signature": lambda query, _: {name: value for name, value in query.items() if name != "signature"},
    "only a viewer": lambda query, _: {"viewer": query["viewer"]},
    "a thumbnail that it is not for": lambda query, _: query | {"thumbnail": "small"},
    "letters beyond ASCII": lambda query, _: query | {"signature": "é" * 22},
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_a_link_that_was_changed_is_refused(disk: Place, people: Making, forgery: str) -> None:
    ada, eve = people(2)
    file = ready_file(ada)
    add_object(disk, file["id"], "small", b"small", "image/webp")
    path, query = file["url"].split("?")
    changed = FORGERIES[forgery](dict(item.split("=", 1) for item in query.split("&")), eve)
    assert by_link(disk, f"{path}?{urlencode(changed)}") == "invalid_link"


def test_a_link_to_one_file_opens_no_other(disk: Place, people: Making) -> None:
    (ada,) = people(1)
    first, second = ready_file(ada), ready_file(ada)
    query = first["url"].partition("?")[2]
    assert by_link(disk, f"/api/files/{second['id']}?{query}") == "invalid_link"
    # Saving instead of showing is no other file.
    assert by_link(disk, f"{first['url']}&download=1") == 200


def test_a_link_to_a_thumbnail_is_signed_by_itself(disk: Place, people: Making) -> None:
    (ada,) = people(1)
    file = ready_file(ada)
    add_object(disk, file["id"], "small", b"small", "image/webp")
    (thumbnail,) = ada.get(f"/files/{file['id']}/info")["thumbnails"]
    assert requests.get(disk.api.url + thumbnail["url"], timeout=20).content == b"small"


def test_a_link_is_refused_once_its_life_is_over(disk: Place, people: Making, monkeypatch: pytest.MonkeyPatch) -> None:
    (ada,) = people(1)
    file = ready_file(ada)
    monkeypatch.setattr(settings(), "file_link_expiry", -100)
    expired = links.file_link(file["id"], ada.id)
    assert by_link(disk, expired) == "link_expired"
    # With a token of one's own it does not matter what else stands in the address.
    assert ada.call("GET", expired.removeprefix("/api")).status_code == 200


def test_a_link_lives_for_an_hour_at_most_and_stays_the_same_for_a_while(
    people: Making, monkeypatch: pytest.MonkeyPatch
) -> None:
    lives = []
    for moment in range(0, 7200, 60):
        monkeypatch.setattr(time, "time", lambda moment=moment: 1_800_000_000 + moment)
        until = int(parse_qs(urlsplit(links.file_link("00000000-0000-4000-8000-000000000000", 5)).query)["until"][0])
        lives.append(until - 1_800_000_000 - moment)
    assert 2700 < min(lives) <= max(lives) <= 3600
    assert len({life + 60 * at for at, life in enumerate(lives)}) <= 9


def test_what_is_made_for_many_is_signed_for_each_without_touching_what_people_write() -> None:
    import orjson

    file_id = "0b0e7a52-1111-4222-8333-444455556666"
    text = f'"url":"/api/files/{file_id}"'
    frame = {
        "text": text,
        "file": {"url": f"/api/files/{file_id}", "small": {"url": links.file_link(file_id, None, "small")}},
    }
    made_once = links.Unsigned(orjson.dumps(frame))
    for viewer_id in (7, 8):
        signed = orjson.loads(made_once.signed_for(viewer_id))
        assert signed["text"] == text
        assert signed["file"]["url"] == links.file_link(file_id, viewer_id)
        assert signed["file"]["small"]["url"] == links.file_link(file_id, viewer_id, "small")
    words = orjson.dumps({"text": text})
    assert links.Unsigned(words).signed_for(7) == words


def test_serving_a_file_asks_for_the_session_and_for_the_file_and_nothing_else(app: Any, people: Making) -> None:
    ada, bob = people(2)
    file_id = ready_file(ada)["id"]
    show(file_id, ada.group(bob), ada.id)
    headers = {"Authorization": f"Bearer {bob.access_token}"}
    client = app.test_client()
    with counted_statements() as statements:
        assert client.get(f"/api/files/{file_id}", headers=headers).data == CONTENT
    assert [each.split()[1] for each in statements] == ["session_lives", "file_served"]


def test_another_api_process_with_another_secret_takes_no_links(disk: Place, people: Making) -> None:
    (ada,) = people(1)
    link = ready_file(ada)["url"]
    with running_api(disk.folder.parent, JWT_SECRET="another secret, for another process") as other:
        assert outcome(requests.get(other.url + link, timeout=20)) == "invalid_link"
