"""`demo`: what it makes is as consistent as what people make by using Paperplane."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from app.commands.__main__ import main
from app.infra.db import unit_of_work
from app.messages import unread
from config import settings
from tests import factories

_SMALL = ("demo", "--people", "6", "--groups", "3", "--messages", "400", "--months", "3")
_DEMO = "chat_id IN (SELECT id FROM chats WHERE settings @> '{\"demo\": true}')"


@pytest.fixture(scope="module", autouse=True)
def _demo(_servers: None) -> None:
    assert main(_SMALL) == 0


def test_the_messages_lie_in_the_months_before_now() -> None:
    assert factories.scalar(f"SELECT count(*) FROM messages WHERE {_DEMO}") == 400
    assert factories.scalar(
        f"SELECT min(created_at) < now() - interval '80 days' AND max(created_at) <= now() FROM messages WHERE {_DEMO}"
    )
    assert factories.scalar(f"SELECT count(DISTINCT tableoid) > 2 FROM messages WHERE {_DEMO}")


def test_ids_are_of_the_messages_times_and_grow_with_seq() -> None:
    assert not factories.scalar(
        f"SELECT count(*) FROM messages WHERE {_DEMO} AND id >> 12 <> message_id_at(created_at) >> 12"
    )
    assert not factories.scalar(f"""
        SELECT count(*) FROM (
          SELECT id < lag(id) OVER (PARTITION BY chat_id ORDER BY seq) AS wrong FROM messages WHERE {_DEMO}) m
        WHERE wrong""")


def test_seq_counts_without_a_gap_up_to_the_chats_last() -> None:
    assert not factories.scalar("""
        SELECT count(*) FROM chats c WHERE c.id IN (SELECT id FROM chats WHERE settings @> '{"demo": true}') AND (
          c.last_seq <> (SELECT count(*) FROM messages WHERE chat_id = c.id)
          OR c.last_seq <> (SELECT coalesce(max(seq), 0) FROM messages WHERE chat_id = c.id)
          OR c.last_message_id <> (SELECT coalesce(max(id), 0) FROM messages WHERE chat_id = c.id)
          OR c.fanned_out_seq <> c.last_seq
          OR c.member_count <> (SELECT count(*) FROM chat_members WHERE chat_id = c.id))""")


def test_unread_counts_equal_a_recount() -> None:
    with unit_of_work() as unit:
        chats = unit.execute(text("SELECT id FROM chats WHERE settings @> '{\"demo\": true}'")).scalars().all()
        assert unread.recount(unit, chats) == []
    assert factories.scalar(f"SELECT sum(unread_count) > 0 FROM user_chat_states WHERE {_DEMO}")
    assert not factories.scalar(f"""
        SELECT count(*) FROM user_chat_states s JOIN messages x ON x.chat_id = s.chat_id AND x.seq = s.last_read_seq
        WHERE s.{_DEMO} AND s.last_read_message_id <> x.id""")


def test_senders_are_members_and_replies_are_in_the_same_chat() -> None:
    assert not factories.scalar(f"""
        SELECT count(*) FROM messages x WHERE {_DEMO} AND NOT EXISTS (
          SELECT FROM chat_members m WHERE m.chat_id = x.chat_id AND m.user_id = x.sender_id)""")
    assert not factories.scalar(f"""
        SELECT count(*) FROM messages x WHERE {_DEMO} AND reply_to_id IS NOT NULL AND NOT EXISTS (
          SELECT FROM messages r WHERE r.id = x.reply_to_id AND r.chat_id = x.chat_id AND r.seq < x.seq)""")


def test_a_message_is_read_exactly_where_somebody_else_has_read_it() -> None:
    assert not factories.scalar(f"""
        SELECT count(*) FROM messages x WHERE {_DEMO} AND (status = 'read') <> EXISTS (
          SELECT FROM user_chat_states s
          WHERE s.chat_id = x.chat_id AND s.user_id <> x.sender_id AND s.last_read_seq >= x.seq)""")


def test_a_second_run_changes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    counted = f"SELECT count(*), count(DISTINCT chat_id) FROM messages WHERE {_DEMO}"
    before = factories.rows(counted)
    assert main(_SMALL) == 0
    assert factories.rows(counted) == before
    assert "password" in capsys.readouterr().out


def test_production_is_refused_unless_meant(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(settings(), "environment", "production")
    assert main(_SMALL) == 1
    assert "--yes" in capsys.readouterr().err
