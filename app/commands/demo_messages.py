"""The demo's conversations: made one after another in the order of time, in bounded memory."""

from __future__ import annotations

import io
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random

from app.commands import demo_texts

_EPOCH_MS = 1_735_689_600_000
_REPLY_SHARE = 0.08


@dataclass(slots=True)
class Conversation:
    """A chat, who writes in it, and where it stands."""

    chat_id: int
    member_ids: Sequence[int]
    weight: float
    seq: int = 0
    last_id: int = 0
    sent_seqs: dict[int, int] = field(default_factory=dict)
    """The last seq that each person wrote."""
    recent_ids: deque[int] = field(default_factory=lambda: deque(maxlen=20))


def lines(
    random: Random, conversations: Sequence[Conversation], count: int, first_ms: int, last_ms: int
) -> Iterator[str]:
    """`count` messages between two moments (Unix milliseconds) as lines for COPY; moves the conversations on.

    Every chat gets one message before chance decides; times never repeat, so ids grow with them.
    """
    step = (last_ms - first_ms) / max(count, 1)
    weights = [conversation.weight for conversation in conversations]
    moment = first_ms
    conversation, left = conversations[0], 0
    for number in range(count):
        moment = max(moment + 1, int(first_ms + (number + random.random()) * step))
        if number < len(conversations):
            conversation = conversations[number]
        elif left <= 0:
            conversation, left = random.choices(conversations, weights)[0], random.randint(1, 12)
        left -= 1
        yield _line(random, conversation, moment)


def _line(random: Random, conversation: Conversation, moment: int) -> str:
    reply_to = "\\N"
    if conversation.recent_ids and random.random() < _REPLY_SHARE:
        reply_to = str(random.choice(conversation.recent_ids))
    conversation.seq += 1
    conversation.last_id = (moment - _EPOCH_MS) << 12 | random.getrandbits(12)
    conversation.recent_ids.append(conversation.last_id)
    created_at = datetime.fromtimestamp(moment / 1000, UTC).isoformat()
    sender_id = random.choice(conversation.member_ids)
    conversation.sent_seqs[sender_id] = conversation.seq
    return (
        f"{conversation.last_id}\t{conversation.chat_id}\t{conversation.seq}\t{sender_id}\t{_text(random)}\t{reply_to}"
        f"\tread\t{created_at}\t{conversation.last_id}\n"
    )


def _text(random: Random) -> str:
    parts = (random.choice(demo_texts.OPENINGS), random.choice(demo_texts.MIDDLES), random.choice(demo_texts.CLOSINGS))
    return " ".join(part for part in parts if part)


class LineReader(io.TextIOBase):
    """Lets COPY read lines as they are made; tells after each piece how many lines went."""

    def __init__(self, source: Iterator[str], advance: Callable[[int], object]) -> None:
        self._source = source
        self._advance = advance

    def read(self, size: int | None = -1, /) -> str:
        """Whole lines of about `size` characters; empty at the end."""
        wanted = size if size is not None and size > 0 else 65536
        taken: list[str] = []
        while wanted > 0 and (line := next(self._source, None)) is not None:
            taken.append(line)
            wanted -= len(line)
        self._advance(len(taken))
        return "".join(taken)
