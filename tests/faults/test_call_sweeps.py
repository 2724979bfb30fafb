"""Workers that are killed in the midst of ending calls, and of clearing LiveKit's rooms: the next one does the rest."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
from celery import Celery
from flask import Flask

from app.infra import jobs
from config import settings
from local.servers import Valkey
from tests.calls.rooms import KEY, SECRET, Rooms, group_call, running_rooms
from tests.calls.scenes import make_overdue, notices_of, refused, ring, talk
from tests.chats.membership import notices
from tests.factories import run, scalar
from tests.faults.hurting import hung_valkey, kill_child, locked
from tests.people import Person, connections, make_people
from tests.processes import eventually, running_api, running_worker
from tests.waiting import waiting_for

Environment = dict[str, str]
_HOLD = "SELECT 1 FROM chats WHERE id = :chat FOR UPDATE"
_LIVE = "SELECT count(*) FROM call_participants WHERE call_id = :id AND left_at IS NULL"
_GONE = (
    "UPDATE call_participants SET gone_since = now() - interval '31 s' WHERE call_id = :id AND session_id IS NOT NULL"
)


@dataclass
class Due:
    """A call that a sweep is to end, or to take somebody out of, once it is due."""

    call_id: int
    chat_id: int
    person: Person
    reason: str
    become_due: Callable[[], None]


@pytest.fixture
def rooms() -> Iterator[Rooms]:
    """What stands in for LiveKit."""
    with running_rooms() as server:
        yield server


@pytest.fixture
def environment(tmp_path: Path, own_valkey: Valkey, rooms: Rooms) -> Environment:
    """Of processes that nobody else uses."""
    return {
        "DATA_DIR": str(tmp_path),
        "DATABASE_URL": settings().database,
        "REDIS_URL": own_valkey.url(),
        "BROKER_URL": own_valkey.url(),
        "DB_LOCK_TIMEOUT": "30s",
        "DB_STATEMENT_TIMEOUT": "40s",
        "LIVEKIT_URL": rooms.url,
        "LIVEKIT_API_KEY": KEY,
        "LIVEKIT_API_SECRET": SECRET,
    }


@pytest.fixture
def ask(app: Flask, environment: Environment) -> Iterator[Callable[[str], None]]:
    """Enqueues a job for the worker of the test."""
    celery = Celery("tests", set_as_current=False)
    with jobs.configure(celery, settings().model_copy(update={"broker_url": environment["BROKER_URL"]})) as producer:

        def enqueue(name: str) -> None:
            producer.send_task(name, queue=jobs.JOBS[name])

        yield enqueue


def go(call_id: int) -> None:
    """Who is in the call has lost the connection, and does not come back."""
    run(_GONE, id=call_id)


def overdue(ada: Person, bob: Person) -> Due:
    call = ring(ada, bob)
    return Due(call["id"], call["chat_id"], bob, "missed", partial(make_overdue, call["id"]))


def abandoned(ada: Person, bob: Person) -> Due:
    call = ring(ada, bob)
    return Due(call["id"], call["chat_id"], bob, "missed", partial(go, call["id"]))


def disconnected(ada: Person, bob: Person) -> Due:
    call_id = talk(ada, bob)
    return Due(call_id, ada.get(f"/calls/{call_id}")["chat_id"], bob, "disconnected", partial(go, call_id))


def blocked(ada: Person, bob: Person) -> Due:
    call = ring(ada, bob)
    block = "INSERT INTO blocks (user_id, blocked_id) VALUES (:user, :other)"
    return Due(call["id"], call["chat_id"], bob, "declined", partial(run, block, user=bob.id, other=ada.id))


def strayed(ada: Person, bob: Person) -> Due:
    group, call_id = group_call(ada, bob)
    return Due(call_id, group, ada, "disconnected", partial(go, call_id))


def ended(group: int, person: Person) -> list[str]:
    return [notice["action"] for notice in notices(person, group)]


def is_over(due: Due) -> bool:
    return scalar("SELECT state FROM calls WHERE id = :id", id=due.call_id) == "ended"


def test_a_worker_that_is_killed_in_the_midst_of_a_sweep_leaves_the_rest_to_the_next_one(
    app: Flask, tmp_path: Path, environment: Environment, ask: Callable[[str], None]
) -> None:
    with running_api(tmp_path, **environment) as api, running_worker(tmp_path, **environment) as worker:
        for make in (overdue, abandoned, disconnected, blocked, strayed):
            people = make_people(app, 6, api.url)
            due = [make(one, other) for one, other in zip(people[::2], people[1::2], strict=True)]
            # The first is done with by then, the second not, and the third not begun: also where a sweep does it that
            # was killed before, and comes once more only now.
            with locked(_HOLD, chat=due[1].chat_id) as holder:
                for each in due:
                    each.become_due()
                ask(jobs.SWEEP_CALLS)
                eventually(lambda holder=holder: waiting_for(holder) == 1)
                kill_child(worker)
                assert [is_over(each) for each in due] == [True, False, False], make.__name__
            # Until PostgreSQL has noticed, the killed sweep keeps any other one from running.
            eventually(lambda: scalar("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == 0)
            ask(jobs.SWEEP_CALLS)
            eventually(lambda due=due: all(map(is_over, due)))
            for each in due:
                assert_one_end(each)
        connections().close()


def test_what_a_killed_worker_had_committed_and_told_nobody_those_in_the_call_learn(
    app: Flask, tmp_path: Path, environment: Environment, ask: Callable[[str], None], own_valkey: Valkey
) -> None:
    patient = environment | {"REDIS_TIMEOUT": "10s"}
    with running_api(tmp_path, **environment) as api, running_worker(tmp_path, **patient) as worker:
        one, other, ada, bob = make_people(app, 4, api.url)
        # What is told of this one is on its way already; what comes after it waits for its answer, and dies waiting.
        before = strayed(one, other)
        before.become_due()
        _, call_id = group_call(ada, bob)
        run(_GONE + " AND user_id = :user", id=call_id, user=bob.id)
        with ada.socket() as hers:
            assert hers.next("call", action="updated")["call"]["participant_ids"] == [ada.id, bob.id]
            with locked(_HOLD, chat=before.chat_id) as holder:
                ask(jobs.SWEEP_CALLS)
                eventually(lambda: waiting_for(holder) == 1)
                with hung_valkey(own_valkey):
                    holder.rollback()
                    eventually(lambda: scalar(_LIVE, id=call_id) == 1)
                    kill_child(worker)
            hers.next("hello")
            assert [event["event"] for event in hers.events].count("call") == 1
            assert hers.next("call", action="updated")["call"]["participant_ids"] == [ada.id]
        connections().close()


def assert_one_end(due: Due) -> None:
    """It ended once, and whoever was in it is free."""
    call = due.person.get(f"/calls/{due.call_id}")
    assert call["end_reason"] == due.reason
    assert scalar(_LIVE, id=due.call_id) == 0
    if call["callee_id"] is None:
        assert ended(due.chat_id, due.person) == ["call_started", "call_ended"]
        return
    assert notices_of(due.call_id) == 1
    assert [each["id"] for each in due.person.get("/calls/history")["items"]] == [due.call_id]
    assert refused(due.person, f"/calls/{due.call_id}/answer") == "call_ended"


def test_a_worker_that_is_killed_once_livekit_was_told_leaves_the_rest_to_the_next_one(
    app: Flask, tmp_path: Path, environment: Environment, ask: Callable[[str], None], rooms: Rooms
) -> None:
    with running_api(tmp_path, **environment) as api:
        calls = [group_call(*make_people(app, 2, api.url)) for _ in range(2)]
        for _, call_id in calls:
            members = scalar("SELECT array_agg(user_id) FROM call_participants WHERE call_id = :id", id=call_id)
            assert isinstance(members, list)
            rooms.people |= {(f"call-{call_id}", str(member)) for member in members}
            run(_GONE, id=call_id)
        with running_worker(tmp_path, **environment) as worker:
            rooms.before_answer = partial(kill_child, worker)
            ask(jobs.SWEEP_CALLS)
            eventually(lambda: len(rooms.people) == 3 and rooms.before_answer is None)
            due = "UPDATE call_participants SET exit_due = now() WHERE call_id = ANY (:ids) AND exit_due IS NOT NULL"
            eventually(lambda: scalar("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == 0)
            run(due, ids=[call_id for _, call_id in calls])
            ask(jobs.SWEEP_CALLS)
            ask(jobs.CLEAR_ROOMS)
            eventually(lambda: not rooms.people)
        connections().close()
