"""Unread counts while people send, read, delete, come and go, and while jobs are doubled, shuffled and lost.

Whoever reads a count at any moment reads the exact one; once all jobs and sweeps have run, the stored one is exact too.
"""

from __future__ import annotations

import math
import random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import text

from app.chats import service as chats
from app.chats.unread import UNREAD
from app.errors import AppError, Unavailable
from app.infra.db import UnitOfWork, reading, unit_of_work
from app.messages import removals, service, statuses, unread, unread_jobs, unread_queries
from config import settings
from tests import factories
from tests.processes import eventually
from tests.waiting import waiting_for
from tests.workers.counting import recount

# One statement, so that both sides are of one moment.
_WRONG_TO_READERS = text(f"""
    SELECT * FROM (
      SELECT s.chat_id, s.user_id, {UNREAD} AS shown, (
        SELECT count(*) FROM messages x
        WHERE x.chat_id = s.chat_id AND x.seq > s.last_read_seq AND x.sender_id IS DISTINCT FROM s.user_id
          AND x.message_type <> 'service' AND x.deleted_at IS NULL
          AND NOT EXISTS (SELECT FROM message_hides h WHERE h.user_id = s.user_id AND h.message_id = x.id)) AS counted
      FROM chats c
      JOIN chat_members m ON m.chat_id = c.id AND m.left_at IS NULL
      JOIN user_chat_states s ON s.chat_id = m.chat_id AND s.user_id = m.user_id
      WHERE c.id = ANY (:chats)) both_counts
    WHERE shown <> counted""")

_STORED_WRONG = text("""
    SELECT s.chat_id, s.user_id, s.unread_count, s.counted_seq, c.last_seq
    FROM chats c
    JOIN chat_members m ON m.chat_id = c.id AND m.left_at IS NULL
    JOIN user_chat_states s ON s.chat_id = m.chat_id AND s.user_id = m.user_id
    WHERE c.id = ANY (:chats) AND (s.counted_seq <> c.last_seq OR s.unread_count <> (
      SELECT count(*) FROM messages x
      WHERE x.chat_id = s.chat_id AND x.seq > s.last_read_seq AND x.sender_id IS DISTINCT FROM s.user_id
        AND x.message_type <> 'service' AND x.deleted_at IS NULL
        AND NOT EXISTS (SELECT FROM message_hides h WHERE h.user_id = s.user_id AND h.message_id = x.id)))""")

ROUNDS, PEOPLE, ACTORS = 60, 12, 6


def messages_of(chat_id: int) -> list[int]:
    found = factories.scalar("SELECT array_agg(id) FROM messages WHERE chat_id = :c", c=chat_id)
    return found if isinstance(found, list) else []


def anybody(chance: random.Random, chat_id: int) -> int:
    people = factories.scalar("SELECT array_agg(user_id) FROM chat_members WHERE chat_id = :c", c=chat_id)
    assert isinstance(people, list)
    return int(chance.choice(people))


class Crowd:
    """What people and workers do in the chats, each once and by chance."""

    def __init__(self, chat_ids: list[int], owner_id: int) -> None:
        self.chat_ids = chat_ids
        self.owner_id = owner_id

    def send(self, chance: random.Random, chat_id: int) -> None:
        factories.send_messages(chat_id, [anybody(chance, chat_id)] * chance.randint(1, 3))

    def read(self, chance: random.Random, chat_id: int) -> None:
        with unit_of_work() as unit:
            message_id = chance.choice([None, *messages_of(chat_id)[-8:]])
            chats.mark_read(unit, anybody(chance, chat_id), chat_id, message_id)

    def delete(self, chance: random.Random, chat_id: int) -> None:
        user_id = anybody(chance, chat_id)
        for_everyone = chance.random() < 0.5
        with unit_of_work() as unit:
            message_id = chance.choice(messages_of(chat_id)[-12:])
            service.delete_message(unit, self.owner_id if for_everyone else user_id, message_id, for_everyone)

    def clear(self, chance: random.Random, chat_id: int) -> None:
        if chance.random() < 0.2:
            with unit_of_work() as unit:
                chats.clear_history(unit, anybody(chance, chat_id), chat_id, for_everyone=False)

    def leave(self, chance: random.Random, chat_id: int) -> None:
        with unit_of_work() as unit:
            chats.leave(unit, anybody(chance, chat_id), chat_id)

    def come(self, chance: random.Random, chat_id: int) -> None:
        with unit_of_work() as unit:
            chats.add_members(unit, self.owner_id, chat_id, [anybody(chance, chat_id), anybody(chance, chat_id)])

    def count(self, _: random.Random, chat_id: int) -> None:
        unread.fan_out_all([chat_id])

    def count_all(self, chance: random.Random, _: int) -> None:
        unread.fan_out_all(chance.sample(self.chat_ids, len(self.chat_ids)))

    def work_off(self, _: random.Random, chat_id: int) -> None:
        removals.work_off(chat_id)

    def note_statuses(self, _: random.Random, chat_id: int) -> None:
        statuses.update_all([chat_id])

    @property
    def actions(self) -> list[Callable[[random.Random, int], None]]:
        """By how often they are done; most jobs are lost."""
        often = [self.send, self.read, self.delete] * 3
        return [
            *often,
            self.come,
            self.leave,
            self.clear,
            self.count,
            self.count_all,
            self.work_off,
            self.note_statuses,
        ]


