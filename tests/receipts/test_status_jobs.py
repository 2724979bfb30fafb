"""Which chats are seen to, when: marked ones at once, and by the sweep whatever is still in the queue."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from celery import Celery

from app.infra import jobs, set_aside
from app.infra.db import reading, unit_of_work
from app.infra.redis import client
from app.messages import status_jobs, status_queries, statuses
from local.addresses import embedded_redis_url
from tests import factories
from tests.processes import eventually
from tests.receipts import marks
from tests.receipts.marks import queued, read
from tests.waiting import waiting_for
from tests.workers.scenes import done_while_another_runs, new_worker, sender_to

pytestmark = pytest.mark.usefixtures("no_jobs")

# A broker of its own, so that the workers of other tests take nothing from here.
_BROKER_NUMBER = 6


@pytest.fixture(autouse=True)
def _no_other_work(alone: None) -> None:
    """Nothing dirty, nothing queued, nothing set aside."""
    client().delete(jobs.DIRTY_RECEIPTS)
    factories.run("DELETE FROM receipt_queue")
    factories.run("DELETE FROM set_aside_jobs")


def make_read_chat() -> int:
    ada, bob = factories.make_users(2)
    chat_id = factories.make_chat([ada, bob], "direct")
    factories.send_messages(chat_id, [ada])
    read(bob, chat_id, 1)
    return chat_id


def is_done(chat_id: int) -> bool:
    return marks.statuses(chat_id) == ["read"] and queued(chat_id) == 0


def attempts(chat_id: int) -> int:
    with reading() as unit:
        return set_aside.attempts(unit, jobs.UPDATE_STATUS, [str(chat_id)]).get(str(chat_id), 0)


def poison(chat_id: int) -> None:
    """Makes looking past what is settled in this chat impossible: it would be larger than the column holds."""
    factories.run("UPDATE chats SET delivered_seq = 9223372036854775807 WHERE id = :c", c=chat_id)


def test_dirty_chats_are_taken_and_seen_to() -> None:
    chats = [make_read_chat() for _ in range(3)]
    client().sadd(jobs.DIRTY_RECEIPTS, *chats, "rubbish")
    assert status_jobs.update_marked()
    assert all(is_done(chat_id) for chat_id in chats)


def test_the_sweep_finds_what_no_job_did() -> None:
    chats = [make_read_chat() for _ in range(5)]
    assert status_jobs.sweep() == 5
    assert all(is_done(chat_id) for chat_id in chats)
    assert status_jobs.sweep() == 0


def test_the_sweep_goes_from_chat_to_chat_however_many_moves_each_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(status_jobs, "_LARGEST_GROUP", 2)
    ada, bob = factories.make_users(2)
    chats = [factories.make_chat([ada, bob], "direct") for _ in range(5)]
    for chat_id in chats:
        factories.send_messages(chat_id, [ada] * 4)
        for seq in range(1, 5):
            read(bob, chat_id, seq)
    assert status_jobs.sweep() == 5
    assert [queued(chat_id) for chat_id in chats] == [0] * 5


def test_only_one_sweep_runs_at_a_time() -> None:
    make_read_chat()
    assert done_while_another_runs("statuses", status_jobs.sweep) == 0
    assert status_jobs.sweep() == 1


def test_a_poisonous_chat_does_not_stop_the_others_and_is_set_aside_after_three_attempts() -> None:
    poisonous, *others = [make_read_chat() for _ in range(4)]
    poison(poisonous)
    for attempt in (1, 2, 3):
        status_jobs.sweep()
        assert attempts(poisonous) == attempt
    assert all(is_done(chat_id) for chat_id in others)
    status_jobs.sweep()
    assert attempts(poisonous) == 3
    with reading() as unit:
        (found,) = set_aside.listed(unit)
    assert (found.job, found.subject) == (jobs.UPDATE_STATUS, str(poisonous))
    factories.run("UPDATE chats SET delivered_seq = 0 WHERE id = :c", c=poisonous)
    assert status_jobs.marked.retry_set_aside() == 1
    assert is_done(poisonous)
    assert attempts(poisonous) == 0


def test_a_busy_chat_is_not_held_against_it() -> None:
    chat_id = make_read_chat()
    with unit_of_work() as other:
        other.connection.exec_driver_sql("SELECT 1 FROM chats WHERE id = %s FOR UPDATE", (chat_id,))
        status_jobs.sweep()
    assert attempts(chat_id) == 0
    assert not is_done(chat_id)
    status_jobs.sweep()
    assert is_done(chat_id)


def test_a_chat_that_ends_the_worker_is_known_by_the_next_sweep(monkeypatch: pytest.MonkeyPatch) -> None:
    chat_id = make_read_chat()

    class Killed(BaseException):
        pass

    def crash(*_: object) -> None:
        raise Killed

    for attempt in (1, 2, 3):
        with monkeypatch.context() as patch:
            patch.setattr(status_queries, "settle", crash)
            with pytest.raises(Killed):
                status_jobs.sweep()
        assert attempts(chat_id) == attempt
        assert marks.statuses(chat_id) == ["sent"], "all or nothing"
    assert status_jobs.sweep() == 1
    assert not is_done(chat_id)


@pytest.fixture
def producer(data_dir: Path) -> Iterator[Celery]:
    """Sends jobs to the broker of these tests."""
    with sender_to(embedded_redis_url(data_dir, _BROKER_NUMBER)) as app:
        yield app


def test_a_worker_killed_in_the_middle_loses_nothing(tmp_path: Path, data_dir: Path, producer: Celery) -> None:
    broker = embedded_redis_url(data_dir, _BROKER_NUMBER)
    chat_id = make_read_chat()
    with new_worker(tmp_path, broker).wait_ready() as worker, unit_of_work() as holder:
        holder.connection.exec_driver_sql("SELECT 1 FROM chats WHERE id = %s FOR UPDATE", (chat_id,))
        producer.send_task(jobs.SWEEP_STATUS, queue=jobs.JOBS[jobs.SWEEP_STATUS])
        eventually(lambda: waiting_for(holder.connection) == 1)
        worker.kill()
    assert marks.statuses(chat_id) == ["sent"]
    assert queued(chat_id) == 1
    with new_worker(tmp_path, broker).wait_ready():
        producer.send_task(jobs.SWEEP_STATUS, queue=jobs.JOBS[jobs.SWEEP_STATUS])
        eventually(lambda: is_done(chat_id))


def test_without_any_job_marks_stay_in_the_queue_and_later_ones_join_them() -> None:
    ada, bob = factories.make_users(2)
    chat_id = factories.make_chat([ada, bob], "direct")
    factories.send_messages(chat_id, [ada] * 3)
    read(bob, chat_id, 1)
    read(bob, chat_id, 3)
    assert queued(chat_id) == 2
    assert statuses.update_all([chat_id])
    assert marks.statuses(chat_id) == ["read"] * 3
