"""The plans of what is read often: by the index that was meant, whatever a chat's size and whatever else is stored."""

from __future__ import annotations

import re
from collections.abc import Callable
from uuid import uuid4

import pytest
from sqlalchemy import text

from app.chats.queries import views as chats
from app.chats.unread import UNREAD
from app.infra.db import Prepared, reading, unit_of_work
from app.messages import receipt_queries, unread
from app.messages.queries import changing, sending
from app.messages.queries import reading as history
from app.sync import page_queries
from app.web.authentication import Caller, live_session
from tests.factories import NEWEST_ID, run, scalar
from tests.people import Person
from tests.plans import assert_reads_little, explain

People = Callable[[int], list[Person]]

HUGE, SMALL, CHATS = 20_000, 20, 200


@pytest.fixture
def crowded(people: People) -> tuple[Person, int, int]:
    """Somebody in a chat with 20,000 messages and in a quiet one, beside 200 others; the ids of the two."""
    ada, bob = people(2)
    huge, quiet = ada.group(bob), ada.group(bob)
    with unit_of_work() as unit:
        fill = text(f"""
            WITH made AS (
              INSERT INTO messages (id, chat_id, seq, sender_id, text, revision)
              SELECT {NEWEST_ID} + n, :chat, n, :sender, 'hello', 1 FROM generate_series(1, :count) n RETURNING id)
            UPDATE chats SET last_seq = :count, last_message_id = (SELECT max(id) FROM made) WHERE id = :chat""")
        unit.execute(fill, {"chat": huge, "sender": bob.id, "count": HUGE})
        unit.execute(fill, {"chat": quiet, "sender": bob.id, "count": SMALL})
        unit.execute(
            text(f"""
                INSERT INTO messages (id, chat_id, seq, sender_id, text, revision)
                SELECT {NEWEST_ID} + 20 * c + n, -c, n, 1, 'noise', 1
                FROM generate_series(1, :chats) c, generate_series(1, 20) n"""),
            {"chats": CHATS},
        )
    with unit_of_work() as unit:
        unit.execute(text("ANALYZE messages"))
    return ada, huge, quiet


