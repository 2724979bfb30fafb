"""Indexing anew: all of it, beside what goes on, and on from where it was stopped."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from app.commands.__main__ import main
from app.infra.db import UnitOfWork
from app.search import indexing, rebuilding
from app.search.index import Document, Part, Range, Scope, SearchIndex
from app.search.wanted import Wanted
from tests.factories import make_chat, make_users, run, scalar
from tests.search.scenes import found, index, write

_PROJECT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _nothing_left_by_others(alone: None) -> None:
    """No run of another test is to be gone on with, nor its chats to be indexed in small parts."""
    run("""
        INSERT INTO search_progress AS p (chat_id, revision, whole_revision) SELECT id, revision, revision FROM chats
        ON CONFLICT (chat_id) DO UPDATE SET revision = GREATEST(p.revision, EXCLUDED.revision), rebuilt_seq = NULL""")


def damaged(messages: int) -> tuple[int, int, list[int]]:
    """A person, a chat whose index is wrong in every way, and the ids of what should be in it."""
    people = make_users(2)
    chat_id = make_chat(people)
    sent = write(chat_id, people[0], *["hello"] * messages)
    index(chat_id)
    run("UPDATE message_search SET tokens = '''nonsense''' WHERE chat_id = :c AND seq % 2 = 0", c=chat_id)
    run("DELETE FROM message_search WHERE chat_id = :c AND (seq % 3 = 0 OR seq = 1)", c=chat_id)
    run("UPDATE message_search SET message_id = message_id + 1 WHERE chat_id = :c AND seq % 5 = 0", c=chat_id)
    assert len(found(people[0], "hello")) < messages
    return people[0], chat_id, sent


def rows(chat_id: int) -> object:
    return scalar("SELECT array_agg(message_id ORDER BY message_id) FROM message_search WHERE chat_id = :c", c=chat_id)


@pytest.mark.parametrize(("most", "most_bytes"), [(7, 100_000), (2_000, 100_000), (2_000, 12), (2_000, 1), (7, 23)])
def test_whatever_was_wrong_is_right_afterwards(monkeypatch: pytest.MonkeyPatch, most: int, most_bytes: int) -> None:
    monkeypatch.setattr(rebuilding, "_MOST_MESSAGES", most)
    monkeypatch.setattr(indexing, "MOST_BYTES", most_bytes)
    chats = [damaged(messages) for messages in (1, 20, 33)]
    rebuilding.begin()
    left = rebuilding.left()
    assert left.chats >= 3
    assert left.messages >= 54
    # What other tests have left would take long in so small parts.
    run(
        "UPDATE search_progress SET rebuilt_seq = NULL WHERE chat_id <> ALL (:mine)",
        mine=[chat_id for _, chat_id, _ in chats],
    )
    assert sum(rebuilding.run()) == 54
    assert rebuilding.left() == (0, 0)
    for person, chat_id, sent in chats:
        assert rows(chat_id) == sent
        assert found(person, "hello") == sent[::-1]


def test_a_run_that_was_stopped_is_gone_on_with(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rebuilding, "_MOST_MESSAGES", 10)
    person, chat_id, sent = damaged(35)
    run("UPDATE search_progress SET rebuilt_seq = 0 WHERE chat_id = :c", c=chat_id)
    stopped = rebuilding.run()
    assert [next(stopped), next(stopped)] == [10, 10]
    stopped.close()
    assert rebuilding.left() == (1, 15)
    # What is done stays done: damage to it is not seen.
    run(
        "UPDATE message_search SET tokens = '''nonsense''' WHERE chat_id = :c AND message_id = :m", c=chat_id, m=sent[0]
    )
    assert sum(rebuilding.run()) == 15
    assert found(person, "hello") == sent[:0:-1]


def test_messages_sent_meanwhile_are_indexed_too() -> None:
    person, chat_id, sent = damaged(5)
    rebuilding.begin()
    sent += write(chat_id, person, "hello again")
    for _ in rebuilding.run():
        pass
    assert found(person, "hello") == sent[::-1]


def test_the_command_indexes_everything_and_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    person, _, sent = damaged(10)
    never_indexed = make_chat([person])
    sent += write(never_indexed, person, "hello")
    assert main(["reindex"]) == 0
    assert "up to date" in capsys.readouterr().out
    assert sorted(found(person, "hello")) == sorted(sent)


def test_the_command_tells_that_it_goes_on_and_begins_anew_where_it_is_told_to(
    capsys: pytest.CaptureFixture[str],
) -> None:
    _, chat_id, _ = damaged(10)
    run("UPDATE search_progress SET rebuilt_seq = 4 WHERE chat_id = :c", c=chat_id)
    assert main(["reindex"]) == 0
    assert "Going on: 6 messages of 1 chats are left." in capsys.readouterr().out
    person, chat_id, sent = damaged(10)
    run("UPDATE search_progress SET rebuilt_seq = 10 WHERE chat_id = :c", c=chat_id)
    assert main(["reindex", "--restart"]) == 0
    assert "Going on" not in capsys.readouterr().out
    assert found(person, "hello") == sent[::-1]


class Shelf:
    """An index in the memory of this process: texts by chat, and in it by message with its seq."""

    def __init__(self) -> None:
        self.chats: dict[int, dict[int, tuple[int, str]]] = {}

    def store(self, _: UnitOfWork, documents: Sequence[Document]) -> None:
        for document in documents:
            self.chats.setdefault(document.chat_id, {})[document.message_id] = (document.seq, document.text)

    def remove(self, _: UnitOfWork, chat_id: int, message_ids: Sequence[int]) -> None:
        for message_id in message_ids:
            self.chats[chat_id].pop(message_id, None)

    def keep_only(self, _: UnitOfWork, part: Part, message_ids: Sequence[int]) -> None:
        chat = self.chats.setdefault(part.chat_id, {})
        for message_id, (seq, _text) in list(chat.items()):
            if part.after_seq < seq <= part.up_to_seq and message_id not in message_ids:
                del chat[message_id]

    def newest(
        self, unit: UnitOfWork, scopes: Sequence[Scope], wanted: Wanted, within: Range, page: int
    ) -> Iterator[list[int]]:
        raise NotImplementedError


def test_strays_go_from_another_engine_too(monkeypatch: pytest.MonkeyPatch) -> None:
    shelf: SearchIndex = Shelf()
    for module in (indexing, rebuilding):
        monkeypatch.setattr(module, "search_index", lambda: shelf)
    monkeypatch.setattr(rebuilding, "_MOST_MESSAGES", 3)
    people = make_users(2)
    chat_id = make_chat(people)
    sent = write(chat_id, people[0], *["hello"] * 7)
    run("UPDATE messages SET deleted_at = now() WHERE id = :m", m=sent[3])
    index(chat_id)
    assert isinstance(shelf, Shelf)
    shelf.chats[chat_id] = {sent[3]: (4, "stray"), sent[5] + 1: (6, "stray"), sent[6]: (7, "old")}
    run("UPDATE search_progress SET rebuilt_seq = 0 WHERE chat_id = :c", c=chat_id)
    assert sum(rebuilding._rebuild([chat_id]) or 0 for _ in range(3)) == 7
    left = [(message_id, (seq, "hello")) for seq, message_id in enumerate(sent, 1) if seq != 4]
    assert sorted(shelf.chats[chat_id].items()) == left


def test_make_knows_the_command() -> None:
    printed = subprocess.run(
        [sys.executable, "-m", "app.commands", "--help"], cwd=_PROJECT, capture_output=True, text=True, check=True
    ).stdout
    assert "reindex" in printed
    assert "reindex" in (_PROJECT / "Makefile").read_text()
