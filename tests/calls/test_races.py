"""What is done to one call at the same moment leaves one end, one message, one row for each, and events that agree."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from threading import Barrier
from typing import Any

import orjson
import pytest
from flask import Flask

from app.calls import service
from app.calls.schemas import NewCall
from app.calls.service.ending import end_overdue
from app.errors import AppError
from app.infra import bus
from app.infra.db import unit_of_work
from app.infra.redis import client
from app.infra.redis_writer import writer
from app.web.authentication import Caller
from tests.calls.scenes import People, another_device, ring
from tests.chats.membership import pages
from tests.factories import run, scalar
from tests.people import Person

# In two parts, which two test processes may take: 500 in all.
_ROUNDS = 250
_AT_ONCE = 8

Act = Callable[[], Any]


def caller(person: Person) -> Caller:
    return Caller(person.id, person.session_id, float("inf"))


def answer(person: Person, call_id: int) -> Any:
    return service.answer_call(caller(person), call_id)


def end(person: Person, call_id: int, reason: str) -> Any:
    with unit_of_work() as unit:
        return service.end_call(unit, caller(person), call_id, reason)


def start(person: Person, other: Person) -> Any:
    return service.start_call(caller(person), NewCall(user_id=other.id, call_type="audio"))


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(_AT_ONCE) as threads:
        yield threads


def at_once(pool: ThreadPoolExecutor, acts: Sequence[Act]) -> list[Any]:
    """What each answers, or the code of its refusal; all begin at the same moment."""
    barrier = Barrier(len(acts))

    def run_one(act: Act) -> Any:
        barrier.wait()
        try:
            return act()
        except AppError as error:
            return error.code

    return [future.result() for future in [pool.submit(run_one, act) for act in acts]]


@contextmanager
def told(*people: Person) -> Iterator[dict[tuple[int, int], list[dict[str, Any]]]]:
    """Fills in what is told to people, by person and call, once the block ends."""
    heard: dict[tuple[int, int], list[dict[str, Any]]] = {}
    channels = {bus.user_notifications(person.id): person.id for person in people}
    with client().pubsub(ignore_subscribe_messages=True) as subscription:
        subscription.subscribe("end", *channels)
        subscription.get_message(timeout=5)
        yield heard
        assert writer().flush(10)
        client().publish("end", b"end")
        while (message := subscription.get_message(timeout=5)) is None or message["data"] != b"end":
            if message is None:
                continue
            _, frame = bus.parse(message["data"])
            if frame and (event := orjson.loads(frame))["event"] == "call":
                user_id = channels[message["channel"].decode()]
                heard.setdefault((user_id, event["data"]["call"]["id"]), []).append(event["data"])


@pytest.mark.parametrize("seed", [7, 8])
def test_of_eight_who_do_something_to_a_call_at_once_one_wins_and_all_agree(
    app: Flask, people: People, pool: ThreadPoolExecutor, seed: int
) -> None:
    ada, bob = people(2)
    tablet = another_device(app, bob)
    chance = random.Random(seed)
    seen: Counter[str] = Counter()
    with told(ada, bob) as heard:
        rounds = []
        for _ in range(_ROUNDS):
            call_id = start(ada, bob)["id"]
            acts: list[Act] = [
                *(partial(answer, device, call_id) for device in (bob, tablet)),
                *(partial(end, device, call_id, "declined") for device in (bob, tablet)),
                *[partial(end, ada, call_id, "cancelled")] * 2,
                *[partial(end_overdue, call_id)] * 2,
            ]
            chance.shuffle(acts)
            run(
                "UPDATE calls SET deadline = clock_timestamp() + make_interval(secs => :wait) WHERE id = :id",
                wait=chance.choice((0.0, 0.005, 0.01, 1.0)),
                id=call_id,
            )
            answers = at_once(pool, acts)
            end(ada, call_id, "hangup")
            rounds.append((call_id, answers))
    calls = {call["id"]: call for page in pages(ada, "/calls/history", limit=100) for call in page}
    counts = notices_by_call(ada.direct_chat(bob))
    for call_id, answers in rounds:
        call = calls[call_id]
        seen[call["end_reason"]] += 1
        _assert_agreed(call, answers)
        for person in (ada, bob):
            _assert_told(call, heard[person.id, call_id])
        assert counts[call_id] == 1
    # One row of history for each, and nothing that is not over.
    assert sorted(calls) == sorted(call_id for call_id, _ in rounds)
    listed = scalar("SELECT count(*) FROM call_participants WHERE user_id = :id AND left_at IS NOT NULL", id=bob.id)
    assert listed == _ROUNDS
    # Otherwise the rounds would not show what they are for.
    assert seen.keys() == {"hangup", "declined", "cancelled", "missed"}


def notices_by_call(chat_id: int) -> Counter[int]:
    """How many service messages of a chat tell of the end of each call."""
    said = "SELECT array_agg((service ->> 'call_id')::bigint) FROM messages WHERE chat_id = :id AND service IS NOT NULL"
    found = scalar(said, id=chat_id)
    assert isinstance(found, list)
    return Counter(found)


def _assert_agreed(call: dict[str, Any], answers: Sequence[Any]) -> None:
    """Whoever was told of an end was told of this one; whoever won an answer had the call."""
    ends = {answer["end_reason"] for answer in answers if isinstance(answer, dict) and answer["state"] == "ended"}
    assert ends <= {call["end_reason"]}
    answered = [answer for answer in answers if isinstance(answer, dict) and answer["state"] == "active"]
    assert len({answer["answered_at"] for answer in answered}) == (call["answered_at"] is not None)
    assert {answer for answer in answers if isinstance(answer, str)} <= {"call_ended", "answered_elsewhere"}
    assert sum(answer is True for answer in answers) == (call["end_reason"] == "missed")


def _assert_told(call: dict[str, Any], events: Sequence[dict[str, Any]]) -> None:
    told_actions = Counter(event["action"] for event in events)
    assert told_actions["ringing"] == told_actions["ended"] == 1
    assert told_actions["answered"] == (call["answered_at"] is not None)
    (ended,) = [event["call"] for event in events if event["action"] == "ended"]
    assert (ended["end_reason"], ended["ended_at"]) == (call["end_reason"], call["ended_at"])


def test_of_two_who_call_each_other_at_once_one_rings_and_the_other_is_busy(
    people: People, pool: ThreadPoolExecutor
) -> None:
    ada, bob = people(2)
    for _ in range(30):
        answers = at_once(pool, [partial(start, ada, bob), partial(start, bob, ada)] * 2)
        (call,) = [answer for answer in answers if isinstance(answer, dict)]
        assert answers.count("busy") == 3
        end(ada, call["id"], "hangup")
    # Nobody was rung in vain: who called second was in the first one's call.
    assert len(ada.get("/calls/history", limit=100)["items"]) == 30


def test_in_a_ring_of_people_who_call_each_other_nobody_is_in_two_calls(
    people: People, pool: ThreadPoolExecutor
) -> None:
    ring_of = people(6)
    for _ in range(20):
        acts = [partial(start, one, other) for one, other in zip(ring_of, [*ring_of[1:], ring_of[0]], strict=True)]
        answers = at_once(pool, acts)
        calls = [answer for answer in answers if isinstance(answer, dict)]
        assert 1 <= len(calls) <= 3
        assert len(calls) + answers.count("busy") == 6
        rung = [person for call in calls for person in (call["caller_id"], call["callee_id"])]
        assert len(rung) == len(set(rung))
        for call in calls:
            end(next(person for person in ring_of if person.id == call["caller_id"]), call["id"], "hangup")


def test_of_eight_devices_that_answer_at_once_one_has_the_call(
    app: Flask, people: People, pool: ThreadPoolExecutor
) -> None:
    ada, bob = people(2)
    devices = [bob, *(another_device(app, bob) for _ in range(_AT_ONCE - 1))]
    for _ in range(10):
        call_id = ring(ada, bob)["id"]
        answers = at_once(pool, [partial(answer, device, call_id) for device in devices])
        assert answers.count("answered_elsewhere") == _AT_ONCE - 1
        end(ada, call_id, "hangup")
