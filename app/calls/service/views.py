"""Calls as their people see them."""

from __future__ import annotations

from app.calls import livekit, queries
from app.calls.ice import ice_servers
from app.calls.queries import CallRow, Remembered
from app.calls.schemas import Call, HistoryQuery, JoinedCall
from app.chats.service import membership
from app.errors import NotFound
from app.infra.db import UnitOfWork
from app.infra.times import rfc3339
from app.web.input import LARGEST_ID
from app.web.pagination import ItemPage, decode_cursor, encode_cursor


def list_calls(unit: UnitOfWork, user_id: int, query: HistoryQuery) -> ItemPage[Call]:
    """A page of the calls that a person made, took or missed, the latest first."""
    before = LARGEST_ID if query.cursor is None else int(decode_cursor(query.cursor, int)[0])
    rows = queries.history(unit, user_id, before, query.missed, query.limit + 1)
    page = rows[: query.limit]
    return {
        "items": [present(_as_known(each), user_id) for each in page],
        "next_cursor": encode_cursor(page[-1].call.id) if len(rows) > query.limit else None,
    }


def get_call(unit: UnitOfWork, user_id: int, call_id: int) -> Call:
    """One of a person's calls, or of a group that the person is in; raises NotFound."""
    row = find_own(unit, user_id, call_id)
    if row.callee_id is None:
        membership(unit, row.chat_id, user_id)
    return present(row, user_id)


def find_own(unit: UnitOfWork, user_id: int, call_id: int) -> CallRow:
    """A call that a person is or was in, or may join; raises NotFound.

    Who was in a group's call finds it after leaving the group, to end it: nothing else may follow from that.
    """
    row = queries.find(unit, call_id)
    if row is not None and row.callee_id is not None:
        if user_id in (row.caller_id, row.callee_id):
            return row
    elif row is not None:
        if user_id in queries.people_of(unit, call_id):
            return row
        membership(unit, row.chat_id, user_id)
        return row
    raise NotFound("There is no such call, or you are not in it.")


def _as_known(each: Remembered) -> CallRow:
    """The call of a history; to who has left its group nothing of it is newer than that."""
    row, left_at, left_revision = each
    if left_at is None or left_revision is None or (row.ended_at is not None and row.ended_at <= left_at):
        return row
    return row._replace(
        state="ended",
        end_reason="hangup",
        ended_at=max(left_at, row.started_at),
        participant_ids=[],
        revision=min(row.revision, left_revision),
    )


def reread(unit: UnitOfWork, call_id: int) -> CallRow:
    """A call that is known to exist, after a change."""
    row = queries.find(unit, call_id)
    assert row is not None
    return row


def present(row: CallRow, viewer_id: int) -> Call:
    """A call as somebody sees it."""
    is_missed = row.state == "ended" and row.answered_at is None and row.end_reason != "declined"
    duration = None
    if row.ended_at is not None:
        duration = int((row.ended_at - row.answered_at).total_seconds()) if row.answered_at else 0
    return {
        "id": row.id,
        "chat_id": row.chat_id,
        "caller_id": row.caller_id,
        "callee_id": row.callee_id,
        "call_type": row.call_type,  # type: ignore[typeddict-item]
        "state": row.state,  # type: ignore[typeddict-item]
        "status": "outgoing" if viewer_id == row.caller_id else "missed" if is_missed else "incoming",
        "end_reason": row.end_reason,  # type: ignore[typeddict-item]
        "started_at": rfc3339(row.started_at),
        "answered_at": rfc3339(row.answered_at),
        "ended_at": rfc3339(row.ended_at),
        "duration_seconds": duration,
        "participant_ids": row.participant_ids,
        "revision": row.revision,
    }


def present_joined(row: CallRow, viewer_id: int) -> JoinedCall:
    """A call as somebody sees it who is in it, and how to connect."""
    room = livekit.room(row.id, viewer_id) if row.callee_id is None else None
    return {**present(row, viewer_id), "ice_servers": ice_servers(viewer_id), "room": room}


def views(row: CallRow) -> list[tuple[int, Call]]:
    """A direct call as each of the two sees it."""
    assert row.callee_id is not None
    return [(user_id, present(row, user_id)) for user_id in (row.caller_id, row.callee_id)]