@pytest.fixture(params=["small", "large"])
def crowd(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Crowd:
    """Three chats, which the fan-out takes for small or for large ones, in batches of three members."""
    monkeypatch.setattr(settings(), "fanout_batch", 3 if request.param == "large" else 1000)
    monkeypatch.setattr(unread, "_LARGEST_ROUND", 5)
    people = factories.make_users(PEOPLE)
    chat_ids = [factories.make_chat(people) for _ in range(3)]
    for chat_id in chat_ids:
        factories.run(
            "UPDATE chat_members SET role = 'owner' WHERE chat_id = :c AND user_id = :u", c=chat_id, u=people[0]
        )
        factories.send_messages(chat_id, [people[0]])
    return Crowd(chat_ids, people[0])


def test_every_count_is_exact_to_readers_at_all_times_and_stored_exactly_in_the_end(crowd: Crowd) -> None:
    seed = random.getrandbits(32)
    stop = threading.Event()

    def act(number: int) -> int:
        chance = random.Random(seed + number)
        done = 0
        for _ in range(ROUNDS):
            try:
                chance.choice(crowd.actions)(chance, chance.choice(crowd.chat_ids))
                done += 1
            except Unavailable:
                raise
            except AppError:
                continue  # Not a member, already one, the owner: refusals are part of life.
        return done

    def watch() -> list[object]:
        wrong: list[object] = []
        while not stop.is_set():
            with reading() as unit:
                wrong += unit.execute(_WRONG_TO_READERS, {"chats": crowd.chat_ids})
            wrong += recount(*crowd.chat_ids)
        return wrong

    with ThreadPoolExecutor(ACTORS + 1) as threads:
        watching = threads.submit(watch)
        try:
            assert sum(threads.map(act, range(ACTORS))) > ROUNDS * ACTORS / 2
        finally:
            stop.set()
        assert watching.result() == [], f"seed {seed}"
    unread_jobs.marked.sweep(crowd.chat_ids, math.inf)
    with reading() as unit:
        wrong = [*unit.execute(_STORED_WRONG, {"chats": crowd.chat_ids})]
    assert wrong == [], f"seed {seed}"
    assert recount(*crowd.chat_ids) == []
    waiting = "SELECT count(*) FROM unread_removals WHERE chat_id = ANY (:c)"
    assert factories.scalar(waiting, c=crowd.chat_ids) == 0


def waits(action: Callable[[], object], unit: UnitOfWork) -> None:
    """Does something that must wait for the end of a unit of work, and ends that."""
    with ThreadPoolExecutor(1) as threads:
        done = threads.submit(action)
        try:
            eventually(lambda: waiting_for(unit.connection) == 1)
        finally:
            unit.connection.commit()
        done.result(20)


def delete(user_id: int, message_id: int, for_everyone: bool) -> None:
    with unit_of_work() as unit:
        service.delete_message(unit, user_id, message_id, for_everyone)


def test_reading_waits_for_a_deletion_and_does_not_subtract_what_it_took_out() -> None:
    ada, bob = factories.make_users(2)
    chat_id = factories.make_chat([ada, bob])
    first, second, *_ = factories.send_messages(chat_id, [ada] * 4)
    unread.fan_out_all([chat_id])

    def read() -> None:
        with unit_of_work() as unit:
            chats.mark_read(unit, bob, chat_id, second)

    with unit_of_work() as deleting:
        service.delete_message(deleting, ada, first, for_everyone=True)
        waits(read, deleting)
    assert factories.member_states(chat_id)[bob].unread_count == 2
    assert recount(chat_id) == []


@pytest.mark.parametrize("for_everyone", [True, False])
def test_a_deletion_waits_for_a_fan_out_and_takes_out_what_it_counted(for_everyone: bool) -> None:
    ada, bob = factories.make_users(2)
    chat_id = factories.make_chat([ada, bob])
    first, _ = factories.send_messages(chat_id, [ada] * 2)
    with unit_of_work() as counting:
        states = unread_queries.lock_chats(counting, {chat_id: 2})
        unread_queries.count(counting, states, {chat_id: 2})
        waits(lambda: delete(ada if for_everyone else bob, first, for_everyone), counting)
    assert factories.member_states(chat_id)[bob].unread_count == 1
    assert recount(chat_id) == []


def test_a_fan_out_waits_for_a_deletion_and_does_not_count_it() -> None:
    ada, bob = factories.make_users(2)
    chat_id = factories.make_chat([ada, bob])
    first, _ = factories.send_messages(chat_id, [ada] * 2)
    with unit_of_work() as deleting:
        service.delete_message(deleting, ada, first, for_everyone=True)
        waits(lambda: unread.fan_out_all([chat_id]), deleting)
    assert factories.member_states(chat_id)[bob].unread_count == 1
    assert recount(chat_id) == []
