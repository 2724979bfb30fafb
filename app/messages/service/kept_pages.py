"""Pages of history that were read lately, as they left: many people who open the same chat cost one reading of it.

Whatever changes a message also moves the revision of its chat, under the lock of the chat's row, so of one revision
there is one page: for all who may see all of it. Who that is, and of which revision the chat is, each request asks
PostgreSQL. See decision 0039.
"""

from __future__ import annotations

from collections import OrderedDict
from functools import lru_cache
from typing import NamedTuple

from app.messages.queries import View
from app.web.ready import SameForAll
from config import settings

# Bytes of memory that a page takes besides its JSON, in Python 3.11.
_OVERHEAD = 500


class PageKey(NamedTuple):
    """Which page: of a chat, before a message (None: the newest), of so many."""

    chat_id: int
    before: int | None
    limit: int


class _Kept(NamedTuple):
    view: View
    least_seq: int | None
    """Of the page and the message past its end; None where there is none past it."""
    json: SameForAll

    def fits(self, view: View) -> bool:
        """Whether it is the page that somebody with this view sees."""
        if view.floor_seq is None or view.revision != self.view.revision:
            return False
        return view.floor_seq == self.view.floor_seq or (self.least_seq is not None and view.floor_seq < self.least_seq)


class KeptPages:
    """As many pages as have so many bytes together; those that were not asked for the longest go first."""

    def __init__(self, most_bytes: int) -> None:
        """`most_bytes` 0 keeps none."""
        self._most_bytes = most_bytes
        self._bytes = 0
        self._pages: OrderedDict[PageKey, _Kept] = OrderedDict()

    def __contains__(self, key: PageKey) -> bool:
        """Whether there is such a page, of whatever revision."""
        return key in self._pages

    def find(self, key: PageKey, view: View) -> SameForAll | None:
        """The JSON of the page for somebody with this view."""
        kept = self._pages.get(key)
        if kept is None or not kept.fits(view):
            return None
        self._pages.move_to_end(key)
        return kept.json

    def keep(self, key: PageKey, view: View, least_seq: int | None, json: bytes) -> None:
        """Keeps the page of somebody with this view, unless that is nobody else's.

        `least_seq`: of the page and the message past its end; None where there is none past it.
        """
        if view.floor_seq is None or len(json) + _OVERHEAD > self._most_bytes:
            return
        self._drop(key)
        self._pages[key] = _Kept(view, least_seq, SameForAll(json))
        self._bytes += len(json) + _OVERHEAD
        while self._bytes > self._most_bytes:
            self._drop(next(iter(self._pages)))

    def _drop(self, key: PageKey) -> None:
        dropped = self._pages.pop(key, None)
        if dropped is not None:
            self._bytes -= len(dropped.json) + _OVERHEAD


@lru_cache(maxsize=1)
def kept_pages() -> KeptPages:
    """Those of this process."""
    return KeptPages(settings().history_cache_size)
