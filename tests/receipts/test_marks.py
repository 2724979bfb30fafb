"""The marks of what has arrived and was read: forward only, by members only, and for little."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor

import pytest
from flask import Flask

from app.chats import service as chats
from app.errors import NotFound, SessionRevoked
from app.infra.db import unit_of_work
from app.messages import receipt_socket, unread
from app.messages.receipt_schemas import DeliveredFrame
from app.web.authentication import Caller
from app.web.socket import FrameContext
from tests import factories
from tests.counting import counted_statements
from tests.people import Person, make_people
from tests.receipts.marks import deliver, marks, message_id, queued, read

pytestmark = pytest.mark.usefixtures("no_jobs")


def send_frame(person: Person, chat_id: int, up_to: int) -> None:
    """The frame `delivered`, as the gateway hands it on."""
    caller = Caller(person.id, person.session_id, float("inf"))
    receipt_socket.delivered(FrameContext(caller, "a socket"), DeliveredFrame(chat_id=chat_id, message_id=up_to))


def test_what_has_arrived_moves_forward_and_never_back() -> None:
    ada, bob = factories.make_users(2)
    chat_id = factories.make_chat([ada, bob], "direct")
    factories.send_messages(chat_id, [ada] * 5)
    for seq, reached in ((2, 2), (1, 2), (2, 2), (5, 5), (3, 5)):
        deliver(bob, chat_id, seq)
        assert marks(bob, chat_id) == (reached, 0)
    assert marks(ada, chat_id) == (0, 0)


def test_reading_implies_that_it_has_arrived() -> None:
    ada, bob = factories.make_users(2)
    chat_id = factories.make_chat([ada, bob], "direct")
    factories.send_messages(chat_id, [ada] * 5)
    deliver(bob, chat_id, 4)
    read(bob, chat_id, 3)
    assert marks(bob, chat_id) == (4, 3)
    read(bob, chat_id, 5)
    assert marks(bob, chat_id) == (5, 5)
    assert queued(chat_id) == 3
    deliver(bob, chat_id, 5)
    assert queued(chat_id) == 3, "a mark that stays where it is gives nothing to do"


def test_marks_shuffled_doubled_and_at_the_same_time_end_at_the_furthest() -> None:
    people = factories.make_users(3)
    chat_id = factories.make_chat(people)
    factories.send_messages(chat_id, [random.choice(people) for _ in range(30)])
    seen: dict[int, list[tuple[int, int]]] = {user: [] for user in people}

    def busy(seed: int) -> None:
        chance = random.Random(seed)
        signs = [(user, move, seq) for user in people for move in (deliver, read) for seq in range(1, 28)] * 2
        chance.shuffle(signs)
        for user, move, seq in signs[:120]:
            move(user, chat_id, seq)
            seen[user].append(marks(user, chat_id))

    with ThreadPoolExecutor(4) as threads:
        for result in [threads.submit(busy, random.getrandbits(32)) for _ in range(4)]:
            result.result()
    for user in people:
        deliver(user, chat_id, 30)
        read(user, chat_id, 29)
        assert marks(user, chat_id) == (30, 29)
        assert all(read_seq <= delivered_seq for delivered_seq, read_seq in seen[user])


def test_a_mark_seen_by_one_reader_alone_never_goes_back() -> None:
    ada, bob = factories.make_users(2)
    chat_id = factories.make_chat([ada, bob], "direct")
    factories.send_messages(chat_id, [ada] * 40)
    order = [random.randint(1, 40) for _ in range(80)]
    seen = []

    def watch(seqs: list[int]) -> None:
        for seq in seqs:
            deliver(bob, chat_id, seq)

    with ThreadPoolExecutor(2) as threads:
        running = [threads.submit(watch, order[:40]), threads.submit(watch, order[40:])]
        while not all(each.done() for each in running):
            seen.append(marks(bob, chat_id)[0])
    for each in running:
        each.result()
    assert seen == sorted(seen)
    assert marks(bob, chat_id)[0] == max(order)


def test_unread_counts_do_not_change_by_what_has_arrived() -> None:
    ada, bob = factories.make_users(2)
    chat_id = factories.make_chat([ada, bob])
    factories.send_messages(chat_id, [ada] * 3)
    unread.fan_out_all([chat_id])
    before = factories.member_states(chat_id)
    revision = factories.scalar("SELECT sum(revision) FROM user_chat_states WHERE chat_id = :c", c=chat_id)
    deliver(bob, chat_id, 3)
    assert factories.member_states(chat_id) == before
    after = factories.scalar("SELECT sum(revision) FROM user_chat_states WHERE chat_id = :c", c=chat_id)
    assert after == revision, "nothing of one's own changed that other devices keep"


def test_channels_keep_no_marks_of_what_has_arrived() -> None:
    ada, bob = factories.make_users(2)
    chat_id = factories.make_chat([ada, bob], "channel")
    factories.send_messages(chat_id, [ada])
    deliver(bob, chat_id, 1)
    assert marks(bob, chat_id) == (0, 0)
    read(bob, chat_id, 1)
    assert marks(bob, chat_id) == (1, 1)
    assert queued(chat_id) == 0


def test_nobody_else_is_in_saved_messages_and_so_nothing_waits() -> None:
    (ada,) = factories.make_users(1)
    chat_id = factories.make_chat([ada], "direct")
    factories.send_messages(chat_id, [ada])
    read(ada, chat_id, 1)
    assert queued(chat_id) == 0


def test_strangers_former_members_and_messages_of_other_chats_are_not_found() -> None:
    ada, bob, eve = factories.make_users(3)
    chat_id, other = factories.make_chat([ada, bob]), factories.make_chat([ada, bob])
    factories.send_messages(chat_id, [ada])
    factories.send_messages(other, [ada])
    factories.run("UPDATE chat_members SET left_at = now() WHERE chat_id = :c AND user_id = :u", c=chat_id, u=bob)
    here, elsewhere = message_id(chat_id, 1), message_id(other, 1)
    attempts = [(eve, chat_id, here), (bob, chat_id, here), (ada, chat_id, elsewhere), (ada, chat_id, 1), (ada, -1, 1)]
    for user, chat, up_to in attempts:
        with pytest.raises(NotFound), unit_of_work() as unit:
            chats.mark_delivered(unit, user, chat, up_to)
    assert marks(bob, chat_id) == (0, 0)


def test_a_signed_out_session_delivers_nothing(app: Flask) -> None:
    ada, bob = make_people(app, 2)
    chat_id = factories.make_chat([ada.id, bob.id], "direct")
    factories.send_messages(chat_id, [ada.id])
    factories.run("UPDATE sessions SET revoked_at = now() WHERE user_id = :u", u=bob.id)
    with pytest.raises(SessionRevoked):
        send_frame(bob, chat_id, message_id(chat_id, 1))
    assert marks(bob.id, chat_id) == (0, 0)


def test_a_frame_takes_three_statements_and_two_where_it_comes_again(app: Flask) -> None:
    ada, bob = make_people(app, 2)
    chat_id = factories.make_chat([ada.id, bob.id], "direct")
    newest = factories.send_messages(chat_id, [ada.id] * 50)[-1]
    with counted_statements() as statements:
        send_frame(bob, chat_id, newest)
    assert [statement.split()[1] for statement in statements] == ["session_lives", "mark_delivered", "mark_authors"]
    with counted_statements() as statements:
        send_frame(bob, chat_id, newest)
    assert [statement.split()[1] for statement in statements] == ["session_lives", "mark_delivered"]


def test_reading_takes_five_statements_and_four_where_nobody_is_told(app: Flask) -> None:
    ada, bob = factories.make_users(2)
    taken = {}
    for kind in ("direct", "group", "channel"):
        chat_id = factories.make_chat([ada, bob], kind)
        newest = factories.send_messages(chat_id, [ada] * 50)[-1]
        with counted_statements() as statements, unit_of_work() as unit:
            chats.mark_read(unit, bob, chat_id, newest)
        taken[kind] = [statement.split()[1] for statement in statements]
    reading = ["read_target", "lock_state", "mark_read", "read_state"]
    assert taken == {"direct": [*reading, "mark_authors"], "group": [*reading, "mark_authors"], "channel": reading}
