"""The rules of messages."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import orjson

from app.chats.message import Message, present
from app.errors import AppError, ClientIdReused, Forbidden, NotFound, SessionRevoked, Unavailable, ValidationFailed
from app.infra import jobs
from app.infra.db import UnitOfWork, reading
from app.infra.times import rfc3339
from app.messages import events, queries
from app.messages.combiner import Combiner
from app.messages.schemas import HistoryPage, HistoryQuery, NewMessage
from app.web.authentication import Caller
from app.web.input import LARGEST_ID

# Two batches at a time keep PostgreSQL busy; more bring nothing (measured).
_LANES = 2
_LARGEST_BATCH = 100

# Where a message's row holds its seq.
_SEQ = 2
# Past every seq.
_PAST_ALL = 2**62

# Pages look first at the messages of this time: more parts of the table cost planning and probing.
_RECENT = 60 * 86_400_000 << 12


class _Submission(NamedTuple):
    """A send on its way through the combiner, with the socket that has its answer already."""

    send: queries.Send
    connection_id: str | None


class SentMessage(NamedTuple):
    """The JSON of a stored message, and whether this call stored it (else an earlier one did)."""

    json: bytes
    is_new: bool


def send_message(caller: Caller, new: NewMessage, connection_id: str | None = None) -> SentMessage:
    """Stores a message durably and tells the chat; the only way in, for REST, sockets and jobs alike.

    Opens no unit of work: what waits at the same moment is one batch, and the batch is the unit. `connection_id` is
    the socket that sent it, which is answered and so not told. Raises SessionRevoked, NotFound, Forbidden,
    ClientIdReused, ValidationFailed or Unavailable; then nothing was stored.
    """
    if new.file_id is not None:
        raise ValidationFailed(errors=[{"field": "file_id", "message": "no such file of yours"}])
    client_id = None if new.client_id is None else str(new.client_id)
    send = queries.Send(
        new.chat_id, caller.user_id, caller.session_id, client_id, _body_hash(new), "text", new.text, new.reply_to_id
    )
    result = _combiner().submit(_Submission(send, connection_id))
    if result.is_new:
        return result
    return _earlier(caller.user_id, result)


@lru_cache(maxsize=1)
def _combiner() -> Combiner[_Submission, SentMessage]:
    return Combiner(_send_batch, _LANES, _LARGEST_BATCH)


def _body_hash(new: NewMessage) -> bytes:
    """What must be the same when a client_id comes again."""
    return hashlib.blake2b(orjson.dumps([new.chat_id, new.text, new.file_id, new.reply_to_id]), digest_size=16).digest()


def _send_batch(submissions: Sequence[_Submission]) -> list[SentMessage | Exception]:
    """Stores a batch, then tells the chats in the order of their messages.

    A client_id that stands in the batch twice is stored once: the second goes into a batch after it.
    """
    first_of: dict[object, int] = {}
    first: list[int] = []
    again: list[int] = []
    for index, (send, _) in enumerate(submissions):
        key = index if send.client_id is None else (send.sender_id, send.client_id)
        (again if first_of.setdefault(key, index) != index else first).append(index)
    results: dict[int, SentMessage | Exception] = {}
    for group in (first, again):
        if group:
            _store([(index, submissions[index]) for index in group], results)
    return [results[index] for index in range(len(submissions))]


def _store(group: list[tuple[int, _Submission]], results: dict[int, SentMessage | Exception]) -> None:
    outcomes = queries.send_batch([submission.send for _, submission in group])
    for (index, submission), outcome in zip(group, outcomes, strict=True):
        if isinstance(outcome, Exception):
            results[index] = outcome
        elif outcome.outcome == "sent":
            results[index] = _tell(submission, outcome)
        elif outcome.outcome == "repeated":
            results[index] = SentMessage(str(outcome.message_id).encode(), False)
        else:
            results[index] = _refusal(outcome.outcome)


def _tell(submission: _Submission, sent: queries.Sent) -> SentMessage:
    send = submission.send
    assert sent.message_id is not None
    assert sent.seq is not None
    assert sent.members_revision is not None
    message: Message = {
        "id": sent.message_id,
        "chat_id": send.chat_id,
        "seq": sent.seq,
        "sender_id": send.sender_id,
        "client_id": send.client_id,
        "message_type": "text",
        "text": send.text,
        "file": None,
        "reply_to_id": send.reply_to_id,
        "forwarded_from_user_id": None,
        "status": "sent",
        "created_at": rfc3339(sent.created_at),
        "edited_at": None,
        "deleted": False,
        "revision": sent.message_id,
        "service": None,
    }
    encoded = orjson.dumps(message)
    events.message_sent(send.chat_id, sent.seq, sent.members_revision, encoded, submission.connection_id)
    jobs.mark_for_fanout(send.chat_id)
    return SentMessage(encoded, True)


def _refusal(outcome: str) -> AppError:
    match outcome:
        case "session_revoked":
            return SessionRevoked()
        case "not_a_member":
            return NotFound("There is no such chat, or you are not in it.")
        case "client_id_reused":
            return ClientIdReused()
        case "not_a_poster":
            return Forbidden("Only the owner and admins post in a channel.")
        case "blocked":
            return Forbidden("This person does not take messages from you.")
        case "no_such_reply":
            return ValidationFailed(errors=[{"field": "reply_to_id", "message": "no such message in this chat"}])
    raise AssertionError(outcome)


def _earlier(user_id: int, repeated: SentMessage) -> SentMessage:
    """The message that an earlier send with the same client_id stored."""
    with reading() as unit:
        row = queries.by_id(unit, user_id, int(repeated.json))
    if row is None:
        raise Unavailable
    return SentMessage(orjson.dumps(present(row)), False)


def history(unit: UnitOfWork, user_id: int, chat_id: int, query: HistoryQuery) -> HistoryPage:
    """A page of a chat's messages, newest first; raises NotFound for who is not in the chat."""
    limit = query.limit
    if query.around is not None:
        # The message itself with as many older as newer ones; both sides read one past their end.
        half = limit // 2
        older = _older(unit, user_id, chat_id, query.around, limit - half + 1, shift=1)
        newer = _newer(unit, user_id, chat_id, query.around, half + 1)
        rows = newer.rows[:half][::-1] + older.rows[: limit - half]
        return _history_page(rows, len(older.rows) > limit - half, len(newer.rows) > half)
    if query.after is not None:
        page = _newer(unit, user_id, chat_id, query.after, limit + 1)
        return _history_page(page.rows[:limit][::-1], (page.place_seq or 0) > 0, len(page.rows) > limit)
    page = _older(unit, user_id, chat_id, query.before, limit + 1)
    is_newest = page.place_seq is None or page.last_seq < page.place_seq
    return _history_page(page.rows[:limit], len(page.rows) > limit, not is_newest)


