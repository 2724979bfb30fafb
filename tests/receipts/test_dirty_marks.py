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
    added: dict[str, set[str]] = {jobs.DIRTY_CHATS: set(), jobs.DIRTY_RECEIPTS: set()}
    with client().monitor() as monitor:
        jobs.mark_for_fanout(counted)
        jobs.mark_for_receipts(read_chat)
        for command in monitor.listen():
            name, *arguments = command["command"].split()
            if name == "SADD" and arguments[0] in added:
                # What others mark meanwhile comes along, or by itself.
                added[arguments[0]] |= {str(counted), str(read_chat)} & set(arguments[1:])
            if all(added.values()):
                break
    assert added == {jobs.DIRTY_CHATS: {str(counted)}, jobs.DIRTY_RECEIPTS: {str(read_chat)}}
