"""SQL of a call's transitions: each is one conditional statement, by the database's clock.

Of any number that are tried at the same moment PostgreSQL lets one through: the others find their condition gone.
"""

from __future__ import annotations

from sqlalchemy import text

from app.infra.db import UnitOfWork

_NEW_CALL = text("""
    INSERT INTO calls (chat_id, caller_id, callee_id, call_type, state, deadline, answered_at, revision)
    VALUES (:chat_id, :caller_id, :callee_id, :call_type, :state,
      clock_timestamp() + make_interval(secs => :ring_seconds),
      CASE WHEN :state = 'active' THEN clock_timestamp() END, next_message_id())
    RETURNING id""")

# In the order of ids: two who call each other at the same moment wait for one another only one way round.
_TAKE_PEOPLE = text("""
    INSERT INTO call_participants (user_id, call_id, session_id, joined_at)
    SELECT p.user_id, :call_id, CASE WHEN p.user_id = :caller_id THEN CAST(:session_id AS uuid) END,
      CASE WHEN p.user_id = :caller_id THEN clock_timestamp() END
    FROM unnest(CAST(:people AS bigint[])) AS p (user_id) ORDER BY p.user_id
    ON CONFLICT (user_id) WHERE left_at IS NULL DO NOTHING
    RETURNING user_id""")

_BUSY_CALL = text("""
    WITH made AS (
      INSERT INTO calls (chat_id, caller_id, callee_id, call_type, state, end_reason, ended_at, revision)
      VALUES (:chat_id, :caller_id, :callee_id, :call_type, 'ended', 'busy', clock_timestamp(), next_message_id())
      RETURNING *
    ), noted AS (
      INSERT INTO call_participants (user_id, call_id, left_at, is_missed)
      SELECT p.user_id, m.id, m.ended_at, p.user_id = m.callee_id
      FROM made m CROSS JOIN LATERAL (VALUES (m.caller_id), (m.callee_id)) AS p (user_id))
    SELECT id FROM made""")

_ANSWER = text("""
    WITH answered AS (
      UPDATE calls SET state = 'active', answered_at = clock_timestamp(), revision = next_message_id(revision)
      WHERE id = :call_id AND callee_id = :user_id AND state = 'ringing' AND deadline > clock_timestamp()
      RETURNING answered_at)
    UPDATE call_participants p SET session_id = CAST(:session_id AS uuid), joined_at = a.answered_at
    FROM answered a WHERE p.call_id = :call_id AND p.user_id = :user_id
    RETURNING p.call_id""")

_END = """
    WITH ended AS (
      UPDATE calls c SET state = 'ended', end_reason = {reason}, ended_at = clock_timestamp(),
        revision = next_message_id(revision)
      WHERE c.id = :call_id AND {condition}
      RETURNING *
    ), gone AS (
      UPDATE call_participants p SET left_at = e.ended_at,
        is_missed = e.answered_at IS NULL AND e.end_reason <> 'declined' AND p.user_id = e.callee_id
      FROM ended e WHERE p.call_id = :call_id AND p.left_at IS NULL)
    SELECT id FROM ended"""

# A device that only declines must not end what another one of the same person has answered meanwhile.
_END_BY_PERSON = text(
    _END.format(
        reason="""CASE WHEN c.state = 'active' THEN 'hangup' WHEN c.caller_id = :user_id THEN 'cancelled'
          WHEN :reason = 'busy' THEN 'busy' ELSE 'declined' END""",
        condition="""c.state <> 'ended' AND :user_id IN (c.caller_id, c.callee_id)
          AND (c.state = 'ringing' OR c.caller_id = :user_id OR :reason = 'hangup' OR EXISTS (
            SELECT FROM call_participants d WHERE d.call_id = c.id AND d.user_id = :user_id
              AND d.session_id = CAST(:session_id AS uuid)))""",
    )
)
_END_OVERDUE = text(_END.format(reason="'missed'", condition="c.state = 'ringing' AND c.deadline <= clock_timestamp()"))
# The state is the one in which devices were found gone: of a call that is answered at this moment the statement may see
# the new state together with the participants as they were.
_END_DISCONNECTED = text(
    _END.format(
        reason="CASE WHEN c.state = 'ringing' THEN 'missed' ELSE 'disconnected' END",
        condition="""c.state = :state AND NOT EXISTS (
          SELECT FROM call_participants d WHERE d.call_id = c.id AND d.left_at IS NULL AND d.session_id IS NOT NULL
            AND (d.gone_since > clock_timestamp() - make_interval(secs => :seconds)) IS NOT FALSE)""",
    )
)
_END_EMPTY = text(
    _END.format(
        reason=":reason",
        condition="""c.state = 'active' AND NOT EXISTS (
          SELECT FROM call_participants d WHERE d.call_id = c.id AND d.left_at IS NULL)""",
    )
)

_JOIN = text("""
    INSERT INTO call_participants (user_id, call_id, session_id, joined_at)
    VALUES (:user_id, :call_id, CAST(:session_id AS uuid), clock_timestamp())
    ON CONFLICT (user_id, call_id) DO UPDATE
    SET session_id = EXCLUDED.session_id, left_at = NULL, gone_since = NULL, exit_due = NULL,
      joined_at = CASE WHEN call_participants.left_at IS NULL THEN call_participants.joined_at
                  ELSE EXCLUDED.joined_at END""")