def _older(
    unit: UnitOfWork, user_id: int, chat_id: int, before_id: int | None, limit: int, shift: int = 0
) -> queries.Page:
    """Looks at the recent parts first, and at all only where the chat goes further back than they show."""
    place = queries.Place(before_id, None, shift) if before_id else queries.Place(None, _PAST_ALL)
    least_id = max(0, min(before_id or LARGEST_ID, _newest_id()) - _RECENT)
    page = _member_only(queries.older(unit, user_id, chat_id, place, least_id, limit))
    if page.place_seq is None:
        place = queries.Place(None, _first_seq_past(unit, chat_id, (before_id or 0) + shift, page.last_seq))
        page = _member_only(queries.older(unit, user_id, chat_id, place, least_id, limit))
    goes_further_back = min(page.place_seq or 0, page.last_seq + 1) > 1 and (not page.rows or page.rows[-1][_SEQ] > 1)
    if len(page.rows) < limit and least_id > 0 and goes_further_back:
        page = _member_only(queries.older(unit, user_id, chat_id, place, 0, limit))
    return page


def _newer(unit: UnitOfWork, user_id: int, chat_id: int, after_id: int, limit: int) -> queries.Page:
    page = _member_only(queries.newer(unit, user_id, chat_id, queries.Place(after_id, None), limit))
    if page.place_seq is None:
        place = queries.Place(None, _first_seq_past(unit, chat_id, after_id, page.last_seq) - 1)
        page = _member_only(queries.newer(unit, user_id, chat_id, place, limit))
    return page


def _first_seq_past(unit: UnitOfWork, chat_id: int, message_id: int, last_seq: int) -> int:
    """The least seq whose message has an id of at least `message_id`: by halving, for ids not of this chat."""
    low, high = 1, last_seq + 1
    while low < high:
        middle = (low + high) // 2
        if queries.id_at(unit, chat_id, middle) < message_id:
            low = middle + 1
        else:
            high = middle
    return low


def _member_only(page: queries.Page | None) -> queries.Page:
    if page is None:
        raise NotFound("There is no such chat, or you are not in it.")
    return page


def _newest_id() -> int:
    """An id past every message of now, by this process's clock; only a hint of which parts to look at."""
    return int(time.time() * 1000 - 1_735_689_600_000 + 60_000) << 12


def _history_page(rows: list[queries.Row], before: bool, after: bool) -> HistoryPage:
    return {"items": [present(row) for row in rows], "has_more_before": before, "has_more_after": after}


def frames_between(chat_id: int, after_seq: int, up_to_seq: int) -> list[tuple[int, bytes]]:
    """The `new_message` frames of a chat's messages with seq in (after_seq, up_to_seq], for hubs that missed them."""
    with reading() as unit:
        rows = queries.by_seq(unit, chat_id, after_seq, up_to_seq)
    return [(row[2], events.new_message_frame(orjson.dumps(present(row)))) for row in rows]
