"""What the unread counts cost in a chat of 100,000 members and 20,000 messages, by the plans that connections keep."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from app.chats.queries import reads
from app.infra.db import engine, unit_of_work
from app.messages import removal_queries, unread_queries
from config import settings
from tests import factories
from tests.plans import explain, most_touched, touched

MEMBERS, MESSAGES, OTHERS = 100_000, 20_000, 3_000
_PEOPLE = """
    INSERT INTO users (first_name) SELECT 'Ada' FROM generate_series(1, :count) RETURNING id"""
_MEMBERS = """
    WITH members AS (
      INSERT INTO chat_members (chat_id, user_id) SELECT :chat, unnest(CAST(:people AS bigint[])) RETURNING user_id)
    INSERT INTO user_chat_states (chat_id, user_id, counted_seq, unread_count)
    SELECT :chat, user_id, :count, CASE WHEN user_id = :sender THEN 0 ELSE :count END FROM members"""
_MESSAGES = f"""
    WITH made AS (
      INSERT INTO messages (id, chat_id, seq, sender_id, text, revision)
      SELECT {factories.NEWEST_ID} + n, :chat, n, :sender, 'hello', 1 FROM generate_series(1, :count) n RETURNING id)
    UPDATE chats SET last_seq = :count, fanned_out_seq = :count, member_count = :members,
      last_message_id = (SELECT max(id) FROM made) WHERE id = :chat"""
# Other chats of the same people, so that memberships by person are more than those by chat.
_OTHERS = """
    WITH made AS (
      INSERT INTO chats (type, member_count) SELECT 'group', 20 FROM generate_series(1, :count) RETURNING id),
    members AS (
      INSERT INTO chat_members (chat_id, user_id)
      SELECT id, :first + (id * 37 + n * 211) % :people FROM made, generate_series(1, 20) n RETURNING chat_id, user_id)
    INSERT INTO user_chat_states (chat_id, user_id) SELECT chat_id, user_id FROM members"""


@pytest.fixture(scope="module")
def crowd() -> tuple[int, list[int]]:
    """A channel with its 100,000 members, none of whom has read anything."""
    with unit_of_work() as unit:
        unit.execute(text("SET LOCAL statement_timeout = 0"))
        people = sorted(unit.execute(text(_PEOPLE), {"count": MEMBERS}).scalars())
        chat_id: int = unit.execute(text("INSERT INTO chats (type) VALUES ('channel') RETURNING id")).scalar_one()
        about = {"chat": chat_id, "sender": people[0], "count": MESSAGES}
        unit.execute(text(_MEMBERS), about | {"people": people})
        unit.execute(text(_MESSAGES), about | {"members": MEMBERS})
        unit.execute(text(_OTHERS), {"count": OTHERS, "first": people[0], "people": MEMBERS})
    return chat_id, people


@pytest.fixture(params=["as they were", "analyzed"])
def statistics(request: pytest.FixtureRequest) -> None:
    """New connections, which plan by what PostgreSQL knows of the tables now."""
    if request.param == "analyzed":
        factories.run("ANALYZE chat_members, user_chat_states, messages")
    engine().dispose()


@pytest.mark.usefixtures("statistics")
def test_a_batch_of_members_is_found_along_the_key_of_the_chat_only(crowd: tuple[int, list[int]]) -> None:
    chat_id, people = crowd
    batch = settings().fanout_batch
    after, up_to = people[MEMBERS // 2], people[MEMBERS // 2 + batch]
    statements = [
        (unread_queries._LOCK_PART, (chat_id, MESSAGES + 1, after, batch)),
        (removal_queries._PART, (chat_id, after, batch)),
        (removal_queries._LOCK, (chat_id, after, up_to, MESSAGES)),
    ]
    with unit_of_work() as unit:
        for statement, parameters in statements:
            found = explain(unit, statement, *parameters)
            indexes = {node["Index Name"] for node in found if "chat_members" in node.get("Index Name", "")}
            assert indexes == {"pk_chat_members"}, statement.name
            assert most_touched(found) <= batch + 1, statement.name


@pytest.mark.usefixtures("statistics")
@pytest.mark.parametrize(("seq", "most"), [(MESSAGES, 1), (10, 10), (MESSAGES - 10, 10)])
def test_reading_costs_what_lies_in_the_shorter_step_and_nothing_at_the_end(
    crowd: tuple[int, list[int]], seq: int, most: int
) -> None:
    chat_id, people = crowd
    with unit_of_work() as unit:
        assert touched(unit, reads._MARK_READ, people[1], chat_id, seq, 1, 0) <= most
        left = unit.connection.exec_driver_sql(
            "SELECT unread_count FROM user_chat_states WHERE chat_id = %s AND user_id = %s", (chat_id, people[1])
        ).scalar_one()
        unit.connection.rollback()
    assert left == MESSAGES - seq


@pytest.mark.usefixtures("statistics")
def test_a_recount_of_all_members_is_done_within_the_time_of_a_statement(crowd: tuple[int, list[int]]) -> None:
    chat_id, people = crowd
    with unit_of_work() as unit:
        wrong = "UPDATE user_chat_states SET unread_count = 7 WHERE chat_id = :chat AND user_id = :user"
        unit.execute(text(wrong), {"chat": chat_id, "user": people[1]})
        assert unread_queries.differences(unit, [chat_id]) == [(chat_id, people[1], 7, MESSAGES)]
        unit.connection.rollback()
