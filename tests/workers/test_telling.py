"""A large chat that changes often is shown anew to its members once for many changes, by one worker at a time."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from app.chats import events, service
from app.chats.schemas import ChatChange, NewChat
from app.chats.service import telling
from app.infra import jobs, presence
from app.infra.db import unit_of_work
from app.infra.redis import client
from app.infra.redis_writer import RESYNC_CHANNEL, writer
from config import settings
from tests import factories
from tests.chats.membership import crowd
from tests.processes import eventually


@pytest.fixture(autouse=True)
def no_marks(app: object, alone: None) -> Iterator[None]:
    """Nothing is marked before, nor afterwards."""
    client().delete(jobs.DIRTY_TOLD)
    yield
    client().delete(jobs.DIRTY_TOLD)


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The chats that are shown to their members, in their order."""
    chats: list[int] = []
    tell = telling.tell_connected

    def note(chat_id: int) -> int:
        chats.append(chat_id)
        return tell(chat_id)

    monkeypatch.setattr(telling, "tell_connected", note)
    return chats


def is_marked(chat_id: int) -> bool:
    return bool(client().sismember(jobs.DIRTY_TOLD, str(chat_id)))


def test_many_changes_of_a_large_chat_become_one_job(monkeypatch: pytest.MonkeyPatch) -> None:
    (owner,) = factories.make_users(1)
    with unit_of_work() as unit:
        chat_id = service.create_chat(unit, owner, NewChat(type="group", name="Many"))[0]["id"]
    crowd(chat_id, 300)
    sent: list[str] = []
    send = jobs._Sender._send

    def note(sender: Any, name: str, *arguments: Any) -> None:
        sent.append(name)
        send(sender, name, *arguments)

    monkeypatch.setattr(settings(), "fanout_interval_ms", 10_000)
    monkeypatch.setattr(jobs._Sender, "_send", note)
    sender = jobs._Sender()
    monkeypatch.setattr(jobs, "_sender", lambda: sender)
    for number in range(30):
        with unit_of_work() as unit:
            service.change_chat(unit, owner, chat_id, ChatChange(description=f"Number {number}"))
    eventually(lambda: jobs.TELL_MEMBERS in sent)
    assert sent.count(jobs.TELL_MEMBERS) == 1
    # What waits for its moment is not to come into another test.
    sender._dirty.clear()


def test_marked_chats_are_shown_once_each(told: list[int]) -> None:
    chats = [factories.make_chat(factories.make_users(2)) for _ in range(3)]
    client().sadd(jobs.DIRTY_TOLD, *chats)
    service.tell_marked()
    assert sorted(told) == sorted(chats)
    assert client().scard(jobs.DIRTY_TOLD) == 0


def test_a_chat_that_changes_while_it_is_shown_is_shown_once_more(
    told: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    chat_id = factories.make_chat(factories.make_users(2))
    tell = telling.tell_connected

    def change_meanwhile(shown: int) -> int:
        if not told:
            client().sadd(jobs.DIRTY_TOLD, shown)
        return tell(shown)

    monkeypatch.setattr(telling, "tell_connected", change_meanwhile)
    client().sadd(jobs.DIRTY_TOLD, chat_id)
    service.tell_marked()
    assert told == [chat_id, chat_id]


def test_while_one_worker_shows_chats_another_leaves_them_to_it(
    told: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = (factories.make_chat(factories.make_users(2)) for _ in range(2))
    tell, begun, goes_on = telling.tell_connected, threading.Event(), threading.Event()

    def slowly(chat_id: int) -> int:
        begun.set()
        assert goes_on.wait(20)
        return tell(chat_id)

    monkeypatch.setattr(telling, "tell_connected", slowly)
    client().sadd(jobs.DIRTY_TOLD, first)
    running = threading.Thread(target=service.tell_marked)
    running.start()
    assert begun.wait(20)
    client().sadd(jobs.DIRTY_TOLD, second)
    service.tell_marked()
    assert is_marked(second)
    goes_on.set()
    running.join()
    assert told == [first, second]


def test_what_is_left_when_the_time_is_over_goes_behind_the_other_jobs(
    told: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    chats = [factories.make_chat(factories.make_users(2)) for _ in range(3)]
    client().sadd(jobs.DIRTY_TOLD, *chats)
    marked: list[int] = []
    monkeypatch.setattr(jobs, "mark_for_telling", marked.append)
    monkeypatch.setattr(telling, "_LONGEST_RUN", 0.0)
    service.tell_marked()
    assert told == []
    assert len(marked) == 1
    assert sorted([*marked, *(chat for chat in chats if is_marked(chat))]) == sorted(chats)


def test_a_chat_that_cannot_be_shown_does_not_keep_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    chats = [factories.make_chat(factories.make_users(2)) for _ in range(2)]
    client().sadd(jobs.DIRTY_TOLD, *chats)
    marked: list[int] = []
    monkeypatch.setattr(jobs, "mark_for_telling", marked.append)

    def fail(_chat_id: int) -> int:
        raise ValueError("cannot be shown")

    monkeypatch.setattr(telling, "tell_connected", fail)
    with pytest.raises(ValueError, match="cannot be shown"):
        service.tell_marked()
    assert len(marked) == 1
    assert client().scard(jobs.DIRTY_TOLD) == 0


def test_where_it_is_not_known_who_of_a_large_chat_has_a_socket_one_command_has_all_clients_sync(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (owner,) = factories.make_users(1)
    with unit_of_work() as unit:
        chat_id = service.create_chat(unit, owner, NewChat(type="group", name="Many"))[0]["id"]
    crowd(chat_id, 300)
    monkeypatch.setattr(presence, "connected", lambda _: None)
    submitted: list[tuple[object, ...]] = []
    monkeypatch.setattr(writer(), "submit", lambda *command: submitted.append(command))
    assert telling.tell_connected(chat_id) == 0
    with unit_of_work() as unit:
        events.chat_left(unit, chat_id, range(1, 400), 1)
    assert [command[:2] for command in submitted] == [("PUBLISH", RESYNC_CHANNEL)] * 2
