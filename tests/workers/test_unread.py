"""The unread fan-out: counts equal a recount, whatever is doubled, shuffled or at the same time."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import orjson
import pytest

from app.chats.queries import reads as chat_queries
from app.infra import bus, presence
from app.infra.db import unit_of_work
from app.infra.redis import client
from app.infra.redis_writer import writer
from app.messages import removals, unread
from config import settings
from tests import factories
from tests.counting import counted_statements
from tests.workers.counting import recount


def read_up_to(user_id: int, chat_id: int, seq: int) -> None:
    message_id = factories.scalar("SELECT id FROM messages WHERE chat_id = :c AND seq = :s", c=chat_id, s=seq)
    assert isinstance(message_id, int)
    with unit_of_work() as unit:
        target = chat_queries.read_target(unit, user_id, chat_id, message_id)
        assert target is not None
        chat_queries.mark_read(unit, user_id, chat_id, target)


def delete(chat_id: int, seq: int) -> None:
    """Deletes a message as the service must: under the chat's lock the tombstone first, then the counts."""
    with unit_of_work() as unit:
        (member_count,) = unit.connection.exec_driver_sql(
            "SELECT member_count FROM chats WHERE id = %s FOR UPDATE", (chat_id,)
        ).one()
        deleted = unit.connection.exec_driver_sql(
            "UPDATE messages SET deleted_at = now() WHERE chat_id = %s AND seq = %s AND deleted_at IS NULL",
            (chat_id, seq),
        ).rowcount
        if deleted:
            removals.remove(unit, chat_id, member_count, seq)


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches of three members, so that a chat takes several."""
    monkeypatch.setattr(settings(), "fanout_batch", 3)


def test_others_messages_count_and_own_ones_do_not() -> None:
    alice, bob, carol = factories.make_users(3)
    chat_id = factories.make_chat([alice, bob, carol])
    factories.send_messages(chat_id, [alice, alice, bob])
    assert unread.fan_out_all([chat_id]) == 3
    counts = {user: state.unread_count for user, state in factories.member_states(chat_id).items()}
    assert counts == {alice: 1, bob: 2, carol: 3}
    assert factories.scalar("SELECT fanned_out_seq FROM chats WHERE id = :c", c=chat_id) == 3


def test_a_message_without_a_sender_counts_for_everybody() -> None:
    people = factories.make_users(2)
    chat_id = factories.make_chat(people)
    factories.send_messages(chat_id, [None])
    unread.fan_out_all([chat_id])
    assert [state.unread_count for state in factories.member_states(chat_id).values()] == [1, 1]


def test_service_and_deleted_messages_do_not_count() -> None:
    alice, bob = factories.make_users(2)
    chat_id = factories.make_chat([alice, bob])
    factories.send_messages(chat_id, [alice], "service")
    factories.send_messages(chat_id, [alice, alice])
    delete(chat_id, 2)
    unread.fan_out_all([chat_id])
    assert factories.member_states(chat_id)[bob] == (1, 3, 0)


def test_whoever_has_left_is_not_counted() -> None:
    alice, bob = factories.make_users(2)
    chat_id = factories.make_chat([alice, bob])
    factories.run("UPDATE chat_members SET left_at = now() WHERE chat_id = :c AND user_id = :u", c=chat_id, u=bob)
    factories.send_messages(chat_id, [alice])
    assert unread.fan_out_all([chat_id]) == 1
    assert factories.member_states(chat_id)[bob] == (0, 0, 0)


def test_a_second_run_changes_nothing() -> None:
    people = factories.make_users(3)
    chat_id = factories.make_chat(people)
    factories.send_messages(chat_id, people)
    unread.fan_out_all([chat_id])
    before = factories.member_states(chat_id)
    factories.run("UPDATE chats SET fanned_out_seq = 0 WHERE id = :c", c=chat_id)
    assert unread.fan_out_all([chat_id]) == 0
    assert factories.member_states(chat_id) == before


def test_what_was_read_before_it_was_counted_is_not_unread() -> None:
    alice, bob = factories.make_users(2)
    chat_id = factories.make_chat([alice, bob])
    factories.send_messages(chat_id, [alice] * 5)
    read_up_to(bob, chat_id, 3)
    unread.fan_out_all([chat_id])
    assert factories.member_states(chat_id)[bob] == (2, 5, 3)


def test_a_deleted_message_leaves_only_the_counts_that_held_it() -> None:
    alice, bob, carol = factories.make_users(3)
    chat_id = factories.make_chat([alice, bob, carol])
    factories.send_messages(chat_id, [alice, alice])
    unread.fan_out_all([chat_id])
    read_up_to(carol, chat_id, 1)
    delete(chat_id, 1)
    counts = {user: state.unread_count for user, state in factories.member_states(chat_id).items()}
    assert counts == {alice: 0, bob: 1, carol: 1}


@pytest.mark.usefixtures("small_batches")
def test_a_large_chat_is_counted_in_batches_and_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unread, "_LARGEST_ROUND", 4)
    people = factories.make_users(8)
    chat_id = factories.make_chat(people)
    factories.send_messages(chat_id, [random.choice(people) for _ in range(10)])
    read_up_to(people[0], chat_id, 6)
    assert unread.fan_out_all([chat_id]) == 8
    assert recount(chat_id) == []
    assert {state.counted_seq for state in factories.member_states(chat_id).values()} == {10}


def test_many_small_chats_and_a_large_one_are_counted_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings(), "fanout_batch", 5)
    people = factories.make_users(7)
    chats = [factories.make_chat(people[:2], "direct") for _ in range(6)] + [factories.make_chat(people)]
    for chat_id in chats:
        factories.send_messages(chat_id, [people[0], people[1], people[0]])
    assert unread.fan_out_all(chats) == 6 * 2 + 7
    assert recount(*chats) == []


@pytest.mark.usefixtures("small_batches")
def test_counts_equal_a_recount_after_shuffled_doubled_runs_beside_sends_reads_and_deletions() -> None:
    people = factories.make_users(8)
    chats = [factories.make_chat(people), factories.make_chat(people[:3]), factories.make_chat(people[:2], "direct")]
    for chat_id in chats:
        factories.send_messages(chat_id, [people[0]])

    def last_seq(chat_id: int) -> int:
        return int(str(factories.scalar("SELECT last_seq FROM chats WHERE id = :c", c=chat_id)))

    def send(chance: random.Random, chat_id: int) -> None:
        factories.send_messages(chat_id, [chance.choice(people[:2])] * chance.randint(1, 3))

    def read(chance: random.Random, chat_id: int) -> None:
        read_up_to(chance.choice(people[:2]), chat_id, chance.randint(1, last_seq(chat_id)))

    def remove(chance: random.Random, chat_id: int) -> None:
        delete(chat_id, chance.randint(1, last_seq(chat_id)))

    def count(_: random.Random, chat_id: int) -> None:
        unread.fan_out_all([chat_id])

    def count_all(chance: random.Random, _: int) -> None:
        unread.fan_out_all(chance.sample(chats, len(chats)))

    actions: list[Callable[[random.Random, int], None]] = [send, send, read, read, remove, count, count, count_all]

    def busy(seed: int) -> None:
        chance = random.Random(seed)
        for _ in range(40):
            chance.choice(actions)(chance, chance.choice(chats))

    with ThreadPoolExecutor(6) as threads:
        for result in [threads.submit(busy, random.getrandbits(32)) for _ in range(6)]:
            result.result()
    unread.fan_out_all(chats)
    assert recount(*chats) == []
    for chat_id in chats:
        assert {state.counted_seq for state in factories.member_states(chat_id).values()} == {last_seq(chat_id)}


@contextmanager
def listening(*channels: str) -> Iterator[Callable[[], list[tuple[str, bytes]]]]:
    """Gives what was published in the channels meanwhile."""
    with client().pubsub(ignore_subscribe_messages=False) as subscription:
        subscription.subscribe(*channels)
        for _ in channels:
            assert subscription.get_message(timeout=5) is not None

        def heard() -> list[tuple[str, bytes]]:
            assert writer().flush(5)
            client().publish(channels[0], b"end\n")
            found = []
            while (message := subscription.get_message(timeout=5)) is not None and message["data"] != b"end\n":
                found.append((message["channel"].decode(), message["data"]))
            return found

        yield heard


def test_members_who_are_online_are_told_their_count_and_hubs_how_far_the_chat_is() -> None:
    alice, bob, carol = factories.make_users(3)
    chat_id = factories.make_chat([alice, bob, carol])
    presence.renew(bob, "a connection", 60, "online")
    channels = [bus.chat_messages(chat_id), *(bus.user_notifications(user) for user in (alice, bob, carol))]
    factories.send_messages(chat_id, [alice, alice])
    with listening(*channels) as heard:
        unread.fan_out_all([chat_id])
        told = heard()
    counts = [(channel, *map(orjson.loads, raw.split(b"\n"))) for channel, raw in told if bus.parse(raw)[1]]
    assert [(channel, header, [count[:2] for count in body]) for channel, header, body in counts] == [
        (bus.chat_messages(chat_id), {"control": "unread"}, [[bob, 2]])
    ]
    orders = [(channel, bus.parse(raw)[0]) for channel, raw in told if not bus.parse(raw)[1]]
    assert orders == [(bus.chat_messages(chat_id), {"control": "seq", "seq": 2})]


def test_a_chat_takes_the_same_number_of_statements_however_many_messages_wait() -> None:
    people = factories.make_users(4)
    taken = []
    for waiting in (1, 50):
        chat_id = factories.make_chat(people)
        factories.send_messages(chat_id, [people[0]] * waiting)
        with counted_statements() as statements:
            unread.fan_out_all([chat_id])
        taken.append(len(statements))
    assert taken[0] == taken[1] == 5
