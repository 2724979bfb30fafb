"""Which chats are fanned out: dirty ones, by the sweep those whose job was lost; poisonous ones are set aside."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
from billiard.exceptions import SoftTimeLimitExceeded

from app.errors import Unavailable
from app.infra import attempts as attempted
from app.infra import jobs, set_aside, sweeps
from app.infra.db import UnitOfWork, reading, unit_of_work
from app.infra.redis import client
from app.messages import marked_chats, unread, unread_jobs, unread_queries
from tests import factories
from tests.processes import eventually
from tests.workers.scenes import done_while_another_runs, is_counted, make_chat_with_message

# The largest number that the column holds.
POISON = 2_147_483_647


@pytest.fixture(autouse=True)
def _no_other_work(alone: None) -> Iterator[None]:
    """A sweep that has seen all there is; nothing dirty, nothing set aside, and all counts right, also afterwards."""
    leave_nothing_to_do()
    yield
    factories.run("UPDATE user_chat_states SET unread_count = 0 WHERE unread_count = :count", count=POISON)
    leave_nothing_to_do()


def leave_nothing_to_do() -> None:
    client().delete(jobs.DIRTY_CHATS)
    factories.run("DELETE FROM set_aside_jobs")
    behind = factories.scalar("SELECT array_agg(id) FROM chats WHERE last_seq > fanned_out_seq")
    if isinstance(behind, list):
        unread.fan_out_all(behind)
    factories.run("DELETE FROM sweep_marks")


def attempts(chat_id: int) -> int:
    with reading() as unit:
        return set_aside.attempts(unit, jobs.FANOUT_UNREAD, [str(chat_id)]).get(str(chat_id), 0)


def poison(chat_id: int) -> None:
    """Makes counting this chat impossible: its count would be larger than the column holds."""
    factories.run("UPDATE user_chat_states SET unread_count = :count WHERE chat_id = :c", count=POISON, c=chat_id)


@contextmanager
def passing_time(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The sweep looks at messages up to this moment instead of 10 s ago."""
    monkeypatch.setattr(sweeps, "_MARGIN_SECONDS", 0)
    yield


def test_dirty_chats_are_taken_and_counted() -> None:
    chats = [make_chat_with_message() for _ in range(3)]
    client().sadd(jobs.DIRTY_CHATS, *chats, "rubbish")
    assert unread_jobs.fan_out_marked()
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
    with passing_time(monkeypatch):
        # Up to now: what other tests have sent a moment ago may be thousands of such short stretches.
        unread_jobs.sweep()
        monkeypatch.setattr(unread_jobs, "_LARGEST_STRETCH", 2)
        chats = [make_chat_with_message() for _ in range(5)]
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
    assert done_while_another_runs("unread", unread_jobs.sweep) == 0
    assert unread_jobs.sweep() == 1


def test_a_poisonous_chat_does_not_stop_the_others() -> None:
    poisonous, *others = [make_chat_with_message() for _ in range(4)]
    poison(poisonous)
    client().sadd(jobs.DIRTY_CHATS, poisonous, *others)
    unread_jobs.fan_out_marked()
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
        unread_jobs.fan_out_marked()
        assert attempts(chat_id) == 3
    with reading() as unit:
        (found,) = set_aside.listed(unit)
    assert (found.job, found.subject, found.attempts) == (jobs.FANOUT_UNREAD, str(chat_id), 3)
    assert "out of range" in found.error
    factories.run("UPDATE user_chat_states SET unread_count = 0 WHERE chat_id = :c", c=chat_id)
    assert unread_jobs.marked.retry_set_aside() == 1
    assert is_counted(chat_id)
    assert attempts(chat_id) == 0


def test_a_chat_that_ends_the_worker_is_known_by_the_next_sweep(monkeypatch: pytest.MonkeyPatch) -> None:
    chat_id = make_chat_with_message()

    class Killed(BaseException):
        pass

    def crash(*_: object) -> None:
        raise Killed

    for attempt in (1, 2, 3):
        with monkeypatch.context() as patch:
            patch.setattr(unread_queries, "progress", crash)
            with pytest.raises(Killed):
                unread_jobs.sweep()
        assert attempts(chat_id) == attempt
    assert unread_jobs.sweep() == 1
    assert not is_counted(chat_id)


