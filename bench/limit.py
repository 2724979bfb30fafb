"""The limit: pgbench runs the application's own send, one by one, as fast as PostgreSQL takes it.

Each client prepares the statements that the application prepares and then, like the application, executes lock and
send in one message to the server, which makes them one transaction and one round trip. Chat, sender and client_id are
random. Plans are generic, as the best way to run them, whatever the application sets.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import make_url

from bench.cpu import CpuClock
from bench.people import CHATS, DIRECT_CHATS, GROUP_SIZE, PEOPLE
from bench.stack import Stack
from local.servers import postgres_binaries

TEXT = "Shall we meet at the station at a quarter past seven, or rather later?"

_LOCK, _SEND = "send_lock", "send_batch"

# A variable keeps its value from one transaction of a client to its next.
_PREPARE = "\\if :prepared = 0\n{lock};\n{send};\n\\set prepared 1\n\\endif\n"

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
    f"EXECUTE {_LOCK} (ARRAY[:chat]::bigint[]) \\; "
    f"EXECUTE {_SEND} (ARRAY[:chat]::bigint[], ARRAY[:sender]::bigint[],"
    " ARRAY['00000000-0000-4000-8000-:session']::uuid[], ARRAY[':high-0000-4000-8000-:low']::uuid[],"
    f" ARRAY['\\x00112233445566778899aabbccddeeff'::bytea], ARRAY['text'], ARRAY['{TEXT}'], ARRAY[NULL]::bigint[],"
    " ARRAY[NULL]::bigint[], false);\n"
)

# Planned for each send anew, because that looks cheaper to the planner, the statement costs three times as much.
_OPTIONS = {"PGOPTIONS": "-c plan_cache_mode=force_generic_plan"}

_RATE = re.compile(r"^tps = ([0-9.]+) ", re.MULTILINE)
_LATENCY = re.compile(r"^latency average = ([0-9.]+) ms", re.MULTILINE)
_FAILED = re.compile(r"^number of failed transactions: ([0-9]+)", re.MULTILINE)

# What pgbench stored counts as told and counted: the sweeps of the application find nothing that is behind.
_SETTLE = """
    UPDATE user_chat_states s SET counted_seq = c.last_seq
    FROM chats c WHERE c.id = s.chat_id AND s.counted_seq < c.last_seq;
    UPDATE chats SET fanned_out_seq = last_seq WHERE fanned_out_seq < last_seq"""


@dataclass(frozen=True, slots=True)
class Limit:
    """What the database does by itself."""

    rate: float
    """Messages a second."""
    mean_ms: float
    """Mean time of one."""
    cpu_us: dict[str, float]
    """Microseconds of CPU for one, by part."""


def script(stack: Stack) -> str:
    """The pgbench script for the application as it is. Raises RuntimeError where its statements are not these."""
    statements: dict[str, str] = json.loads(stack.run("-m", "bench.statements"))
    missing = {_LOCK, _SEND} - statements.keys()
    if missing:
        raise RuntimeError(f"A send does not prepare {', '.join(sorted(missing))} any more: see bench/limit.py.")
    return _PREPARE.format(lock=statements[_LOCK], send=statements[_SEND]) + _CHOOSE + _EXECUTE


def measure(stack: Stack, sending: str, clients: int, seconds: int) -> Limit:
    """Runs the script with so many clients, while worker and beat are suspended. Raises RuntimeError where it fails."""
    path = stack.data_dir / "send.sql"
    path.write_text(sending)
    url = make_url(stack.postgres.url())
    command: list[str | Path] = [
        postgres_binaries() / "pgbench", "--no-vacuum", "--protocol", "simple", "--define", "prepared=0",
        "--client", str(clients), "--jobs", "2", "--time", str(seconds), "--file", path,
        "--host", str(url.query["host"]), "--username", str(url.username), str(url.database),
    ]  # fmt: skip
    with stack.without_workers():
        clock = CpuClock({"database": stack.processes()["database"]})
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, cwd=stack.data_dir, env=os.environ | _OPTIONS
        )
        used = clock.seconds()
        with stack.database() as connection, connection.cursor() as cursor:
            cursor.execute(_SETTLE)
    found = [pattern.search(done.stdout) for pattern in (_RATE, _LATENCY, _FAILED)]
    if done.returncode != 0 or not all(found) or float(found[2][1]) > 0:  # type: ignore[index]
        raise RuntimeError(f"pgbench failed:\n{done.stdout}\n{done.stderr[-4000:]}")
    rate, mean = (float(match[1]) for match in found[:2] if match)
    return Limit(rate, mean, {name: used_seconds / (rate * seconds) * 1e6 for name, used_seconds in used.items()})
