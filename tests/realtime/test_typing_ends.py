"""A typing mark that nobody repeats ends by itself, and all are told."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask

from app.chats import events, typing
from config import settings
from tests.people import connections, make_people
from tests.processes import Api, running_api


@pytest.fixture(scope="module")
def forgetful_api(app: Flask, data_dir: Path) -> Iterator[Api]:
    """An API whose marks last a second."""
    with running_api(data_dir, TYPING_EXPIRY="1s") as process:
        yield process
        connections().close()  # The server would wait for more requests on them before it ends.


def test_a_mark_that_is_not_repeated_ends_for_the_other_and_for_who_set_it(app: Flask, forgetful_api: Api) -> None:
    ada, bob = make_people(app, 2, forgetful_api.url)
    chat_id = ada.direct_chat(bob)
    ada.send(chat_id, "hello")
    with ada.socket() as hers, bob.socket() as his:
        hers.ask("typing", {"chat_id": chat_id, "is_typing": True})
        mark = {"chat_id": chat_id, "user_id": ada.id}
        assert his.next("typing") == mark | {"is_typing": True}
        assert his.next("typing") == hers.next("typing") == mark | {"is_typing": False}


def test_the_thread_that_ends_marks_is_there_while_there_are_any_and_ends_a_renewed_one_once_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    marks, told = typing._Marks(), []

    def tell(chat_id: int, members_revision: int, user_id: int, is_typing: bool, _: str | None) -> None:
        told.append((chat_id, members_revision, user_id, is_typing))
        if told == [(1, 3, 7, False)]:
            # Renewed just when it ends.
            marks.hold(1, 7, 4)

    monkeypatch.setattr(events, "typing", tell)
    monkeypatch.setattr(settings(), "typing_expiry", 0)
    for number in (1, 2):
        marks.hold(number, 7, 3)
        thread = marks._thread
        assert thread is not None
        thread.join()
    assert told == [(1, 3, 7, False), (1, 4, 7, False), (2, 3, 7, False)]
    assert marks._thread is None
