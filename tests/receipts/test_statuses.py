"""Statuses and receipts equal what the marks say, whatever is doubled, shuffled or at the same time."""

from __future__ import annotations

import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from app.chats import service as chats_service
from app.infra.db import unit_of_work
from app.messages import status_queries, statuses
from app.messages.status_queries import Change
from tests import factories
from tests.receipts import marks
from tests.receipts.marks import assert_as_the_marks_say, deliver, queued, read, revisions, settled, update

pytestmark = pytest.mark.usefixtures("no_jobs")


def test_a_message_is_sent_then_delivered_then_read() -> None:
    ada, bob = factories.make_users(2)
    chat_id = factories.make_chat([ada, bob], "direct")
    factories.send_messages(chat_id, [ada, ada, bob, ada])
    deliver(bob, chat_id, 4)
    update(chat_id)
    assert marks.statuses(chat_id) == ["delivered", "delivered", "sent", "delivered"]
    read(bob, chat_id, 2)
    update(chat_id)
    assert marks.statuses(chat_id) == ["read", "read", "sent", "delivered"]
    read(ada, chat_id, 3)
    update(chat_id)
    assert marks.statuses(chat_id) == ["read", "read", "read", "delivered"]
    assert settled(chat_id) == (4, 3)


def test_reading_ones_own_messages_changes_nothing() -> None:
    ada, bob = factories.make_users(2)
    chat_id = factories.make_chat([ada, bob])
    factories.send_messages(chat_id, [ada, bob, ada])
    read(ada, chat_id, 3)
    update(chat_id)
    assert marks.statuses(chat_id) == ["sent", "read", "sent"]
    assert settled(chat_id) == (0, 0)
    read(bob, chat_id, 1)
    update(chat_id)
    assert marks.statuses(chat_id) == ["read", "read", "sent"]
    assert settled(chat_id) == (2, 2)


def test_in_a_group_one_reader_is_enough() -> None:
    people = factories.make_users(5)
    chat_id = factories.make_chat(people)
    factories.send_messages(chat_id, people)
    read(people[3], chat_id, 5)
    update(chat_id)
    assert marks.statuses(chat_id) == ["read", "read", "read", "sent", "read"]
    assert settled(chat_id) == (3, 3)


def test_deleted_messages_stay_as_they_are_and_nothing_waits_for_them() -> None:
    ada, bob = factories.make_users(2)
    chat_id = factories.make_chat([ada, bob])
    factories.send_messages(chat_id, [ada] * 3)
    factories.run("UPDATE messages SET deleted_at = now() WHERE chat_id = :c AND seq = 2", c=chat_id)
    read(bob, chat_id, 3)
    update(chat_id)
    assert marks.statuses(chat_id) == ["read", "sent", "read"]
    assert settled(chat_id) == (3, 3)
    assert [seq for seq, _ in marks.receipts(chat_id)] == [1, 3]


def test_service_messages_have_no_receipts() -> None:
    ada, bob = factories.make_users(2)
    chat_id = factories.make_chat([ada, bob])
    factories.send_messages(chat_id, [ada], "service")
    factories.send_messages(chat_id, [None])
    read(bob, chat_id, 2)
    update(chat_id)
    assert marks.receipts(chat_id) == [(2, bob)]


def test_a_receipt_has_the_time_of_its_own_move_though_both_wait_for_one_job() -> None:
    ada, bob = factories.make_users(2)
    chat_id = factories.make_chat([ada, bob], "direct")
    factories.send_messages(chat_id, [ada, ada])
    read(bob, chat_id, 1)
    read(bob, chat_id, 2)
    moved = factories.scalar("SELECT array_agg(moved_at ORDER BY id) FROM receipt_queue WHERE chat_id = :c", c=chat_id)
    update(chat_id)
    kept = factories.scalar(
        "SELECT array_agg(r.read_at ORDER BY x.seq) FROM messages x JOIN message_read_receipts r ON r.message_id = x.id"
        " WHERE x.chat_id = :c",
        c=chat_id,
    )
    assert isinstance(kept, list)
    assert kept == moved
    assert kept[0] < kept[1]


