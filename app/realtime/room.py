"""A chat as one process sees it: the sockets that receive it, and its messages put back into their order.

Publishers of several processes may overtake each other, and a publish may be lost with its process. Every message
carries its seq, so a room delivers them in order, waits a moment for one that is missing, and then reads it from
PostgreSQL. Every event carries the revision of the membership it was made under, so a room that knows an older one
asks who is still a member before it delivers.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import gevent
import structlog
from gevent.event import Event

from app.chats.service import present_members
from app.errors import AppError
from app.infra.bus import Header
from app.infra.db import reading
from app.infra.threads import give_way
from app.messages.service import frames_between
from app.messages.unread import tell_counts
from app.realtime.addressed import Addressed

if TYPE_CHECKING:
    from app.realtime.connection import Connection

log = structlog.get_logger(__name__)

# Longer than a busy machine delays a publish: what is only late is cheaper to wait for than to read.
_PATIENCE = 0.25
_PAUSE_AFTER_FAILURE = 0.5
# Sockets that are written to before everybody else gets a turn: some milliseconds.
_MOST_AT_ONCE = 500
# A longer gap is left to the clients' sync.
_LONGEST_FILLED_GAP = 500
# The revision of a room in which nobody is, so that there is nobody to ask for.
_NEWEST = 2**63 - 1


class Room:
    """The local sockets of one chat. `delivered_seq` is None until the room knows where the chat stands.

    `members_revision` is the oldest revision of the membership under which one of the sockets was found to belong here.
    """

    __slots__ = (
        "_admitted_under",
        "_arrived",
        "_backlog",
        "_busy",
        "_early",
        "_expel",
        "_held",
        "_newcomers",
        "_replays",
        "_resync",
        "_tell_to_sync",
        "chat_id",
        "connections",
        "delivered_seq",
        "members_revision",
        "opened",
    )

    def __init__(
        self,
        chat_id: int,
        expel: Callable[[int, set[int]], None],
        tell_to_sync: Callable[[Iterable[Connection]], None],
        resync: Callable[[], None],
    ) -> None:
        """`expel(chat_id, user_ids)` takes former members' sockets out; `tell_to_sync` is for what the room skips.

        `resync` has all sockets of the process told as soon as that is possible, and never fails.
        """
        self.chat_id = chat_id
        self.connections: set[Connection] = set()
        self.members_revision = _NEWEST
        self.delivered_seq: int | None = None
        self.opened = Event()
        self._admitted_under = _NEWEST
        self._newcomers: set[int] = set()
        self._expel = expel
        self._tell_to_sync = tell_to_sync
        self._resync = resync
        self._arrived = Event()
        self._backlog: deque[tuple[Header, bytes, bool]] = deque()
        self._early: dict[int, tuple[Header, bytes] | None] = {}
        self._held: list[tuple[Header, bytes]] = []
        self._busy = False
        self._replays: list[tuple[list[Connection], int]] = []

    def admit(self, connections: Iterable[Connection], members_revision: int) -> None:
        """Lets sockets in whose people were members under that revision, or were not asked for (0)."""
        newcomers = list(connections)
        self.connections.update(newcomers)
        self._newcomers.update(connection.user_id for connection in newcomers)
        self.members_revision = min(self.members_revision, members_revision)
        self._admitted_under = min(self._admitted_under, members_revision)

    def begin(self, last_seq: int) -> None:
        """Starts delivering: messages up to here are known, and what came meanwhile follows."""
        waiting = [header["seq"] for header, frame, _ in self._backlog if "seq" in header and frame]
        # What was published while the room opened is handed on, even if it is committed and counted already.
        self.delivered_seq = min([last_seq, *(seq - 1 for seq in waiting)])
        self.opened.set()
        if self._backlog or self._replays:
            self._work()

    def catch_up(self, members_revision: int, last_seq: int) -> None:
        """After a break: delivers what was missed."""
        if self.delivered_seq is None:
            self.begin(last_seq)
            return
        self.receive({"members_revision": members_revision, "seq": last_seq}, b"", False)

    def check_members(self, members_revision: int) -> None:
        """Somebody went, under that revision: before the next delivery it is asked who is still a member, if need be.

        Not simply expelled: who is back has been let in already, where the order to leave comes late.
        """
        self.receive({"members_revision": members_revision}, b"", False)

    def replay(self, connections: Iterable[Connection], after_seq: int) -> None:
        """Delivers to sockets that joined what the chat got between the event that told them and their joining."""
        self._replays.append((list(connections), after_seq))
        if self.delivered_seq is not None:
            self._work()

    def receive(self, header: Header, frame: bytes, droppable: bool) -> None:
        """Takes an event from Redis; never waits."""
        if self.delivered_seq is None or self._busy:
            self._backlog.append((header, frame, droppable))
            self._arrived.set()
            return
        is_large = len(self.connections) > _MOST_AT_ONCE
        if is_large or header.get("members_revision", 0) > self.members_revision:
            self._backlog.append((header, frame, droppable))
            self._work()
            return
        seq = header.get("seq")
        if seq is None and header.get("after_seq", 0) <= self.delivered_seq:
            self._broadcast(header, frame, droppable)
        elif seq == self.delivered_seq + 1 and frame:
            self.delivered_seq = seq
            self._broadcast(header, frame, False)
        elif seq is None or seq > self.delivered_seq:
            self._backlog.append((header, frame, droppable))
            self._work()

    def _work(self) -> None:
        if not self._busy:
            self._busy = True
            gevent.spawn(self._settle)

    def _settle(self) -> None:
        """Handles what could not be delivered at once, until nothing is left of it."""
        try:
            while self._backlog or self._early or self._replays:
                try:
                    self._replay_all()
                    self._take_backlog()
                    self._await_missing()
                    if self._early:
                        self._fill_gap()
                except AppError as error:
                    log.warning("room_waits", chat_id=self.chat_id, error=error.code)
                    gevent.sleep(_PAUSE_AFTER_FAILURE)
                except Exception:
                    # Whatever it is must not end the room: what waits is left to the clients' sync.
                    log.exception("room_failed", chat_id=self.chat_id)
                    self._backlog.clear()
                    self._early.clear()
                    self._held.clear()
                    self._replays.clear()
                    self._give_up()
        finally:
            self._busy = False

    def _give_up(self) -> None:
        """Has the clients here sync; where not even that works, all of the process, once it does."""
        try:
            self._tell_to_sync(self.connections)
        except Exception as error:
            log.warning("room_not_told", chat_id=self.chat_id, error=type(error).__name__)
            self._resync()

    def _await_missing(self) -> None:
        """Gives what is late a moment to come, and delivers as soon as it has."""
        deadline = time.monotonic() + _PATIENCE
        while self._early and (patience := deadline - time.monotonic()) > 0:
            self._arrived.clear()
            if self._backlog or self._arrived.wait(patience):
                self._take_backlog()

    def _replay_all(self) -> None:
        """Before the backlog: nothing that follows may overtake it."""
        assert self.delivered_seq is not None
        while self._replays:
            connections, after_seq = self._replays[0]
            if after_seq < self.delivered_seq:
                found = frames_between(self.chat_id, after_seq, self.delivered_seq)
                # The order may have come after a removal, and what was read has no revision of its own.
                self._reload_members()
                newcomers = self.connections.intersection(connections)
                for _, frame in found:
                    addressed = Addressed(frame)
                    for connection in newcomers:
                        connection.deliver(addressed.to(connection.user_id))
                # Counts of these messages may have been told before anybody was here.
                tell_counts(self.chat_id, {connection.user_id for connection in newcomers})
            self._replays.pop(0)

    def _take_backlog(self) -> None:
        while self._backlog:
            header, frame, droppable = self._backlog[0]
            if header.get("members_revision", 0) > self.members_revision:
                self._reload_members()
            self._backlog.popleft()
            seq, after = header.get("seq"), header.get("after_seq", 0)
            assert self.delivered_seq is not None
            if seq is None and after > self.delivered_seq:
                # It overtook the message that it changes, which is waited for and then read like any other.
                self._early.setdefault(after, None)
                self._held.append((header, frame))
            elif seq is None:
                self._broadcast(header, frame, droppable)
            elif seq > self.delivered_seq:
                self._early[seq] = (header, frame) if frame else self._early.get(seq)
        self._deliver_early()

    def _deliver_early(self) -> None:
        assert self.delivered_seq is not None
        while (found := self._early.get(self.delivered_seq + 1)) is not None:
            self.delivered_seq += 1
            del self._early[self.delivered_seq]
            self._broadcast(*found, False)
            self._deliver_held()
        self._early = {seq: event for seq, event in self._early.items() if seq > self.delivered_seq}
        self._deliver_held()

    def _deliver_held(self) -> None:
        """Delivers changes whose message has been delivered."""
        assert self.delivered_seq is not None
        held, self._held = self._held, []
        for header, frame in held:
            if header["after_seq"] <= self.delivered_seq:
                self._broadcast(header, frame, False)
            else:
                self._held.append((header, frame))

    def _fill_gap(self) -> None:
        """Delivers from PostgreSQL what did not come by Redis; leaves a gap that is too long to the clients' sync."""
        assert self.delivered_seq is not None
        newest = max(self._early)
        if newest - self.delivered_seq > _LONGEST_FILLED_GAP:
            # Told first: where that fails all of this is done again.
            self._tell_to_sync(self.connections)
            self.delivered_seq = newest - _LONGEST_FILLED_GAP
        found = frames_between(self.chat_id, self.delivered_seq, newest)
        # The lost event may have been the one that told of a removal. Asked last: nobody comes in before the delivery.
        self._reload_members()
        for seq, frame in found:
            if seq > self.delivered_seq:
                header, _ = self._early.get(seq) or (Header(), b"")
                self._broadcast(header, frame, False)
        self.delivered_seq = max(self.delivered_seq, newest)
        self._deliver_early()

    def _reload_members(self) -> None:
        """Expels who is a member no more; asks once more where somebody was let in under less meanwhile."""
        while True:
            self._admitted_under = _NEWEST
            self._newcomers.clear()
            revision = self._expel_former_members()
            if self._admitted_under >= revision:
                self.members_revision = revision
                return

    def _expel_former_members(self) -> int:
        """Asks who of the people here is a member; the revision of the membership that was found."""
        people = {connection.user_id for connection in self.connections}
        if not people:
            return _NEWEST
        with reading() as unit:
            found = present_members(unit, self.chat_id, sorted(people))
        # Where the chat is gone nobody is in it.
        revision, _, present = found or (_NEWEST, 0, set())
        # Who was let in (again) since the question was asked may have become a member since.
        former = people - present - self._newcomers
        if former:
            self._expel(self.chat_id, former)
        return revision

    def _broadcast(self, header: Header, frame: bytes, droppable: bool) -> None:
        if not frame:
            return  # An order that has no business here.
        addressed = Addressed(frame)
        sender, left_out = header.get("except_connection"), header.get("except_users", ())
        receivers = tuple(self.connections)
        for start in range(0, len(receivers), _MOST_AT_ONCE):
            if start:
                give_way()  # Others are served in between; this chat's next event waits behind this one.
            # Who has left meanwhile is not sent it. From here to the next pause nobody leaves.
            for connection in self.connections.intersection(receivers[start : start + _MOST_AT_ONCE]):
                if connection.id != sender and not (left_out and connection.user_id in left_out):
                    connection.deliver(addressed.same_for_all or addressed.to(connection.user_id), droppable)
