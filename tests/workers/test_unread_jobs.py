"""Which chats are fanned out: dirty ones, by the sweep those whose job was lost; poisonous ones are set aside."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from app.errors import Unavailable
from app.infra import attempts as attempted
from app.infra import jobs, set_aside, sweeps
from app.infra.db import reading, unit_of_work
from app.infra.redis import client
from app.messages import unread, unread_jobs
from tests import factories
from tests.processes import eventually


@pytest.fixture(autouse=True)
def _no_other_work() -> None:
    """A sweep that has seen all there is; nothing dirty, nothing set aside."""
    client().delete(jobs.DIRTY_CHATS)
    factories.run("DELETE FROM set_aside_jobs")
    factories.run("UPDATE chats SET fanned_out_seq = last_seq")
    factories.run("DELETE FROM sweep_marks")


def make_chat_with_message() -> int:
    people = factories.make_users(2)
    chat_id = factories.make_chat(people)
    factories.send_messages(chat_id, [people[0]])
    return chat_id


def is_counted(chat_id: int) -> bool:
    return bool(factories.scalar("SELECT fanned_out_seq = last_seq FROM chats WHERE id = :c", c=chat_id))


def attempts(chat_id: int) -> int:
    with reading() as unit:
        return set_aside.attempts(unit, jobs.FANOUT_UNREAD, [str(chat_id)]).get(str(chat_id), 0)


def poison(chat_id: int) -> None:
    """Makes counting this chat impossible: its count would be larger than the column holds."""
    factories.run("UPDATE user_chat_states SET unread_count = 2147483647 WHERE chat_id = :c", c=chat_id)


@contextmanager
def passing_time(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The sweep looks at messages up to this moment instead of 10 s ago."""
    monkeypatch.setattr(sweeps, "_MARGIN_SECONDS", 0)
    yield


def test_dirty_chats_are_taken_and_counted() -> None:
    chats = [make_chat_with_message() for _ in range(3)]
    client().sadd(jobs.DIRTY_CHATS, *chats, "rubbish")
    assert unread_jobs.take_dirty(100) == 4
    assert all(is_counted(chat_id) for chat_id in chats)
    assert client().scard(jobs.DIRTY_CHATS) == 0


def test_the_first_sweep_finds_every_chat_that_is_behind() -> None:
    chats = [make_chat_with_message() for _ in range(3)]
    assert unread_jobs.sweep() == 3
    assert all(is_counted(chat_id) for chat_id in chats)
    assert factories.scalar("SELECT count(*) FROM sweep_marks WHERE name = 'unread'") == 1


def test_a_later_sweep_finds_by_its_mark_what_was_lost_since(monkeypatch: pytest.MonkeyPatch) -> None:
    unread_jobs.sweep()
    chat_id = make_chat_with_message()
    assert unread_jobs.sweep() == 0, "younger than the margin: its own job may still come"
    with passing_time(monkeypatch):
        assert unread_jobs.sweep() == 1
        assert is_counted(chat_id)
        assert unread_jobs.sweep() == 0


def test_many_messages_are_swept_in_stretches(monkeypatch: pytest.MonkeyPatch) -> None:
    unread_jobs.sweep()
    monkeypatch.setattr(unread_jobs, "_LARGEST_STRETCH", 2)
    chats = [make_chat_with_message() for _ in range(5)]
    with passing_time(monkeypatch):
        assert unread_jobs.sweep() == 5
    assert all(is_counted(chat_id) for chat_id in chats)


def test_the_mark_never_passes_a_transaction_that_may_still_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    unread_jobs.sweep()
    people = factories.make_users(2)
    chat_id = factories.make_chat(people)
    with passing_time(monkeypatch):
        with unit_of_work() as slow:
            factories.insert_messages(slow, chat_id, [people[0]])
            make_chat_with_message()
            unread_jobs.sweep()
        assert not is_counted(chat_id)
        unread_jobs.sweep()
    assert is_counted(chat_id)


