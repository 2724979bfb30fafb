"""What is read does not grow with what is stored, whenever a connection made the plans that it keeps."""

from __future__ import annotations

import pytest

from config import settings
from tests.scale.actions import ACTIONS, CHANGED, CHATS
from tests.scale.conftest import TIMES, Observed

# The list looks at all chats of the person, once: membership, chat and state of each; see decision 0002.
_ALL_MINE = 3 * (CHATS + 1)
# What a chat that is shown costs besides: its three rows again, its last message, the peer, what is not counted yet.
_SHOWN = 8
_LIST_PAGE, _SYNC_PAGE = 51, 500
# Of members, in the fan-out.
BATCH = settings().fanout_batch

# Tables that workers empty: short, however much is stored.
QUEUES = {"receipt_queue", "unread_removals"}

# The statements of each action, in the order of their first coming, and how many rows each may look at.
STATEMENTS: dict[str, dict[str, int]] = {
    "list": {"chat_list": _ALL_MINE + _LIST_PAGE * _SHOWN},
    "list, last page": {"chat_list": _ALL_MINE + _LIST_PAGE * _SHOWN},
    "list, unread": {"chat_list": _ALL_MINE + _LIST_PAGE * _SHOWN},
    "sync, snapshot": {"sync_look": 200, "sync_page": _ALL_MINE + (_SYNC_PAGE + 1) * _SHOWN},
    "sync": {"sync_look": 200, "sync_page": _ALL_MINE + CHANGED * 2 * _SHOWN},
    "history": {"history_older": 51 + 4},
    "history, again": {"history_older": 51 + 4, "history_view": 4},
    "read": {
        "read_target": 4,
        "lock_state": 1,
        "mark_read": 4,
        "read_state": 4,
        "mark_authors": 4,
    },
    "send to the channel": {"send_lock": 2, "send_batch": 8},
    "send to the group": {"send_lock": 2, "send_batch": 8},
    "send by the busy person": {"send_lock": 2, "send_batch": 8},
    "send and fan out": {
        "send_lock": 2,
        "send_batch": 8,
        "unread_progress": 4,
        "unread_lock_part": 3 * BATCH,
        "unread_count": 4 * BATCH,
        "unread_finish": 4,
    },
}


@pytest.mark.parametrize("time", TIMES)
@pytest.mark.parametrize("action", ACTIONS)
def test_a_statement_looks_at_the_rows_that_it_is_about_and_reads_no_table_whole(
    observed: Observed, action: str, time: str
) -> None:
    allowed = STATEMENTS[action]
    statements = observed[time][action]
    assert list(dict.fromkeys(statement.name for statement in statements)) == list(allowed)
    assert {s.name: s.read_whole - QUEUES for s in statements if s.read_whole - QUEUES} == {}
    assert {s.name: s.would_read_whole - QUEUES for s in statements if s.would_read_whole - QUEUES} == {}
    assert {s.name: s.rows for s in statements if s.rows > allowed[s.name]} == {}
    # Where an index is searched through for what another one would find at once, only the blocks tell. Of each row that
    # gets a revision, two sequences are looked at.
    assert {s.name: s.blocks for s in statements if s.blocks > 5 * allowed[s.name] + 60} == {}
