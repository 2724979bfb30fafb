"""Since when sessions that PostgreSQL hides from ours may have been writing.

Of another role's session a role without pg_read_all_stats sees the transaction id, which it has from its first change
on, but no times. Ids are given out in order: a transaction whose id was not given out yet when somebody looked began to
write after that look. So each look notes which id was the next one.
"""

from __future__ import annotations

from bisect import bisect_right
from functools import lru_cache
from typing import NamedTuple

REVISIONS_A_SECOND = 1_000 << 12
"""Revisions count time: 2^12 of them are a millisecond."""

# For what was open when this process looked for the first time.
_UNKNOWN = 3_600 * REVISIONS_A_SECOND
_MOST_LOOKS = 1_000


class Look(NamedTuple):
    """A moment, as a revision, and the transaction id that nobody had before it."""

    at: int
    next_xid: int


class HiddenWriters:
    """What this process has noted of its looks: no more than it takes for those who write now."""

    def __init__(self) -> None:
        self._looks: list[Look] = []

    def since(self, look: Look, oldest_xid: int | None) -> int:
        """Before which moment no hidden session began to write that is at it still; the look's own where none is.

        `oldest_xid` is the least transaction id of hidden sessions; looks may come in any order.
        """
        if oldest_xid is None:
            self._looks = [look]
            return look.at
        known = bisect_right(self._looks, oldest_xid, key=lambda each: each.next_xid)
        if not known:
            self._looks.insert(0, Look(look.at - _UNKNOWN, 0))
        # Those before belong to transactions that have ended.
        del self._looks[: max(known - 1, 0)]
        first, last = self._looks[0], self._looks[-1]
        if look.at >= last.at + REVISIONS_A_SECOND and look.next_xid > last.next_xid:
            self._looks.append(look)
        if len(self._looks) > _MOST_LOOKS:
            # Every other one is enough: it only makes the answer older.
            del self._looks[1::2]
        return first.at


@lru_cache(maxsize=1)
def hidden_writers() -> HiddenWriters:
    """Those of this process's database."""
    return HiddenWriters()
