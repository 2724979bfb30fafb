"""Who types where: told and stored nowhere, never in channels.

The process that took a mark also tells the chat when it ran out; should the process die, clients let the mark end by
themselves.
"""

from __future__ import annotations

import threading
import time

from app.chats import events, service
from app.chats.queries.blocks import takes_no_typing
from app.errors import Forbidden
from app.infra.db import UnitOfWork
from config import settings


class _Marks:
    """The marks that this process took, and one thread (a greenlet under gevent) that ends them while there are any."""

    def __init__(self) -> None:
        self._ends: dict[tuple[int, int], tuple[float, int]] = {}
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def hold(self, chat_id: int, user_id: int, members_revision: int) -> None:
        """Keeps a mark until the expiry from now."""
        with self._lock:
            self._ends[chat_id, user_id] = (time.monotonic() + settings().typing_expiry, members_revision)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="typing-expiry", daemon=True)
                self._thread.start()

    def drop(self, chat_id: int, user_id: int) -> None:
        """Forgets a mark."""
        with self._lock:
            self._ends.pop((chat_id, user_id), None)

    def of_user(self, user_id: int) -> list[tuple[int, int]]:
        """The chats, with their members_revision, in which the person has a mark."""
        return [(chat, revision) for (chat, user), (_, revision) in list(self._ends.items()) if user == user_id]

    def _run(self) -> None:
        while True:
            time.sleep(0.5)
            for (chat_id, user_id), (_, members_revision) in self._take_ended().items():
                events.typing(chat_id, members_revision, user_id, False, None)
            with self._lock:
                if not self._ends:
                    self._thread = None
                    return

    def _take_ended(self) -> dict[tuple[int, int], tuple[float, int]]:
        """The marks whose time is over. One that is renewed meanwhile is another one."""
        with self._lock:
            now = time.monotonic()
            ended = {key: mark for key, mark in self._ends.items() if mark[0] <= now}
            for key in ended:
                del self._ends[key]
        return ended


_marks = _Marks()


def set_typing(unit: UnitOfWork, chat_id: int, user_id: int, is_typing: bool, connection_id: str) -> None:
    """Sets or ends the caller's mark in a chat; raises NotFound, or Forbidden in channels."""
    member = service.membership(unit, chat_id, user_id)
    if member.chat_type == "channel":
        raise Forbidden("Nobody is shown as typing in a channel.")
    if member.chat_type == "direct" and takes_no_typing(unit, chat_id, user_id):
        return  # Whoever is blocked is not told so here. Neither side hears anything of the other.
    if not is_typing:
        stop(chat_id, user_id, member.members_revision, connection_id)
        return
    events.typing(chat_id, member.members_revision, user_id, True, connection_id)
    _marks.hold(chat_id, user_id, member.members_revision)


def stop(chat_id: int, user_id: int, members_revision: int, connection_id: str | None = None) -> None:
    """Ends a mark and tells the chat."""
    _marks.drop(chat_id, user_id)
    events.typing(chat_id, members_revision, user_id, False, connection_id)


def stop_all(user_id: int) -> None:
    """Ends all marks of a person whose last connection here is gone."""
    for chat_id, members_revision in _marks.of_user(user_id):
        stop(chat_id, user_id, members_revision)
