"""What each socket should have received, against what it did."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from bench.frames import ClientSocket


@dataclass(eq=False, slots=True)
class Member:
    """One person online: in which group, and what this socket sent (as acknowledged), received from others, in its
    order, and got back of its own.
    """

    group: int
    chat: int
    sock: ClientSocket
    sent: list[int] = field(default_factory=list)
    received: list[int] = field(default_factory=list)
    received_seqs: list[int] = field(default_factory=list)
    echoed: list[int] = field(default_factory=list)


def problems_of(members: Sequence[Member]) -> list[str]:
    """What is lost, doubled, misdirected or out of order; empty where every member got every message of the others."""
    lost = doubled = strange = disordered = 0
    for member, expected in _expected(members):
        received = set(member.received)
        lost += len(expected - received)
        strange += len(received - expected)
        doubled += len(member.received) - len(received)
        disordered += sum(later <= earlier for earlier, later in pairwise(member.received_seqs))
    counts = {
        "lost": lost,
        "doubled": doubled,
        "of no message that was sent to the group": strange,
        "out of order": disordered,
    }
    return [f"{count} deliveries were {what}" for what, count in counts.items() if count]


def is_complete(members: Sequence[Member]) -> bool:
    """Whether every member got every message of the others, whatever else came."""
    return all(expected.issubset(member.received) for member, expected in _expected(members))


def _expected(members: Sequence[Member]) -> Iterator[tuple[Member, set[int]]]:
    """Each member with the messages that the others of the group sent."""
    sent_in: dict[int, set[int]] = {}
    for member in members:
        sent_in.setdefault(member.group, set()).update(member.sent)
    for member in members:
        yield member, sent_in[member.group].difference(member.sent)


def notes_of(members: Sequence[Member]) -> list[str]:
    """What is allowed and yet worth knowing: messages that came back to the socket that sent them.

    A hub that missed a message reads it from the database, where it does not stand which socket sent it.
    """
    echoed = sum(len(member.echoed) for member in members)
    return [f"{echoed} deliveries were to the socket that sent the message"] if echoed else []