def test_only_one_sweep_runs_at_a_time() -> None:
    make_chat_with_message()
    with sweeps.only_one("unread") as alone:
        assert alone
        swept: list[int] = []
        other = threading.Thread(target=lambda: swept.append(unread_jobs.sweep()))
        other.start()
        other.join(20)
        assert swept == [0]
    assert unread_jobs.sweep() == 1


def test_a_poisonous_chat_does_not_stop_the_others() -> None:
    poisonous, *others = [make_chat_with_message() for _ in range(4)]
    poison(poisonous)
    client().sadd(jobs.DIRTY_CHATS, poisonous, *others)
    unread_jobs.take_dirty(100)
    assert all(is_counted(chat_id) for chat_id in others)
    assert not is_counted(poisonous)
    assert attempts(poisonous) == 1


def test_a_poisonous_chat_is_set_aside_after_three_attempts_and_tried_again_when_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    unread_jobs.sweep()
    chat_id = make_chat_with_message()
    poison(chat_id)
    with passing_time(monkeypatch):
        for attempt in (1, 2, 3):
            unread_jobs.sweep()
            assert attempts(chat_id) == attempt
        unread_jobs.sweep()
        client().sadd(jobs.DIRTY_CHATS, chat_id)
        unread_jobs.take_dirty(100)
        assert attempts(chat_id) == 3
    with reading() as unit:
        (found,) = set_aside.listed(unit)
    assert (found.job, found.subject, found.attempts) == (jobs.FANOUT_UNREAD, str(chat_id), 3)
    assert "out of range" in found.error
    factories.run("UPDATE user_chat_states SET unread_count = 0 WHERE chat_id = :c", c=chat_id)
    assert unread_jobs.retry_set_aside() == 1
    assert is_counted(chat_id)
    assert attempts(chat_id) == 0


def test_a_chat_that_ends_the_worker_is_known_by_the_next_sweep(monkeypatch: pytest.MonkeyPatch) -> None:
    chat_id = make_chat_with_message()

    class Killed(BaseException):
        pass

    def crash(_: object) -> int:
        raise Killed

    for attempt in (1, 2, 3):
        with monkeypatch.context() as patch:
            patch.setattr(unread, "fan_out_all", crash)
            with pytest.raises(Killed):
                unread_jobs.sweep()
        assert attempts(chat_id) == attempt
    assert unread_jobs.sweep() == 1
    assert not is_counted(chat_id)


def test_a_busy_database_is_not_held_against_the_chat() -> None:
    chat_id = make_chat_with_message()
    client().sadd(jobs.DIRTY_CHATS, chat_id)
    with unit_of_work() as other:
        other.connection.exec_driver_sql("SELECT 1 FROM user_chat_states WHERE chat_id = %s FOR UPDATE", (chat_id,))
        unread_jobs.take_dirty(100)
    assert attempts(chat_id) == 0
    assert not is_counted(chat_id)


def test_a_database_that_is_away_postpones_all(monkeypatch: pytest.MonkeyPatch) -> None:
    chat_id = make_chat_with_message()
    client().sadd(jobs.DIRTY_CHATS, chat_id)

    def away(*_: object) -> None:
        raise Unavailable

    with monkeypatch.context() as patch:
        patch.setattr(attempted, "unit_of_work", away)
        patch.setattr(unread, "fan_out_all", away)
        with pytest.raises(Unavailable):
            unread_jobs.take_dirty(100)
    assert unread_jobs.sweep() == 1
    assert is_counted(chat_id)


def test_every_marked_chat_becomes_dirty() -> None:
    chats = {make_chat_with_message() for _ in range(3)}
    for chat_id in [*chats, *chats]:
        jobs.mark_for_fanout(chat_id)
    # A worker of another test may be quick to take them.
    eventually(lambda: all(is_counted(chat) or client().sismember(jobs.DIRTY_CHATS, str(chat)) for chat in chats))