@pytest.mark.parametrize("side", ["newest", "deep", "newer"])
def test_a_page_of_history_touches_only_its_rows_in_a_huge_and_in_a_quiet_chat(
    crowded: tuple[Person, int, int], side: str
) -> None:
    ada, huge, quiet = crowded
    with reading() as unit:
        for chat_id, deep in ((huge, HUGE // 2), (quiet, SMALL // 2)):
            if side == "newer":
                plan = explain(unit, history._NEWER, chat_id, ada.id, None, deep, 0, 0, 51)
            else:
                seq = 2**62 if side == "newest" else deep
                plan = explain(unit, history._OLDER, chat_id, ada.id, None, seq, 0, 0, 51)
            assert_reads_little(plan, most_rows=51)


def test_the_bound_on_parts_never_makes_a_page_read_all_that_lies_before_it(crowded: tuple[Person, int, int]) -> None:
    ada, huge, _ = crowded
    with reading() as unit:
        newest = ada.get(f"/chats/{huge}/messages", limit=1)["items"][0]["id"]
        plan = explain(unit, history._OLDER, huge, ada.id, None, 2**62, 0, newest - 1, 51)
        assert_reads_little(plan, most_rows=1000)


def test_a_session_is_looked_at_once_and_first_by_key_in_the_statement_that_it_is_asked_along_with(
    crowded: tuple[Person, int, int],
) -> None:
    ada, huge, quiet = crowded
    unread.fan_out_all([huge, quiet])
    statements: list[tuple[Prepared, int, tuple[object, ...]]] = [
        (history._OLDER, 51, (huge, ada.id, None, 2**62, 0, 0, 51)),
        (chats._LIST, 10, (ada.id, None, False, None, None, None, 51)),
    ]
    for statement, most_rows, parameters in statements:
        for session, is_alive in ((ada.session_id, True), (str(uuid4()), False)):
            proviso = live_session(Caller(ada.id, session, 0))
            with reading() as unit:
                plan = explain(unit, statement.where(proviso), *parameters, *proviso.parameters)
            assert_reads_little(plan, most_rows)
            (look,) = [node for node in plan if node.get("Relation Name") == "sessions"]
            assert look["Index Name"] in ("pk_sessions", "ix_sessions_live")
            assert look["Actual Loops"] == 1
            others = [node for node in plan if node.get("Relation Name") not in (None, "sessions")]
            assert any(node["Actual Loops"] for node in others) == is_alive


def test_a_message_by_id_and_a_gap_by_seq_touch_only_their_rows(crowded: tuple[Person, int, int]) -> None:
    ada, huge, _ = crowded
    with reading() as unit:
        newest = ada.get(f"/chats/{huge}/messages", limit=1)["items"][0]["id"]
        assert_reads_little(explain(unit, changing._FIND, newest, ada.id), most_rows=1)
        assert_reads_little(explain(unit, history._BY_SEQ, huge, HUGE // 2, HUGE // 2 + 10), most_rows=10)


def test_the_chat_list_touches_the_callers_chats_and_their_last_messages_only(
    crowded: tuple[Person, int, int],
) -> None:
    ada, huge, quiet = crowded
    unread.fan_out_all([huge, quiet])
    with reading() as unit:
        plan = explain(unit, chats._LIST, ada.id, None, False, None, None, None, 51)
        assert_reads_little(plan, most_rows=10)


def test_the_last_message_before_some_deleted_ones_touches_only_these(crowded: tuple[Person, int, int]) -> None:
    ada, huge, quiet = crowded
    with unit_of_work() as unit:
        unit.execute(
            text("UPDATE messages SET deleted_at = now() WHERE chat_id = :chat AND seq > :seq"),
            {"chat": huge, "seq": HUGE - 20},
        )
    unread.fan_out_all([huge, quiet])
    assert ada.get(f"/chats/{huge}")["last_message"]["seq"] == HUGE - 20
    with reading() as unit:
        plan = explain(unit, chats._LIST, ada.id, None, False, None, None, None, 51)
        assert_reads_little(plan, most_rows=25)


def test_a_batch_locks_the_chats_of_its_senders_by_key(people: People, crowded: tuple[Person, int, int]) -> None:
    ada, huge, quiet = crowded
    (eve,) = people(1)
    with reading() as unit:
        plan = explain(unit, sending._LOCK, [huge, quiet, huge, quiet], [ada.id, ada.id, eve.id, eve.id])
    assert_reads_little(plan, most_rows=4)
    (membership,) = [node for node in plan if node.get("Relation Name") == "chat_members"]
    assert {"chat_id", "user_id"} <= set(re.findall(r"\w+", membership["Index Cond"]))
    assert plan[0]["Actual Rows"] == 2


_HIDES = """
    INSERT INTO message_hides (user_id, chat_id, message_id, seq, revision)
    SELECT :user, x.chat_id, x.id, x.seq, next_message_id(x.seq) FROM messages x
    WHERE x.chat_id = :chat AND x.seq % 2 = 0 AND x.seq < :before ON CONFLICT DO NOTHING"""
_OTHERS_HIDES = """
    INSERT INTO message_hides (user_id, chat_id, message_id, seq, revision)
    SELECT u, x.chat_id, x.id, x.seq, 1 FROM messages x, generate_series(-5000, -1) u
    WHERE x.chat_id = :chat AND x.seq IN (:last, :last - 1)"""
_UNREAD = Prepared(
    "unread_of_one",
    ("bigint", "bigint"),
    f"SELECT {UNREAD} FROM user_chat_states s JOIN chats c ON c.id = s.chat_id WHERE s.user_id = $1 AND s.chat_id = $2",
)


@pytest.mark.parametrize("analyzed", [False, True])
def test_what_somebody_has_hidden_is_looked_for_by_key_however_much_they_and_others_have_hidden(
    crowded: tuple[Person, int, int], analyzed: bool
) -> None:
    ada, huge, _ = crowded
    newest = int(str(scalar("SELECT last_message_id FROM chats WHERE id = :c", c=huge)))
    revision = int(str(scalar("SELECT message_id_at(now())")))
    run("UPDATE user_chat_states SET counted_seq = :s WHERE chat_id = :c", s=HUGE - 10, c=huge)
    run("INSERT INTO unread_removals (chat_id, seq, exempt_user_ids) VALUES (:c, :s, '{}')", c=huge, s=HUGE - 20)
    run("UPDATE user_chat_states SET unread_count = 9 WHERE chat_id = :c AND user_id = :u", c=huge, u=ada.id)
    pk, by_seq, by_revision = (
        "pk_message_hides",
        "ix_message_hides_chat_id_seq_user_id",
        "ix_message_hides_user_id_revision",
    )
    statements: list[tuple[set[str], Prepared, tuple[object, ...]]] = [
        ({pk}, history._OLDER, (huge, ada.id, None, HUGE - 10, 0, 0, 51)),
        ({pk}, changing._FIND, (newest, ada.id)),
        ({pk}, receipt_queries._SUBJECT, (ada.id, newest)),
        ({pk, by_seq}, _UNREAD, (ada.id, huge)),
        ({pk, by_seq, by_revision}, page_queries._PAGE, (60, ada.id, revision, 51, 51, revision)),
    ]
    with reading() as unit:
        # Planned while the table is as good as empty.
        for _, statement, parameters in statements:
            explain(unit, statement, *parameters)
        run(_HIDES, user=ada.id, chat=huge, before=HUGE - 40)
        run(_OTHERS_HIDES, chat=huge, last=HUGE)
        if analyzed:
            run("ANALYZE message_hides")
        for indexes, statement, parameters in statements:
            plan = explain(unit, statement, *parameters)
            scans = [node for node in plan if "message_hides" in node.get("Index Name", "")]
            assert {node["Index Name"] for node in scans} == indexes, statement.name
            for node in scans:
                touched = node["Actual Rows"] + node.get("Rows Removed by Filter", 0)
                assert touched <= (51 if node["Index Name"] == by_revision else 1), (statement.name, node)
