"""What a search reads: by the index that was meant, and not more where more is stored."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest
from sqlalchemy import text

from app.infra.db import Prepared, UnitOfWork, engine, reading, unit_of_work
from app.search import index_queries, indexing_queries, lexemes, queries, service
from app.search.index import Range, Scope
from app.search.schemas import MessageSearch
from app.search.wanted import Wanted, read
from tests.factories import make_chat, make_users, scalar
from tests.plans import explain
from tests.processes import eventually
from tests.scale.explaining import explained_statements
from tests.search.scenes import found, index, write

LONG, SHORT, SHORT_CHATS = 6_000, 30, 60


class Library(NamedTuple):
    """A person with a long chat and short ones, beside as many of others."""

    person: int
    long: int
    short: list[int]


@pytest.fixture(scope="module")
def library() -> Library:
    """Chats with a common word in each message, one in each 100th, and a needle at the beginning of the long one."""
    person, other, stranger = make_users(3)
    long = make_chat([person, other])
    write(long, other, "needle in the hay")
    write(long, other, *(f"common {'middling' if n % 100 == 0 else 'words'} n{n}" for n in range(LONG)))
    # Ids of so many run seconds ahead, where those of other chats could be the same.
    ahead = "SELECT last_message_id > message_id_at(clock_timestamp()) FROM chats WHERE id = :id"
    eventually(lambda: not scalar(ahead, id=long))
    short = [make_chat([person, other]) for _ in range(SHORT_CHATS)]
    theirs = [make_chat([stranger, other]) for _ in range(SHORT_CHATS)]
    for chat_id in (*short, *theirs):
        write(chat_id, other, *(f"common words n{n}" for n in range(SHORT)))
    index(long, *short, *theirs)
    with unit_of_work() as unit:
        unit.execute(text("ANALYZE message_search, search_progress"))
    # Plans are made anew from here on.
    engine().dispose()
    return Library(person, long, short)


def scans(plan: list[dict[str, Any]]) -> dict[str, float]:
    """The rows read by each index, or whole table, that is looked into; a bitmap counts its rows once."""
    rows: dict[str, float] = {}
    for node in plan:
        name = node.get("Index Name") or (node["Node Type"] == "Seq Scan" and node["Relation Name"])
        if name:
            removed = node.get("Rows Removed by Filter", 0)
            rows[name] = rows.get(name, 0) + (node["Actual Rows"] + removed) * node["Actual Loops"]
    return rows


def asked(unit: UnitOfWork, statement: Prepared, *parameters: object) -> dict[str, float]:
    return scans(explain(unit, statement, *parameters))


def test_walking_reads_so_many_messages_along_the_key_and_nothing_else(library: Library) -> None:
    question = lexemes.question(Wanted(read("absent !").terms), library.long, 0)
    with reading() as unit:
        parameters = ([library.long], [2**60], [1], [question], [None], [None], [None], [500], 0)
        assert asked(unit, index_queries._WALK, *parameters) == {"pk_message_search": 500}


def test_the_heads_of_all_chats_are_one_row_each(library: Library) -> None:
    chats = [library.long, *library.short]
    with reading() as unit:
        rows = asked(unit, index_queries._HEADS, chats, [0] * len(chats), 0, 2**60)
    assert rows == {"pk_message_search": len(chats)}


def test_where_a_time_is_asked_for_only_the_part_of_a_chat_since_then_is_looked_into(library: Library) -> None:
    with reading() as unit:
        (newest,) = index_queries.heads(unit, [Scope(library.long, 0)], Range(0, 2**60))
        assert newest.floor_seq == 0
        (since,) = index_queries.heads(unit, [Scope(library.long, 0)], Range(newest.message_id - 1, 2**60))
        assert (since.seq, since.floor_seq) == (newest.seq, newest.seq - 1)
        rows = asked(unit, index_queries._HEADS, [library.long], [0], newest.message_id - 1, 2**60)
    assert rows == {"pk_message_search": 2}


@pytest.mark.parametrize(("q", "most"), [("needle !", 1), ("absent !", 0), ("middling !", LONG // 100), ("n5999", 1)])
def test_looking_words_up_reads_only_what_fits_in_the_chat(library: Library, q: str, most: int) -> None:
    question = lexemes.question(Wanted(read(q).terms), library.long, 0)
    with reading() as unit:
        rows = asked(unit, index_queries._LOOK_UP, [2**60], [1], [question], [question], 0, 51)
    assert rows == {"ix_message_search_tokens": most}


def test_what_is_stored_of_others_is_not_read_for_common_words_either(library: Library) -> None:
    chat_id = library.short[0]
    question = lexemes.question(Wanted(read("common !").terms), chat_id, 0)
    with reading() as unit:
        rows = asked(unit, index_queries._LOOK_UP, [2**60], [1], [question], [question], 0, 51)
    assert rows == {"ix_message_search_tokens": SHORT}


@pytest.mark.parametrize(
    ("q", "statements", "most_rows"),
    [
        # Common: the newest messages are enough.
        ("common !", {"search_scopes", "search_heads", "search_walk", "search_visible"}, 2_000),
        # Rare and absent: little is walked in vain, and the index finds the rest.
        ("needle !", None, 2_000),
        ("absent !", None, 2_000),
        # Of what is neither, the index proposes little.
        ("middling !", None, 2_000),
    ],
)
def test_a_search_over_all_chats_reads_little_by_indexes(
    library: Library, q: str, statements: set[str] | None, most_rows: int
) -> None:
    found(library.person, q)
    with explained_statements() as executed, reading() as unit:
        service.search_messages(unit, library.person, MessageSearch(q=q))
    assert {s.name: s.read_whole for s in executed if s.read_whole} == {}
    assert sum(s.rows for s in executed) <= most_rows
    if statements is not None:
        assert {s.name for s in executed} == statements


def test_the_number_of_statements_does_not_grow_with_the_number_of_chats(library: Library) -> None:
    with explained_statements() as executed, reading() as unit:
        service.search_messages(unit, library.person, MessageSearch(q="common !"))
    assert len(executed) <= 8


def test_scopes_of_one_chat_are_one_row_of_each_table(library: Library) -> None:
    with reading() as unit:
        rows = asked(unit, queries._SCOPES, library.person, library.long, library.long)
        assert set(rows.values()) == {1}
        assert queries.scopes(unit, library.person, library.long) == [Scope(library.long, 0)]
        assert len(queries.scopes(unit, library.person, None)) == SHORT_CHATS + 1


def test_showing_what_was_found_is_by_key(library: Library) -> None:
    with reading() as unit:
        heads = index_queries.heads(unit, [Scope(chat_id, 0) for chat_id in library.short[:20]], Range(0, 2**60))
        ids = [head.message_id for head in heads]
        rows = asked(unit, queries._VISIBLE, library.person, ids, None, None)
    assert all(count <= len(ids) for count in rows.values()), rows


def test_what_changed_is_found_by_the_index_of_revisions(library: Library) -> None:
    chats = [indexing_queries.ChatNow(chat_id, 2**60, 0, 0, None, None) for chat_id in (library.long, *library.short)]
    with reading() as unit:
        chat_ids, revisions, wholes, *_ = (list(column) for column in zip(*chats, strict=True))
        arguments = (chat_ids, revisions, wholes, 100, 1_000)
        rows = asked(unit, indexing_queries._CHANGES, *arguments)
    # That of files is for the names of those that messages show.
    assert all("chat_id_revision" in name or name == "pk_files" for name in rows), rows
    assert sum(rows.values()) == 0


def test_the_sweep_reads_so_many_chats_by_key(library: Library) -> None:
    with reading() as unit:
        rows = asked(unit, indexing_queries._BEHIND, 0, 50, 0)
    assert rows == {"pk_chats": 50, "pk_search_progress": pytest.approx(50, abs=50)}


def test_names_of_chats_are_found_by_their_words(library: Library) -> None:
    with reading() as unit:
        parameters = queries.chat_parameters(library.person, ["news", "of"], "news", service._BEFORE_ALL, 51)
        plan = explain(unit, queries._CHATS, *parameters)
    assert "Seq Scan" not in {node["Node Type"] for node in plan}
