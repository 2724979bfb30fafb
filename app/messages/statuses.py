"""Writes down which messages have arrived and were read: their status, and receipts where these are kept.

A mark that moves is queued in its own transaction. Here the moves of the queue are applied, in transactions that hold
a chat's row for a moment only. It is safe to run twice, late and in any order: a status only goes up, a receipt is kept
once, and a move leaves the queue in the transaction that does the last of it.

What was read by its own author only stays as it is; in groups one other member is enough, as in Telegram.
"""

from __future__ import annotations

import time
from collections import Counter as Counts
from collections.abc import Collection, Iterable, Iterator
from typing import NamedTuple

from prometheus_client import Counter

from app.chats.service import tells_receipts
from app.infra.db import UnitOfWork, reading, unit_of_work
from app.messages import events, status_queries
from app.messages.status_queries import Change, MoveId, Piece, QueuedMove

# Moves of one chat that are read at once, and messages that one transaction looks at, each for every move over it.
_MOST_MOVES = 500
_LARGEST_BATCH = 500
# Messages of one move until it is the turn of other moves.
_LARGEST_TURN = 5000

changed_statuses = Counter("paperplane_message_statuses_changed", "Messages whose status workers moved on.")
kept_receipts = Counter("paperplane_read_receipts_kept", "Read receipts that workers have kept.")


class Batch(NamedTuple):
    """What one transaction does: pieces of moves, those whose last piece is among them, and where others are then."""

    pieces: list[Piece]
    finished: list[QueuedMove]
    reached: dict[MoveId, int]


def update_all(chat_ids: Collection[int], seconds: float = 10.0) -> bool:
    """Applies what is queued for the chats; tells whether all of it was done in so many seconds.

    What is left stays in the queue, with how far each move came, and a sweep finds it. Moves over many messages take
    turns with the others.
    """
    deadline = time.monotonic() + seconds
    waiting = sorted(set(chat_ids))
    while waiting:
        with reading() as unit:
            moves = status_queries.take(unit, waiting, _MOST_MOVES)
        has_more = {
            chat_id for chat_id, count in Counts(move.chat_id for move in moves).items() if count == _MOST_MOVES
        }
        for batch in _batches(moves):
            _apply(batch)
            if time.monotonic() > deadline:
                return False
            has_more |= {move.chat_id for move in batch.reached}
        waiting = sorted(has_more)
    return True


def _batches(moves: Iterable[QueuedMove]) -> Iterator[Batch]:
    """Cuts moves into pieces, and puts these together to what one transaction can do without holding others up."""
    batch = Batch([], [], {})
    size = 0
    for move in moves:
        for piece in _pieces(move):
            width = piece.up_to_seq - piece.after_seq
            if size + width > _LARGEST_BATCH and batch.pieces:
                yield batch
                batch, size = Batch([], [], {}), 0
            batch.pieces.append(piece)
            batch.reached[MoveId(move.chat_id, move.id)] = piece.up_to_seq
            size += width
        if batch.reached.get(MoveId(move.chat_id, move.id), move.up_to_seq) == move.up_to_seq:
            batch.reached.pop(MoveId(move.chat_id, move.id), None)
            batch.finished.append(move)
    if batch.pieces or batch.finished:
        yield batch


def _pieces(move: QueuedMove) -> Iterator[Piece]:
    """The parts of a move that may change anything, of one turn: none where the chat is gone or others were before."""
    if move.chat_type is None:
        return
    keeps_receipts = move.is_read and tells_receipts(move.chat_type, move.member_count)
    after = move.after_seq
    if not keeps_receipts:
        after = max(after, move.read_seq if move.is_read else move.delivered_seq)
    end = min(move.up_to_seq, after + _LARGEST_TURN)
    while after < end:
        up_to = min(end, after + _LARGEST_BATCH)
        yield Piece(move.chat_id, move.user_id, move.is_read, after, up_to, move.moved_at, keeps_receipts)
        after = up_to


def _apply(batch: Batch) -> None:
    with_receipts = [piece for piece in batch.pieces if piece.keeps_receipts]
    left = {move.chat_id for move in batch.finished if move.is_departure}
    with unit_of_work() as unit:
        kept = status_queries.keep_receipts(unit, with_receipts) if with_receipts else 0
        changed = 0
        if batch.pieces or left:
            # Sends, edits and deletions wait from here on: their revisions and ours keep the order of commits.
            chat_ids = set(status_queries.lock(unit, sorted({piece.chat_id for piece in batch.pieces} | left)))
            statuses = status_queries.due(unit, [piece for piece in batch.pieces if piece.chat_id in chat_ids])
            if statuses:
                _tell(unit, status_queries.change(unit, statuses))
            status_queries.settle(unit, sorted(chat_ids))
            changed = len(statuses)
        status_queries.done(unit, batch.finished)
        if batch.reached:
            status_queries.go_on_after(unit, batch.reached)
        if left:
            status_queries.settle_departed(unit, sorted(left))
    kept_receipts.inc(kept)
    changed_statuses.inc(changed)


def _tell(unit: UnitOfWork, changes: Iterable[Change]) -> None:
    """Tells authors where nobody has told them yet: in large groups, in which nobody learns who it was that has read.

    There thousands of marks move over a message, and one event for it is enough.
    """
    events.statuses_changed(
        unit, [change for change in changes if not tells_receipts(change.chat_type, change.member_count)]
    )