@pytest.mark.parametrize("is_known", [False, True])
def test_a_chat_at_which_the_time_of_the_job_ran_out_is_not_blamed(
    monkeypatch: pytest.MonkeyPatch, is_known: bool
) -> None:
    chat_id = make_chat_with_message()
    if is_known:
        factories.run(
            "INSERT INTO set_aside_jobs (job, subject, attempts, error) VALUES (:j, :s, 2, 'failed')",
            j=jobs.FANOUT_UNREAD,
            s=str(chat_id),
        )

    def out_of_time(*_: object) -> None:
        raise SoftTimeLimitExceeded

    with monkeypatch.context() as patch:
        patch.setattr(unread_queries, "progress", out_of_time)
        for _ in range(3):
            client().sadd(jobs.DIRTY_CHATS, chat_id)
            for run in (unread_jobs.sweep, unread_jobs.fan_out_marked):
                with pytest.raises(SoftTimeLimitExceeded):
                    run()
        assert attempts(chat_id) == (2 if is_known else 0)
    assert unread_jobs.sweep() == 1
    assert is_counted(chat_id)


@pytest.mark.parametrize("is_known", [False, True])
def test_a_sweep_begins_nothing_past_its_time_and_leaves_the_rest_to_the_next(
    monkeypatch: pytest.MonkeyPatch, is_known: bool
) -> None:
    chats = [make_chat_with_message() for _ in range(3)]
    if is_known:
        # They are looked at one by one.
        for chat_id in chats:
            factories.run(
                "INSERT INTO set_aside_jobs (job, subject, attempts, error) VALUES (:j, :s, 1, 'failed')",
                j=jobs.FANOUT_UNREAD,
                s=str(chat_id),
            )
    over = [False]
    real = unread_queries.progress

    def last(unit: UnitOfWork, chat_ids: Sequence[int]) -> list[unread_queries.Progress]:
        over[0] = True
        return real(unit, chat_ids)

    # Time is over as soon as the first group, or chat, has been begun.
    monkeypatch.setattr(unread_queries, "progress", last)
    monkeypatch.setattr(marked_chats.MarkedChats, "largest_group", 3 if is_known else 1)
    for clock in (attempted, marked_chats):
        monkeypatch.setattr(clock, "time", SimpleNamespace(monotonic=lambda: 1.0 if over[0] else 0.0))
    assert not unread_jobs.marked.sweep(chats, deadline=1.0)
    assert [is_counted(chat_id) for chat_id in chats] == [True, False, False]
    over[0] = False
    assert not unread_jobs.marked.sweep(chats[1:], deadline=1.0)
    over[0] = False
    assert unread_jobs.marked.sweep(chats[2:], deadline=1.0)


def test_a_busy_database_is_not_held_against_the_chat() -> None:
    chat_id = make_chat_with_message()
    client().sadd(jobs.DIRTY_CHATS, chat_id)
    with unit_of_work() as other:
        other.connection.exec_driver_sql("SELECT 1 FROM user_chat_states WHERE chat_id = %s FOR UPDATE", (chat_id,))
        unread_jobs.fan_out_marked()
    assert attempts(chat_id) == 0
    assert not is_counted(chat_id)


def test_a_database_that_is_away_postpones_all(monkeypatch: pytest.MonkeyPatch) -> None:
    chat_id = make_chat_with_message()
    client().sadd(jobs.DIRTY_CHATS, chat_id)

    def away(*_: object) -> None:
        raise Unavailable

    with monkeypatch.context() as patch:
        patch.setattr(attempted, "unit_of_work", away)
        patch.setattr(unread_queries, "progress", away)
        with pytest.raises(Unavailable):
            unread_jobs.fan_out_marked()
    assert unread_jobs.sweep() == 1
    assert is_counted(chat_id)


def test_every_marked_chat_becomes_dirty() -> None:
    chats = {make_chat_with_message() for _ in range(3)}
    for chat_id in [*chats, *chats]:
        jobs.mark_for_fanout(chat_id)
    # A worker of another test may be quick to take them.
    eventually(lambda: all(is_counted(chat) or client().sismember(jobs.DIRTY_CHATS, str(chat)) for chat in chats))