# A device from which the person has gone over to another one must not end what that one is in. Who was gone when the
# sweep looked may be back by now.
_LEAVE = text("""
    UPDATE call_participants SET left_at = clock_timestamp(), exit_due = clock_timestamp()
    WHERE user_id = :user_id AND call_id = :call_id AND left_at IS NULL
      AND (CAST(:session_id AS uuid) IS NULL OR session_id = CAST(:session_id AS uuid))
      AND (CAST(:gone_for AS integer) IS NULL
        OR gone_since <= clock_timestamp() - make_interval(secs => CAST(:gone_for AS integer)))""")
_STAMP = text("UPDATE calls SET revision = next_message_id(revision) WHERE id = :call_id")


def insert_ringing(
    unit: UnitOfWork, chat_id: int, caller_id: int, session_id: str, callee_id: int, call_type: str, seconds: int
) -> int | None:
    """A new call that rings; None where one of the two has just come into another: then nothing of this may stay."""
    call_id = _insert(unit, chat_id, caller_id, callee_id, call_type, "ringing", seconds)
    people = {"people": [caller_id, callee_id], "call_id": call_id, "caller_id": caller_id, "session_id": session_id}
    return call_id if len(unit.execute(_TAKE_PEOPLE, people).all()) == 2 else None


def insert_group_call(unit: UnitOfWork, chat_id: int, caller_id: int, call_type: str) -> int:
    """A new call of a group, with nobody in it yet."""
    return _insert(unit, chat_id, caller_id, None, call_type, "active", None)


def _insert(
    unit: UnitOfWork,
    chat_id: int,
    caller_id: int,
    callee_id: int | None,
    call_type: str,
    state: str,
    ring_seconds: int | None,
) -> int:
    parameters = {
        "chat_id": chat_id,
        "caller_id": caller_id,
        "callee_id": callee_id,
        "call_type": call_type,
        "state": state,
        "ring_seconds": ring_seconds,
    }
    call_id: int = unit.execute(_NEW_CALL, parameters).scalar_one()
    return call_id


def insert_busy(unit: UnitOfWork, chat_id: int, caller_id: int, callee_id: int, call_type: str) -> int:
    """A call that was over before it rang, because the callee is in another."""
    parameters = {"chat_id": chat_id, "caller_id": caller_id, "callee_id": callee_id, "call_type": call_type}
    call_id: int = unit.execute(_BUSY_CALL, parameters).scalar_one()
    return call_id


def answer(unit: UnitOfWork, call_id: int, user_id: int, session_id: str) -> bool:
    """Ringing → active, by the callee's first device; tells whether it was this one."""
    parameters = {"call_id": call_id, "user_id": user_id, "session_id": session_id}
    return unit.execute(_ANSWER, parameters).first() is not None


def end_by_person(unit: UnitOfWork, call_id: int, user_id: int, session_id: str | None, reason: str | None) -> bool:
    """Ends a direct call for one of the two; tells whether it was this that ended it."""
    parameters = {"call_id": call_id, "user_id": user_id, "session_id": session_id, "reason": reason or ""}
    return unit.execute(_END_BY_PERSON, parameters).first() is not None


def end_overdue(unit: UnitOfWork, call_id: int) -> bool:
    """Ringing → ended, where its time is over; tells whether it was this that ended it."""
    return unit.execute(_END_OVERDUE, {"call_id": call_id}).first() is not None


def end_disconnected(unit: UnitOfWork, call_id: int, state: str, seconds: int) -> bool:
    """Ringing or active, as `state` says → ended, where all devices in it are gone for so long; tells whether it was
    this that ended it.
    """
    parameters = {"call_id": call_id, "state": state, "seconds": seconds}
    return unit.execute(_END_DISCONNECTED, parameters).first() is not None


def end_empty(unit: UnitOfWork, call_id: int, reason: str) -> bool:
    """Active → ended, where nobody is in it any more; tells whether it was this that ended it."""
    return unit.execute(_END_EMPTY, {"call_id": call_id, "reason": reason}).first() is not None


def join(unit: UnitOfWork, call_id: int, user_id: int, session_id: str) -> None:
    """Puts a person's device into a group call; raises IntegrityError where the person is in another one."""
    unit.execute(_JOIN, {"call_id": call_id, "user_id": user_id, "session_id": session_id})
    unit.execute(_STAMP, {"call_id": call_id})


def leave(unit: UnitOfWork, call_id: int, user_id: int, session_id: str | None, gone_for: int | None) -> bool:
    """Takes a person out of a group call, with this device or, for None, with any; where seconds are given only one
    that is gone for so long. False for who was not in it so.
    """
    parameters = {"call_id": call_id, "user_id": user_id, "session_id": session_id, "gone_for": gone_for}
    if not unit.execute(_LEAVE, parameters).rowcount:
        return False
    unit.execute(_STAMP, {"call_id": call_id})
    return True
