"""Counts the unread messages of one chat as a worker does, in a process of its own, and tells what that took.

Run with the id of a chat in which a message has just been sent or deleted; prints a Counted.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TypedDict

from sqlalchemy import text

from app.infra.db import unit_of_work
from app.messages import unread
from bench.crowd import begin

# What any fan-out has to write, as one statement: each member's row, once.
_PLAIN = text("""
    UPDATE user_chat_states s SET unread_count = s.unread_count
    FROM chat_members m WHERE m.chat_id = :chat AND s.user_id = m.user_id AND s.chat_id = :chat""")

# A chat that is not there: what is counted first costs connecting and planning.
_NOBODY = 0


class Counted(TypedDict):
    """What one fan-out took."""

    ms: float
    plain_ms: float
    """Writing the same rows by one statement."""
    mib: float | None
    """By how much its memory grew at most; None where the system does not tell."""


_PROC = Path("/proc/self")


def _memory_mib(field: str) -> float | None:
    """What is resident now (VmRSS), or was at most since `_forget_peak` (VmHWM); None where the system has no /proc."""
    if not (_PROC / "clear_refs").exists():
        return None
    lines = dict(line.split(":", 1) for line in (_PROC / "status").read_text().splitlines())
    return int(lines[field].split()[0]) / 1024


def _forget_peak() -> None:
    """Lets the greatest memory of this process begin anew: importing takes more than counting."""
    if (_PROC / "clear_refs").exists():
        (_PROC / "clear_refs").write_text("5")


def _main(chat: int) -> Counted:
    unread.fan_out_all([_NOBODY])
    _forget_peak()
    memory, begun = _memory_mib("VmRSS"), time.perf_counter()
    unread.fan_out_all([chat])
    done, peak = time.perf_counter(), _memory_mib("VmHWM")
    with unit_of_work() as unit:
        begin(unit)
        unit.relax_durability()
        began_plain = time.perf_counter()
        unit.execute(_PLAIN, {"chat": chat})
    grown = None if memory is None or peak is None else peak - memory
    return {"ms": (done - begun) * 1e3, "plain_ms": (time.perf_counter() - began_plain) * 1e3, "mib": grown}


if __name__ == "__main__":
    json.dump(_main(int(sys.argv[1])), sys.stdout)