def test_sync_sees_a_new_status_and_each_message_has_a_revision_of_its_own() -> None:
    ada, bob = factories.make_users(2)
    chat_id = factories.make_chat([ada, bob], "direct")
    factories.send_messages(chat_id, [ada] * 20)
    chat_before, messages_before = revisions(chat_id)
    read(bob, chat_id, 10)
    update(chat_id)
    chat_after, messages_after = revisions(chat_id)
    changed, unchanged = messages_after[:10], messages_after[10:]
    assert unchanged == messages_before[10:]
    assert len(set(changed)) == 10
    assert min(changed) > chat_before
    assert chat_after == max(changed)


def test_a_second_run_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    people = factories.make_users(4)
    chat_id = factories.make_chat(people)
    factories.send_messages(chat_id, [people[0]] * 5)
    for user in people:
        deliver(user, chat_id, 5)
        read(user, chat_id, 3)
    with unit_of_work() as unit:
        batches = list(statuses._batches(status_queries.take(unit, [chat_id], 100)))
    with monkeypatch.context() as patch:
        # A worker that is killed in its last transaction leaves all of it in the queue.
        patch.setattr(status_queries, "done", lambda *_: None)
        for batch in batches:
            statuses._apply(batch)
    before = revisions(chat_id), marks.receipts(chat_id)
    # Another worker had looked at the queue before, and goes on with what it knew then.
    for batch in batches:
        statuses._apply(batch)
    assert (revisions(chat_id), marks.receipts(chat_id)) == before
    assert_as_the_marks_say(chat_id)


def test_long_moves_are_done_in_short_transactions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statuses, "_LARGEST_BATCH", 7)
    monkeypatch.setattr(statuses, "_MOST_MOVES", 3)
    people = factories.make_users(4)
    chats = [factories.make_chat(people), factories.make_chat(people[:2], "direct"), factories.make_chat(people[1:])]
    for chat_id in chats:
        factories.send_messages(chat_id, [random.choice(people) for _ in range(40)])
    for user in people[:2]:
        read(user, chats[0], 40)
        read(user, chats[1], 33)
    for seq in range(1, 30, 2):
        deliver(people[2], chats[2], seq)
        read(people[3], chats[2], seq)
    sizes = []

    def watched(change: Callable[..., list[Change]]) -> Callable[..., list[Change]]:
        def run(unit: object, found: dict[int, bool]) -> list[Change]:
            sizes.append(len(found))
            return change(unit, found)

        return run

    monkeypatch.setattr(status_queries, "change", watched(status_queries.change))
    update(*chats)
    assert_as_the_marks_say(*chats)
    assert len(sizes) > 10
    assert max(sizes) <= 7


def test_work_that_takes_too_long_stays_in_the_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statuses, "_LARGEST_BATCH", 5)
    ada, bob = factories.make_users(2)
    chat_id = factories.make_chat([ada, bob], "direct")
    factories.send_messages(chat_id, [ada] * 20)
    read(bob, chat_id, 20)
    assert not statuses.update_all([chat_id], 0)
    assert marks.statuses(chat_id) == ["read"] * 5 + ["sent"] * 15
    assert queued(chat_id) == 1
    update(chat_id)
    assert_as_the_marks_say(chat_id)


def test_runs_that_are_cut_short_go_on_where_the_one_before_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statuses, "_LARGEST_BATCH", 5)
    people = factories.make_users(3)
    chat_id = factories.make_chat(people)
    factories.send_messages(chat_id, [people[0]] * 20)
    read(people[1], chat_id, 20)
    kept = []
    for _ in range(4):
        assert queued(chat_id) == 1
        statuses.update_all([chat_id], 0)
        kept.append(len(marks.receipts(chat_id)))
    assert kept == [5, 10, 15, 20]
    assert_as_the_marks_say(chat_id)


