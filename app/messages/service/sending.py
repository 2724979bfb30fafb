"""Sending: one way in for REST, sockets and jobs; what waits at the same moment goes together."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import orjson

from app.chats.message import Message
from app.errors import AppError, ClientIdReused, Forbidden, NotFound, SessionRevoked, Unavailable, ValidationFailed
from app.files.file import present_json
from app.infra import jobs
from app.infra.combiner import Combiner
from app.infra.db import reading
from app.infra.times import rfc3339
from app.messages import events, queries
from app.messages.schemas import NewMessage
from app.messages.service.reading import find_kept
from app.web.authentication import Caller

_LANES = 2
_LARGEST_BATCH = 100
# Several times what a batch takes, in seconds: one that takes longer is held up, as a rule by a chat that is locked.
_PATIENCE = 0.02


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
    client_id = None if new.client_id is None else str(new.client_id)
    send = queries.Send(
        chat_id=new.chat_id,
        sender_id=caller.user_id,
        session_id=caller.session_id,
        client_id=client_id,
        body_hash=_body_hash(new),
        message_type="text",
        text=new.text,
        reply_to_id=new.reply_to_id,
        file_id=None if new.file_id is None else str(new.file_id),
    )
    submission = _Submission(send, connection_id)
    try:
        result = _combiner().submit(submission)
    except queries.Undecided:
        result = _send_alone(submission)
    if result.is_new:
        return result
    return earlier(caller.user_id, int(result.json))


def _send_alone(submission: _Submission) -> SentMessage:
    """Sends what could not go with others, beside the combiner, so that it holds nobody up."""
    (outcome,) = queries.send_alone([submission.send])
    return _result(submission, outcome)


def send_together(sends: Sequence[queries.Send]) -> list[SentMessage]:
    """Stores messages of one sender to several chats, all of them or none, and tells the chats.

    A batch of its own: one round trip and one commit. Beside what was stored just now, an earlier message that is gone
    is left out. Raises as `send_message` does; then nothing was stored.
    """
    outcomes = queries.send_alone(sends, all_or_nothing=True)
    for outcome in outcomes:
        if outcome.outcome not in ("sent", "repeated"):
            raise _refusal(outcome.outcome)
    sent = [_result(_Submission(send, None), outcome) for send, outcome in zip(sends, outcomes, strict=True)]
    found: list[SentMessage] = []
    for send, one in zip(sends, sent, strict=True):
        try:
            found.append(one if one.is_new else earlier(send.sender_id, int(one.json)))
        except NotFound:
            if not any(other.is_new for other in sent):
                raise
    return found


@lru_cache(maxsize=1)
def _combiner() -> Combiner[_Submission, SentMessage]:
    return Combiner(_send_batch, _LANES, _LARGEST_BATCH, _PATIENCE)


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
    try:
        outcomes = queries.send_batch([submission.send for _, submission in group])
    except (queries.Undecided, Unavailable) as error:
        results.update((index, error) for index, _ in group)
        return
    for (index, submission), outcome in zip(group, outcomes, strict=True):
        try:
            results[index] = _result(submission, outcome)
        except AppError as refusal:
            results[index] = refusal


def _result(submission: _Submission, outcome: queries.Sent) -> SentMessage:
    """What the sender gets; a message that was stored just now is told to its chat. Raises why it was not stored."""
    if outcome.outcome == "sent":
        return _tell(submission, outcome)
    if outcome.outcome == "repeated":
        return SentMessage(str(outcome.message_id).encode(), False)
    raise _refusal(outcome.outcome)


def _tell(submission: _Submission, sent: queries.Sent) -> SentMessage:
    send = submission.send
    assert sent.message_id is not None
    assert sent.seq is not None
    assert sent.members_revision is not None
    file = None if sent.file is None else present_json(sent.file)
    message: Message = {
        "id": sent.message_id,
        "chat_id": send.chat_id,
        "seq": sent.seq,
        "sender_id": send.sender_id,
        "client_id": send.client_id,
        "message_type": send.message_type if file is None else file["kind"],
        "text": send.text,
        "file": file,
        "reply_to_id": send.reply_to_id,
        "forwarded_from_user_id": send.forwarded_from_user_id,
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
    jobs.mark_for_search(send.chat_id)
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
        case "no_such_file":
            return ValidationFailed(errors=[{"field": "file_id", "message": "no such file of yours, or it has failed"}])
    raise AssertionError(outcome)


def earlier(user_id: int, message_id: int) -> SentMessage:
    """The message that an earlier send with the same client_id stored, as its sender sees it now.

    It was sent, so it is never stored again: where it is deleted for the sender the answer is its tombstone, and where
    it is not stored any longer, or the sender has just left, NotFound is raised.
    """
    with reading() as unit:
        message = find_kept(unit, user_id, message_id)
    return SentMessage(orjson.dumps(message), False)
