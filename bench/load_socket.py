"""Load over WebSocket: all members of the groups are online, and every message must reach all others of its group.

One process. Frames of one message are the same bytes for every receiver, so each is parsed once.
"""

from __future__ import annotations

import random
import select
import selectors
import time
from collections import Counter, deque
from collections.abc import Callable
from uuid import UUID

import orjson

from bench.deliveries import Member, is_complete, notes_of, problems_of
from bench.frames import ClientSocket
from bench.load import Measured, Plan, Stopwatch, failures, main

_SETTLE_SECONDS = 1.0
_MOST_PARSED = 20_000
_LONGEST_WAIT = 0.05

_ACK = b'{"event":"ack"'
_NEW = b'{"event":"new_message"'
_ERROR = b'{"event":"error"'


class _Load:
    """The sockets and all that they have sent and received."""

    def __init__(self, plan: Plan) -> None:
        self._text = plan["text"]
        self._selector = selectors.DefaultSelector()
        self.members: list[Member] = []
        for group, (chat, tokens) in enumerate(plan["groups"]):
            self.members += [Member(group, chat, ClientSocket(plan["port"], token)) for token in tokens]
        for member in self.members:
            self._selector.register(member.sock.sock, selectors.EVENT_READ, member)
        # Those who send one after the other are of different groups.
        size = len(plan["groups"][0][1])
        self.idle = deque(self.members[group * size + m] for m in range(size) for group in range(len(plan["groups"])))
        self._others_of_a_group = size - 1
        self.greeted = 0
        self.acknowledged: list[int] = []
        self.deliveries = 0
        self.outstanding = 0
        self.times: list[float] | None = None
        self.others: Counter[str] = Counter()
        # By client_id: when it was due to be sent, and by whom.
        self._sent: dict[str, tuple[float, Member]] = {}
        self._parsed: dict[bytes, tuple[int, int, float, Member | None]] = {}

    def send(self, due: float) -> None:
        """Sends a message from the member that has been idle for longest; its time counts from when it was due."""
        member = self.idle.popleft()
        client_id = str(UUID(int=random.getrandbits(128)))
        frame = (
            f'{{"type":"message","ref":1,"data":{{"chat_id":{member.chat},"text":"{self._text}",'
            f'"client_id":"{client_id}"}}}}'
        )
        self.outstanding += 1
        self._sent[client_id] = due, member
        member.sock.send(frame.encode())

    def receive(self, timeout: float) -> None:
        """Takes what has arrived, or arrives within so many seconds."""
        # By itself a selector waits for whole milliseconds, rounded up: what is due each millisecond would be late.
        select.select([self._selector.fileno()], [], [], timeout)
        for key, _ in self._selector.select(0):
            member: Member = key.data
            for frame in member.sock.receive():
                if frame.startswith(_NEW):
                    self._take_new(member, frame)
                elif frame.startswith(_ACK):
                    self._take_ack(member, frame)
                elif frame.startswith(_ERROR):
                    self.others[frame[:200].decode(errors="replace")] += 1
                    self._answered(member)
                elif frame.startswith(b'{"event":"hello"'):
                    self.greeted += 1

    def is_complete(self) -> bool:
        """Whether everything is acknowledged and has arrived."""
        if self.outstanding or self.deliveries < len(self.acknowledged) * self._others_of_a_group:
            return False
        # As many as there should be: but one that came twice may stand for one that is still on its way.
        return is_complete(self.members)

    def _take_new(self, member: Member, frame: bytes) -> None:
        found = self._parsed.get(frame)
        if found is None:
            if len(self._parsed) > _MOST_PARSED:
                self._parsed.clear()
            data = orjson.loads(frame)["data"]
            found = self._parsed[frame] = (data["id"], data["seq"], *self._sent.get(data["client_id"], (0.0, None)))
        message_id, seq, sent_at, sender = found
        if sender is member:
            member.echoed.append(message_id)
            return
        member.received.append(message_id)
        member.received_seqs.append(seq)
        self.deliveries += 1
        if self.times is not None:
            self.times.append((time.perf_counter() - sent_at) * 1000)

    def _take_ack(self, member: Member, frame: bytes) -> None:
        message_id = orjson.loads(frame)["data"]["id"]
        self.acknowledged.append(message_id)
        member.sent.append(message_id)
        self._answered(member)

    def _answered(self, member: Member) -> None:
        self.outstanding -= 1
        self.idle.append(member)


def load(plan: Plan) -> Measured:
    """Sends for the time of the plan, then waits until everything has arrived."""
    running = _Load(plan)
    _until(running, lambda: running.greeted == len(running.members), plan["stragglers_seconds"])
    # Presence of two hundred people who came at once.
    _until(running, lambda: False, _SETTLE_SECONDS)
    watch = Stopwatch(plan)
    deliveries = _drive(running, plan, watch)
    times, running.times = running.times or [], None
    _until(running, running.is_complete, plan["stragglers_seconds"])
    problems = failures(running.others) + problems_of(running.members)
    if running.outstanding:
        problems.append(f"{running.outstanding} messages were never acknowledged")
    return watch.measured(times, deliveries, running.acknowledged, problems, notes_of(running.members))


def _drive(running: _Load, plan: Plan, watch: Stopwatch) -> int:
    """Sends by the plan until the time is over; the deliveries of the measured seconds."""
    before = 0
    began, sent, rate = time.perf_counter(), 0, plan["rate"]
    while watch.look(now := time.perf_counter(), len(running.acknowledged)):
        if watch.measuring and running.times is None:
            running.times, before = [], running.deliveries
        due = plan["clients"] - running.outstanding if rate is None else int((now - began) * rate) - sent
        for _ in range(min(due, len(running.idle))):
            running.send(now if rate is None else began + (sent + 1) / rate)
            sent += 1
        running.receive(_LONGEST_WAIT if rate is None else max(0.0, began + (sent + 1) / rate - time.perf_counter()))
    return running.deliveries - before


def _until(running: _Load, done: Callable[[], bool], seconds: float) -> None:
    deadline = time.perf_counter() + seconds
    while not done() and time.perf_counter() < deadline:
        running.receive(_LONGEST_WAIT)


if __name__ == "__main__":
    main(load)
