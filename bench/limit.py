"""The limit: pgbench runs the application's own send, one by one, as fast as PostgreSQL takes it.

Each client prepares the statements that the application prepares and then, like the application, executes lock and
send in one message to the server, which makes them one transaction and one round trip. Chat, sender and client_id are
random. Plans are generic, as the best way to run them, whatever the application sets.
"""

from __future__ import annotations

import json

from bench import pgbench
from bench.people import CHATS, DIRECT_CHATS, GROUP_SIZE, PEOPLE
from bench.pgbench import Limit
from bench.stack import Stack

TEXT = "Shall we meet at the station at a quarter past seven, or rather later?"

_LOCK, _SEND = "send_lock", "send_batch"

_CHOOSE = f"""\
\\set chat random(1, {CHATS})
\\if :chat <= {DIRECT_CHATS}
\\set sender 2 * :chat - random(0, 1)
\\else
\\set sender mod((:chat - {DIRECT_CHATS} - 1) * {GROUP_SIZE} + random(0, {GROUP_SIZE - 1}), {PEOPLE}) + 1
\\endif
\\set session 100000000000 + :sender
\\set high random(10000000, 99999999)
\\set low random(100000000000, 999999999999)
"""

_EXECUTE = (
    f"EXECUTE {_LOCK} (ARRAY[:chat]::bigint[], ARRAY[:sender]::bigint[]) \\; "
    f"EXECUTE {_SEND} (ARRAY[:chat]::bigint[], ARRAY[:sender]::bigint[],"
    " ARRAY['00000000-0000-4000-8000-:session']::uuid[], ARRAY[':high-0000-4000-8000-:low']::uuid[],"
    f" ARRAY['\\x00112233445566778899aabbccddeeff'::bytea], ARRAY['text'], ARRAY['{TEXT}'], ARRAY[NULL]::bigint[],"
    " ARRAY[NULL]::bigint[], ARRAY[NULL]::uuid[], false);\n"
)

SETTLE_SEARCH = """
    INSERT INTO search_progress (chat_id, revision, whole_revision) SELECT id, revision, revision FROM chats
    ON CONFLICT (chat_id) DO UPDATE SET revision = excluded.revision, whole_revision = excluded.whole_revision"""
"""SQL: what no worker has indexed counts as indexed, and is not caught up with while something else is measured."""

# What pgbench stored counts as told, counted and indexed: the sweeps of the application find nothing that is behind.
_SETTLE = f"""
    UPDATE user_chat_states s SET counted_seq = c.last_seq
    FROM chats c WHERE c.id = s.chat_id AND s.counted_seq < c.last_seq;
    UPDATE chats SET fanned_out_seq = last_seq WHERE fanned_out_seq < last_seq;
    {SETTLE_SEARCH}"""


def script(stack: Stack) -> str:
    """The pgbench script for the application as it is. Raises RuntimeError where its statements are not these."""
    statements: dict[str, str] = json.loads(stack.run("-m", "bench.statements"))
    missing = {_LOCK, _SEND} - statements.keys()
    if missing:
        raise RuntimeError(f"A send does not prepare {', '.join(sorted(missing))} any more: see bench/limit.py.")
    return pgbench.preparing(statements[_LOCK], statements[_SEND]) + _CHOOSE + _EXECUTE


def measure(stack: Stack, sending: str, clients: int, seconds: int) -> Limit:
    """Runs the script; what it stored then counts as counted. Raises RuntimeError where it fails."""
    return pgbench.run(stack, [sending], clients, seconds, then=_SETTLE)
