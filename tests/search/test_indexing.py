"""The index is what the messages are, whatever is sent, edited or deleted beside indexing; what is lost is swept."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import pytest
from sqlalchemy import text

from app.infra.db import UnitOfWork, reading, unit_of_work
from app.messages import service as messages
from app.search import indexing, indexing_queries
from app.search.indexing_queries import Change
from tests.factories import make_chat, make_users, scalar
from tests.search.scenes import Chat, be_read, found, in_index, index, is_behind, write

pytestmark = pytest.mark.usefixtures("alone_with_the_index")


def test_new_edited_and_deleted_messages_come_into_the_index_and_go(chat: Chat) -> None:
    chat_id, person = chat
    first, second = write(chat_id, person, "one", "two")
    index(chat_id)
    assert in_index(chat_id) == [first, second]
    with unit_of_work() as unit:
        messages.edit_message(unit, person, first, "three")
        messages.delete_message(unit, person, second, for_everyone=True)
    assert is_behind(chat_id)
    index(chat_id)
    assert not is_behind(chat_id)
    assert in_index(chat_id) == [first]
    assert found(person, "three") == [first]
    assert found(person, "one") == []


@pytest.mark.parametrize("most", [1, 2, 3, 7])
def test_many_changes_are_indexed_in_batches_and_none_is_left_out(
    chat: Chat, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr(indexing, "_LARGEST_BATCH", most)
    monkeypatch.setattr(indexing, "_LEAST_OF_CHAT", 1)
    chat_id, person = chat
    sent = write(chat_id, person, *["text"] * 14)
    index(chat_id)
    assert in_index(chat_id) == sent


@pytest.mark.parametrize("most", [1, 2, 3, 5])
@pytest.mark.parametrize("is_read", [True, False], ids=["read", "delivered"])
def test_what_is_read_or_delivered_before_it_is_indexed_is_indexed_in_batches_too(
    chat: Chat, monkeypatch: pytest.MonkeyPatch, most: int, is_read: bool
) -> None:
    monkeypatch.setattr(indexing, "_LARGEST_BATCH", most)
    monkeypatch.setattr(indexing, "_LEAST_OF_CHAT", 1)
    chat_id, person = chat
    sent: list[int] = []
    for burst in range(2):
        sent += write(chat_id, person, *["text"] * 7)
        be_read(chat_id, burst * 7, is_read=is_read)
    index(chat_id)
    assert in_index(chat_id) == sent
    assert found(person, "text") == sent[::-1]


def test_what_is_read_while_a_part_of_the_chat_waits_is_indexed_too(
    chat: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(indexing, "_LARGEST_BATCH", 3)
    monkeypatch.setattr(indexing, "_LEAST_OF_CHAT", 1)
    chat_id, person = chat
    sent = write(chat_id, person, *["text"] * 5)
    assert indexing._index([chat_id]) == [chat_id]
    assert in_index(chat_id) == sent[:3]
    be_read(chat_id)
    sent += write(chat_id, person, *["text"] * 2)
    index(chat_id)
    assert in_index(chat_id) == sent


def noted(monkeypatch: pytest.MonkeyPatch, name: str) -> list[int]:
    """How many characters each call of a function of `indexing` gets."""
    real, found = getattr(indexing, name), []

    def noting(unit: UnitOfWork, changes: Sequence[Change]) -> None:
        found.append(sum(len(change.text or "") for change in changes))
        real(unit, changes)

    monkeypatch.setattr(indexing, name, noting)
    return found


@pytest.mark.parametrize(("most", "at_once"), [(1, 1), (12, 5), (100, 30), (10_000, 10)])
def test_transactions_and_statements_end_at_so_many_bytes_and_nothing_is_left_out(
    monkeypatch: pytest.MonkeyPatch, most: int, at_once: int
) -> None:
    monkeypatch.setattr(indexing, "MOST_BYTES", most)
    monkeypatch.setattr(indexing, "_MOST_AT_ONCE", at_once)
    people = make_users(2)
    chats = [make_chat(people) for _ in range(4)]
    sent = [write(chat_id, people[0], *("text" * (1 + n % 3) for n in range(7))) for chat_id in chats]
    transactions = noted(monkeypatch, "write")
    statements = noted(monkeypatch, "_write")
    index(*chats)
    assert [in_index(chat_id) for chat_id in chats] == sent
    assert not any(map(is_behind, chats))
    assert max(transactions) <= max(most, len("text" * 3))
    assert max(statements) <= max(at_once, len("text" * 3))
    assert sum(transactions) == sum(statements) == 4 * sum(len("text" * (1 + n % 3)) for n in range(7))


def test_a_chat_with_much_to_do_does_not_hold_up_the_others_of_its_group(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(indexing, "MOST_BYTES", 5_000)
    people = make_users(2)
    long, *others = [make_chat(people) for _ in range(4)]
    sent = write(long, people[0], *["long" * 1_000] * 9)
    short = [write(chat_id, people[0], "short") for chat_id in others]
    assert indexing._index((long, *others)) == [long]
    assert [in_index(chat_id) for chat_id in others] == short
    assert in_index(long) == sent[:1]
    index(long)
    assert in_index(long) == sent


def test_of_what_waits_only_so_many_bytes_are_read() -> None:
    people = make_users(2)
    chats = [make_chat(people) for _ in range(2)]
    for chat_id in chats:
        write(chat_id, people[0], *["字" * 1_000] * 5)
    with unit_of_work() as unit:
        changes = indexing_queries.changes(unit, indexing_queries.hold(unit, chats), 100, 10_000)
    assert [len(change.text or "") for change in changes] == [1_000] * 3 + [0] * 7
    assert [change.chat_id for change in changes] == chats * 5


def test_the_mark_of_a_chat_never_passes_what_may_still_commit(chat: Chat) -> None:
    chat_id, person = chat
    (first,) = write(chat_id, person, "first")
    with unit_of_work() as slow:
        # A send that holds the chat and has drawn its revision, and whose commit takes long.
        slow.execute(text("SELECT 1 FROM chats WHERE id = :c FOR UPDATE"), {"c": chat_id})
        statement = text("""
            WITH sent AS (
              INSERT INTO messages (id, chat_id, seq, sender_id, text, revision)
              SELECT n.id, :c, 2, :u, 'slow', n.id
              FROM (SELECT next_message_id(last_message_id) AS id FROM chats WHERE id = :c OFFSET 0) n RETURNING id)
            UPDATE chats SET last_seq = 2, last_message_id = sent.id, revision = sent.id FROM sent WHERE chats.id = :c
            RETURNING sent.id""")
        second: int = slow.execute(statement, {"c": chat_id, "u": person}).scalar_one()
        index(chat_id)
        assert in_index(chat_id) == [first]
    index(chat_id)
    assert in_index(chat_id) == [first, second]


def test_that_a_message_was_read_writes_nothing(chat: Chat) -> None:
    chat_id, person = chat
    sent = write(chat_id, person, "one", "two")
    index(chat_id)
    places = "SELECT array_agg(ctid::text || xmin::text ORDER BY message_id) FROM message_search WHERE chat_id = :c"
    before = scalar(places, c=chat_id)
    be_read(chat_id)
    assert scalar("SELECT count(*) FROM messages WHERE chat_id = :c AND status = 'read'", c=chat_id) == len(sent)
    assert is_behind(chat_id)
    index(chat_id)
    assert not is_behind(chat_id)
    assert scalar(places, c=chat_id) == before


def test_indexing_beside_writing_and_beside_indexing_leaves_nothing_out() -> None:
    people = make_users(3)
    chats = [make_chat(people) for _ in range(3)]
    is_over = threading.Event()
    errors: list[BaseException] = []

    def attempt(work: object, *arguments: object) -> None:
        try:
            work(*arguments)  # type: ignore[operator]
        except BaseException as error:
            errors.append(error)

    def write_all(person: int) -> None:
        for number in range(30):
            (message_id,) = write(chats[number % 3], person, f"number {number}")
            if number % 3 == 0:
                with unit_of_work() as unit:
                    messages.edit_message(unit, person, message_id, f"changed {number}")
            if number % 5 == 0:
                with unit_of_work() as unit:
                    messages.delete_message(unit, person, message_id, for_everyone=True)

    def index_all(order: Sequence[int]) -> None:
        while not is_over.is_set():
            indexing.index_all(order)

    writers = [threading.Thread(target=attempt, args=(write_all, person)) for person in people]
    indexers = [threading.Thread(target=attempt, args=(index_all, order)) for order in (chats, chats[::-1])]
    for thread in (*writers, *indexers):
        thread.start()
    for thread in writers:
        thread.join()
    is_over.set()
    for thread in indexers:
        thread.join()
    assert errors == []
    index(*chats)
    with reading() as unit:
        stored = text("SELECT id FROM messages WHERE chat_id = ANY (:c) AND deleted_at IS NULL AND text LIKE :t")
        for word in ("changed", "number"):
            ids = unit.execute(stored, {"c": chats, "t": f"{word}%"}).scalars()
            assert found(people[0], word) == sorted(ids, reverse=True)


@pytest.mark.parametrize(
    "body",
    [
        "字" * 65_536,
        "".join(chr(0x4E00 + number % 20_000) for number in range(65_536)),
        " ".join(f"w{number}" for number in range(11_000)),
        ("\U0001f600" * 70 + "x ") * 400,
        "ß" * 65_536,
        "a_" * 30_000,
        "'" * 1000 + "\\" * 1000 + "a'b\\c",
        "\U000e0041\u200b\u0301",
    ],
    ids=["one letter", "all letters", "words", "emoji", "one word", "parts", "quotes", "nothing seen"],
)
def test_a_text_of_any_kind_and_length_can_be_indexed(chat: Chat, body: str) -> None:
    chat_id, person = chat
    sent = write(chat_id, person, f"begin {body}")
    index(chat_id)
    assert found(person, "begin") == sent
