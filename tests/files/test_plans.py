"""What is asked for each file that is served, and for each upload, is found by indexes, however many there are."""

from __future__ import annotations

import re
import secrets
from uuid import uuid4

import pytest
from sqlalchemy import text

from app.files.queries import access, files
from app.infra.db import Prepared, engine
from tests.factories import make_chat, make_users, run
from tests.files.places import show, show_elsewhere

MANY = 3000


@pytest.fixture(scope="module")
def full(_servers: None) -> tuple[str, int, int]:
    """A file that many messages show, each in a chat of its own; its owner, and somebody who is in none of these."""
    owner, viewer = make_users(2)
    file_id = str(uuid4())
    chat_id = make_chat([owner])
    run("INSERT INTO files (id, owner_id, name, size, status) VALUES (:id, :o, 'a', 1, 'ready')", id=file_id, o=owner)
    run("INSERT INTO file_objects VALUES (:id, 'original', :key, 'a/b', 1)", id=file_id, key=secrets.token_hex(16))
    run(
        "INSERT INTO files (id, owner_id, name, size, try_after)"
        " SELECT gen_random_uuid(), :o, 'a', 1, now() + interval '1 day' FROM generate_series(1, :n)",
        o=owner,
        n=MANY,
    )
    run(
        "INSERT INTO message_files (file_id, chat_id, message_id, seq)"
        " SELECT f.id, :c, row_number() OVER (), row_number() OVER () FROM files f WHERE owner_id = :o",
        c=chat_id,
        o=owner,
    )
    return file_id, owner, viewer


def plan(statement: Prepared, *parameters: object) -> str:
    """The plan that a connection of ours keeps for the statement."""
    with engine().connect() as connection:
        statement.rows(connection, *parameters)
        given = ", ".join("NULL" if each is None else f"'{each}'" for each in parameters)
        return "\n".join(
            connection.execute(text(f"EXPLAIN (ANALYZE, BUFFERS) EXECUTE {statement.name} ({given})")).scalars()
        )


@pytest.mark.parametrize("analysed", [False, True])
def test_a_file_is_served_by_looking_at_what_shows_it(full: tuple[str, int, int], analysed: bool) -> None:
    file_id, owner, viewer = full
    if analysed:
        with engine().connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            for table in ("files", "file_objects", "message_files"):
                connection.execute(text(f"ANALYZE {table}"))
    for user_id in (owner, viewer):
        found = plan(access._SERVED, file_id, user_id, None)
        assert "Seq Scan" not in found
        for index in ("pk_files", "pk_file_objects", "pk_message_files"):
            assert index in found, found


@pytest.mark.usefixtures("_servers")
def test_what_was_forwarded_to_all_the_world_is_looked_for_in_the_chats_of_the_person() -> None:
    owner, viewer, stranger = make_users(3)
    file_id = str(uuid4())
    run("INSERT INTO files (id, owner_id, name, size, status) VALUES (:id, :o, 'a', 1, 'ready')", id=file_id, o=owner)
    show_elsewhere(file_id, MANY)
    make_chat([stranger])
    show(file_id, make_chat([owner, viewer]), owner)
    for user_id in (viewer, stranger):
        found = plan(access._SERVED, file_id, user_id, None)
        pages = re.search(r"Buffers: shared hit=(\d+)", found)
        assert pages is not None
        assert int(pages[1]) < 100, found


def test_what_a_person_has_is_summed_by_the_index_alone(full: tuple[str, int, int]) -> None:
    found = plan(files._USED, full[1])
    assert "Index Only Scan using ix_files_owner_id_sizes" in found
    assert "ix_uploads_owner_id" in found
    assert "Seq Scan" not in found
