"""Both kinds of dirty marks come to their own set and job."""

from __future__ import annotations

from app.infra import jobs
from app.infra.redis import client
from tests import factories
from tests.processes import eventually
from tests.receipts import marks
from tests.receipts.marks import deliver, read


def make_chat_with_message() -> tuple[int, int]:
    """A direct chat with one message, and who may read it."""
    ada, bob = factories.make_users(2)
    chat_id = factories.make_chat([ada, bob], "direct")
    factories.send_messages(chat_id, [ada])
    return chat_id, bob


def test_a_mark_that_moves_makes_its_chat_dirty() -> None:
    for move, status in ((deliver, "delivered"), (read, "read")):
        chat_id, bob = make_chat_with_message()
        move(bob, chat_id, 1)

        def is_seen_to(chat_id: int = chat_id, status: str = status) -> bool:
            # A worker of another test may be quick to take it.
            return bool(client().sismember(jobs.DIRTY_RECEIPTS, str(chat_id))) or marks.statuses(chat_id) == [status]

        eventually(is_seen_to)


def test_the_two_kinds_of_marks_do_not_mix() -> None:
    counted, read_chat = factories.make_users(1)[0] * -1, factories.make_users(1)[0] * -1
    with client().monitor() as monitor:
        jobs.mark_for_fanout(counted)
        jobs.mark_for_receipts(read_chat)
        commands = []
        for command in monitor.listen():
            commands.append(command["command"])
            if any(f"SADD {jobs.DIRTY_RECEIPTS}" in each for each in commands) and any(
                f"SADD {jobs.DIRTY_CHATS}" in each for each in commands
            ):
                break
    # What others of this process mark meanwhile may go along.
    added = {command.split()[1]: command.split()[2:] for command in commands if command.startswith("SADD ")}
    assert str(counted) in added[jobs.DIRTY_CHATS]
    assert str(counted) not in added[jobs.DIRTY_RECEIPTS]
    assert str(read_chat) in added[jobs.DIRTY_RECEIPTS]
    assert str(read_chat) not in added[jobs.DIRTY_CHATS]
