"""Who holds an answer already is told so instead of being sent it again."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import requests
from flask.testing import FlaskClient

from tests.people import Person, connections

People = Callable[[int], list[Person]]


def ask(person: Person, path: str, held: str | None = None) -> requests.Response:
    headers = {"Authorization": f"Bearer {person.access_token}"} | ({} if held is None else {"If-None-Match": held})
    return connections().get(f"{person.url}/api{path}", headers=headers, timeout=20)


def chat_of(person: Person, *others: Person) -> int:
    """A group with a page that is long enough for a tag."""
    chat_id = person.group(*others)
    for number in range(5):
        person.send(chat_id, f"hello {number}")
    return chat_id


def test_a_page_that_has_not_changed_is_not_sent_again_and_one_that_has_is(people: People) -> None:
    ada, bob = people(2)
    chat_id = chat_of(ada, bob)
    path = f"/chats/{chat_id}/messages"
    first = ask(ada, path)
    tag = first.headers["ETag"]
    assert first.headers["Cache-Control"] == "private, no-cache"
    for held in (tag, f'"other", {tag}', tag.removeprefix("W/")):
        again = ask(ada, path, held)
        assert (again.status_code, again.content, again.headers["ETag"]) == (304, b"", tag)
    assert ask(ada, path, 'W/"other"').content == first.content
    ada.send(chat_id, "one more")
    changed = ask(ada, path, tag)
    assert changed.status_code == 200
    assert changed.headers["ETag"] != tag


def test_the_head_of_a_page_says_what_the_page_is(people: People) -> None:
    ada, bob = people(2)
    chat_id = chat_of(ada, bob)
    path = f"/chats/{chat_id}/messages"
    # Read anew, and then as it is kept.
    for _ in range(2):
        page, head = ask(ada, path), ada.call("HEAD", path)
        assert head.content == b""
        for name in ("ETag", "Content-Length", "Content-Type", "Cache-Control"):
            assert head.headers[name] == page.headers[name], name
        assert int(head.headers["Content-Length"]) == len(page.content)


def test_a_tag_opens_nothing_to_who_may_not_see_it(people: People) -> None:
    ada, bob, eve = people(3)
    chat_id = chat_of(ada, bob)
    tag = ask(ada, f"/chats/{chat_id}/messages").headers["ETag"]
    assert ask(eve, f"/chats/{chat_id}/messages", tag).status_code == 404


def test_short_answers_and_those_to_changes_have_no_tag(people: People) -> None:
    (ada,) = people(1)
    assert "ETag" not in ask(ada, "/auth/me").headers
    message = ada.send(ada.group(), "hello")
    edited = ada.call("PUT", f"/messages/{message['id']}", {"text": "x" * 2000})
    assert edited.status_code == 200
    assert "ETag" not in edited.headers


@pytest.mark.parametrize("path", ["/openapi.json", "/asyncapi.json"])
def test_the_documents_have_a_tag_too(client: FlaskClient, path: str) -> None:
    first = client.get(path)
    again = client.get(path, headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")
