"""People, chats and messages in large numbers, each by a few set-based statements; what tests and benchmarks of scale
fill their databases with.

Everything is as the application would have left it: ids and seqs of a chat grow together, counts are exact, nothing
waits for a worker. Ids are the database's own, so a crowd fits beside whatever is there already.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import text

from app.infra.db import UnitOfWork

# Filling takes its time, and nobody waits for it; foreign keys are right by the way of filling, and not checked.
_PREPARE = text("""
    SELECT set_config('statement_timeout', '0', true), set_config('session_replication_role', 'replica', true)""")

_PEOPLE = text("INSERT INTO users (first_name) SELECT 'Ada' FROM generate_series(1, :count) RETURNING id")

_CHATS = text("""
    INSERT INTO chats (type, name, direct_key, created_by, member_count, revision, members_revision)
    SELECT :kind, CASE WHEN :kind <> 'direct' THEN 'Chat ' || t.n END,
      CASE WHEN :kind = 'direct'
        THEN LEAST(t.owner_id, t.other_id) || ':' || GREATEST(t.owner_id, t.other_id) END,
      t.owner_id, :size, r.revision, r.revision
    FROM unnest(CAST(:owners AS bigint[]), CAST(:others AS bigint[])) WITH ORDINALITY t (owner_id, other_id, n)
    CROSS JOIN (SELECT next_message_id() AS revision OFFSET 0) r
    ORDER BY t.n RETURNING id""")

_MEMBERS = text("""
    WITH pairs AS (
      SELECT t.chat_id, t.user_id, c.type <> 'direct' AND c.created_by = t.user_id AS is_owner, c.revision
      FROM unnest(CAST(:chat_ids AS bigint[]), CAST(:user_ids AS bigint[])) AS t (chat_id, user_id)
      JOIN chats c ON c.id = t.chat_id
    ), members AS (
      INSERT INTO chat_members (chat_id, user_id, role, revision)
      SELECT chat_id, user_id, CASE WHEN is_owner THEN 'owner' ELSE 'member' END, revision FROM pairs)
    INSERT INTO user_chat_states (chat_id, user_id, revision) SELECT chat_id, user_id, revision FROM pairs""")

# Ids are drawn first and then put in order: drawn while rows are written, two of a millisecond could stand in the
# wrong one. Chats take turns, as they do in life, so the messages of one do not lie side by side.
_MESSAGES = text("""
    WITH drawn AS MATERIALIZED (
      SELECT next_message_id() AS id
      FROM generate_series(1, cardinality(CAST(:chat_ids AS bigint[])) * CAST(:each AS integer))
    ), placed AS (
      SELECT id, (row_number() OVER (ORDER BY id) - 1) AS n FROM drawn
    ), written AS (
      SELECT p.id, k.chat_ids [p.n % k.size + 1] AS chat_id, p.n / k.size + 1 AS seq
      FROM placed p CROSS JOIN (
        SELECT CAST(:chat_ids AS bigint[]) AS chat_ids, cardinality(CAST(:chat_ids AS bigint[])) AS size) k)
    INSERT INTO messages (id, chat_id, seq, sender_id, text, status, revision)
    SELECT w.id, w.chat_id, w.seq, c.created_by, 'Message ' || w.seq, 'read', w.id
    FROM written w JOIN chats c ON c.id = w.chat_id""")

_END_CHATS = text("""
    UPDATE chats c SET last_seq = :each, fanned_out_seq = :each, delivered_seq = :each, read_seq = :each,
      last_message_id = l.id, revision = l.id
    FROM unnest(CAST(:chat_ids AS bigint[])) AS k (chat_id)
    CROSS JOIN LATERAL (SELECT id FROM messages WHERE chat_id = k.chat_id AND seq = :each OFFSET 0) l
    WHERE c.id = k.chat_id""")

# Members have read all but the last few: none, one or two. The owner wrote all of it.
_END_STATES = text("""
    UPDATE user_chat_states s SET
      counted_seq = c.last_seq, last_delivered_seq = c.last_seq, last_read_seq = c.last_seq - w.waiting,
      unread_count = w.waiting, last_read_message_id = c.last_message_id
    FROM chats c
    CROSS JOIN LATERAL (SELECT LEAST(c.id % 3, c.last_seq) AS some) o
    CROSS JOIN LATERAL (
      SELECT m.user_id, CASE WHEN m.user_id = c.created_by THEN 0 ELSE o.some END AS waiting
      FROM chat_members m WHERE m.chat_id = c.id OFFSET 0) w
    WHERE c.id = ANY (CAST(:chat_ids AS bigint[])) AND s.user_id = w.user_id AND s.chat_id = c.id""")


def begin(unit: UnitOfWork) -> None:
    """Makes this transaction one for filling: without time-outs and checks of foreign keys; for superusers."""
    unit.execute(_PREPARE)


def add_people(unit: UnitOfWork, count: int) -> list[int]:
    """The ids of new people."""
    return list(unit.execute(_PEOPLE, {"count": count}).scalars())


def add_chats(unit: UnitOfWork, kind: str, members: Sequence[Sequence[int]]) -> list[int]:
    """The ids of new chats, one for each list of members, all lists of one length; the first member is the owner."""
    owners, size = [people[0] for people in members], len(members[0])
    others = [people[-1] for people in members]
    chat_ids = list(unit.execute(_CHATS, {"kind": kind, "owners": owners, "others": others, "size": size}).scalars())
    pairs = [(chat_id, user_id) for chat_id, people in zip(chat_ids, members, strict=True) for user_id in people]
    unit.execute(_MEMBERS, {"chat_ids": [pair[0] for pair in pairs], "user_ids": [pair[1] for pair in pairs]})
    return chat_ids


def add_messages(unit: UnitOfWork, chat_ids: Sequence[int], each: int) -> None:
    """Fills new chats with so many messages of their owners; the others have not read the last none, one or two."""
    parameters = {"chat_ids": list(chat_ids), "each": each}
    for statement in (_MESSAGES, _END_CHATS, _END_STATES):
        unit.execute(statement, parameters)


def add_busy_person(unit: UnitOfWork, chats: int, messages_each: int) -> tuple[int, list[int]]:
    """Somebody in so many chats, and the ids of these: half direct, half groups of ten, written by the others."""
    direct = chats // 2
    busy, *others = add_people(unit, 1 + max(direct, 9))
    chat_ids = add_chats(unit, "direct", [(others[n], busy) for n in range(direct)])
    turns = [[others[(n + m) % len(others)] for m in range(9)] for n in range(chats - direct)]
    chat_ids += add_chats(unit, "group", [(*turn, busy) for turn in turns])
    add_messages(unit, chat_ids, messages_each)
    return busy, chat_ids


def add_others(unit: UnitOfWork, chats: int, messages_each: int) -> None:
    """Groups of five of people who have nothing to do with anybody else."""
    people = add_people(unit, chats)
    chat_ids = add_chats(unit, "group", [[people[(n + m) % chats] for m in range(5)] for n in range(chats)])
    add_messages(unit, chat_ids, messages_each)


def add_large_chat(unit: UnitOfWork, kind: str, members: int, messages: int = 0) -> tuple[int, list[int]]:
    """A chat of so many members and their ids; the first is the owner."""
    people = add_people(unit, members)
    (chat_id,) = add_chats(unit, kind, [people])
    if messages:
        add_messages(unit, [chat_id], messages)
    return chat_id, people