def test_a_long_move_lets_the_moves_of_other_members_and_chats_have_their_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statuses, "_LARGEST_BATCH", 5)
    monkeypatch.setattr(statuses, "_LARGEST_TURN", 10)
    people = factories.make_users(3)
    chats = [factories.make_chat(people), factories.make_chat(people)]
    factories.send_messages(chats[0], [people[0]] * 60)
    factories.send_messages(chats[1], [people[0]])
    read(people[1], chats[0], 60)
    read(people[2], chats[0], 1)
    read(people[1], chats[1], 1)
    done: list[tuple[int, int]] = []
    apply = statuses._apply

    def watched(batch: statuses.Batch) -> None:
        apply(batch)
        done.extend((move.chat_id, move.user_id) for move in batch.finished)

    monkeypatch.setattr(statuses, "_apply", watched)
    update(*chats)
    assert done == [(chats[0], people[2]), (chats[1], people[1]), (chats[0], people[1])]
    assert_as_the_marks_say(*chats)


def test_statuses_equal_the_marks_after_random_moves_and_jobs_at_the_same_time() -> None:
    people = factories.make_users(6)
    chats = [factories.make_chat(people), factories.make_chat(people[:3]), factories.make_chat(people[:2], "direct")]
    members = dict(zip(chats, (people, people[:3], people[:2]), strict=True))
    for chat_id in chats:
        factories.send_messages(chat_id, [people[0]])

    def move(chance: random.Random, how: Callable[[int, int, int], None]) -> None:
        chat_id = chance.choice(chats)
        last = int(str(factories.scalar("SELECT last_seq FROM chats WHERE id = :c", c=chat_id)))
        how(chance.choice(members[chat_id]), chat_id, chance.randint(1, last))

    def send(chance: random.Random) -> None:
        chat_id = chance.choice(chats)
        factories.send_messages(chat_id, chance.choices(members[chat_id], k=chance.randint(1, 4)))

    actions: list[Callable[[random.Random], object]] = [
        send,
        lambda chance: move(chance, deliver),
        lambda chance: move(chance, read),
        lambda chance: move(chance, deliver),
        lambda chance: statuses.update_all(chance.sample(chats, 2)),
    ]

    def busy(seed: int) -> None:
        chance = random.Random(seed)
        for _ in range(50):
            chance.choice(actions)(chance)

    with ThreadPoolExecutor(6) as threads:
        for result in [threads.submit(busy, random.getrandbits(32)) for _ in range(6)]:
            result.result()
    update(*chats)
    assert_as_the_marks_say(*chats)
    for chat_id in chats:
        delivered_seq, read_seq = settled(chat_id)
        found = marks.statuses(chat_id)
        assert set(found[:read_seq]) <= {"read"}
        assert "sent" not in found[:delivered_seq]
        assert found[read_seq : read_seq + 1] != ["read"], "as far as can be"
        chat, messages = revisions(chat_id)
        assert chat >= max(messages)


def test_a_move_that_has_not_committed_is_not_lost_by_a_job_that_runs_meanwhile() -> None:
    ada, bob, eve = factories.make_users(3)
    chat_id = factories.make_chat([ada, bob, eve])
    factories.send_messages(chat_id, [ada])
    up_to = marks.message_id(chat_id, 1)
    with unit_of_work() as slow:
        chats_service.mark_read(slow, bob, chat_id, up_to)
        read(eve, chat_id, 1)
        update(chat_id)
        assert marks.receipts(chat_id) == [(1, eve)]
    update(chat_id)
    assert_as_the_marks_say(chat_id)


def test_a_chat_that_is_gone_leaves_the_queue() -> None:
    ada, bob = factories.make_users(2)
    chat_id = factories.make_chat([ada, bob])
    factories.send_messages(chat_id, [ada])
    read(bob, chat_id, 1)
    factories.run("DELETE FROM chats WHERE id = :c", c=chat_id)
    update(chat_id)
    assert queued(chat_id) == 0
    assert marks.statuses(chat_id) == ["sent"]
