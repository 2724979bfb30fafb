"""Files of chats that ended, and of histories that both sides have cleared: out of reach at once, and gone soon."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import pytest
import requests
from sqlalchemy import text

from app.chats import service as chats
from app.errors import NotFound
from app.files.service import get_content, histories, releasing
from app.infra.db import reading, unit_of_work
from tests import factories
from tests.files.places import show
from tests.people import Person
from tests.processes import Worker, eventually
from tests.processing.conftest import Asked
from tests.processing.files import is_there, keys, process, send_file, stored, upload
from tests.processing.pictures import png
from tests.processing.shown import add_shown_files
from tests.scale.explaining import explained_statements
from workers.media import sweep_files

People = Callable[[int], list[Person]]


def picture(owner: Person) -> UUID:
    """A picture that is ready."""
    file_id = upload(owner.id, png())
    process(file_id)
    return file_id


def may_have(user_id: int, file_id: UUID) -> bool:
    """Whether somebody is given the file."""
    try:
        with reading() as unit:
            get_content(unit, user_id, file_id, None)
    except NotFound:
        return False
    return True


def end(owner_id: int, chat_id: int) -> None:
    factories.run("UPDATE chat_members SET role = 'owner' WHERE chat_id = :c AND user_id = :u", c=chat_id, u=owner_id)
    with unit_of_work() as unit:
        chats.delete_chat(unit, owner_id, chat_id, for_everyone=True)


def clear(user_id: int, chat_id: int) -> None:
    with unit_of_work() as unit:
        chats.clear_history(unit, user_id, chat_id, for_everyone=True)


def left(owner_id: int) -> int:
    """How many files a person has."""
    count = factories.scalar("SELECT count(*) FROM files WHERE owner_id = :id", id=owner_id)
    assert isinstance(count, int)
    return count


def is_due(chat_id: int) -> bool:
    """Whether files of the chat's history are still to be released."""
    return factories.scalar("SELECT count(*) FROM released_histories WHERE chat_id = :id", id=chat_id) == 1


@pytest.mark.parametrize("kind", ["group", "direct"])
def test_what_is_released_and_not_removed_yet_is_refused_at_once(people: People, asked: Asked, kind: str) -> None:
    ada, bob = people(2)
    chat_id = ada.group(bob) if kind == "group" else ada.direct_chat(bob)
    file_id = picture(ada)
    send_file(ada, chat_id, file_id)
    link = bob.get(f"/files/{file_id}/info")["url"]
    assert requests.get(bob.url + link, timeout=20).status_code == 200
    (end if kind == "group" else clear)(ada.id, chat_id)
    assert [name for name, _ in asked if name == "files.release_history"] == ["files.release_history"]
    assert is_there(file_id)
    assert requests.get(bob.url + link, timeout=20).status_code == 404
    assert bob.call("GET", f"/files/{file_id}").status_code == 404
    assert not may_have(bob.id, file_id)
    histories.release_history(chat_id)
    assert not is_there(file_id)
    assert not may_have(ada.id, file_id)


@pytest.mark.parametrize("work", [end, clear])
@pytest.mark.usefixtures("asked")
def test_the_end_of_a_chat_costs_the_same_however_many_files_it_has(work: Callable[[int, int], None]) -> None:
    costs = {}
    for count in (10, 3_000):
        owner_id, other_id = factories.make_users(2)
        chat_id = factories.make_chat([owner_id, other_id], "group" if work is end else "direct")
        add_shown_files(owner_id, chat_id, count)
        with explained_statements() as statements:
            work(owner_id, chat_id)
        costs[count] = [(each.name, each.written) for each in statements]
        # What rows were before, and nobody has cleaned up, is looked at too.
        assert sum(each.rows for each in statements) < 200
        assert left(owner_id) == count
        histories.release_history(chat_id)
        assert left(owner_id) == 0
        assert not is_due(chat_id)
    assert costs[3_000] == costs[10]


@pytest.mark.usefixtures("asked")
def test_a_history_without_files_leaves_nothing_to_do() -> None:
    owner_id, other_id = factories.make_users(2)
    chat_id = factories.make_chat([owner_id, other_id])
    factories.send_messages(chat_id, [owner_id])
    end(owner_id, chat_id)
    assert not is_due(chat_id)


@pytest.mark.usefixtures("asked")
def test_what_is_sent_after_a_clearing_keeps_its_files_and_a_second_clearing_takes_them_too() -> None:
    ada, bob = factories.make_users(2)
    chat_id = factories.make_chat([ada, bob], "direct")
    add_shown_files(ada, chat_id, 5)
    clear(ada, chat_id)
    add_shown_files(ada, chat_id, 3)
    histories.release_history(chat_id)
    assert left(ada) == 3
    clear(ada, chat_id)
    add_shown_files(ada, chat_id, 2)
    clear(bob, chat_id)
    histories.release_history(chat_id)
    assert left(ada) == 0


@pytest.mark.usefixtures("asked")
def test_a_file_that_another_chat_shows_outlives_the_history() -> None:
    ada, bob, eve = factories.make_users(3)
    ended, other = factories.make_chat([ada, bob]), factories.make_chat([bob, eve])
    (file_id, *_) = add_shown_files(ada, ended, 3, are_stored=True)
    show(str(file_id), other, bob)
    end(ada, ended)
    histories.release_history(ended)
    assert left(ada) == 1
    assert may_have(eve, file_id)


def test_a_history_whose_job_was_lost_is_found_by_the_sweep(asked: Asked) -> None:
    owner_id, other_id = factories.make_users(2)
    chat_id = factories.make_chat([owner_id, other_id])
    add_shown_files(owner_id, chat_id, 30)
    end(owner_id, chat_id)
    sweep_files()
    again = ("files.release_history", {"chat_id": chat_id})
    assert asked.count(again) == 1, "the job is to have had its time"
    factories.run("UPDATE released_histories SET since = since - interval '2 minutes' WHERE chat_id = :id", id=chat_id)
    sweep_files()
    assert asked.count(again) == 2
    sweep_files()
    assert asked.count(again) == 2, "others are to have their turn"


def test_a_worker_releases_what_was_shown_and_removes_its_objects(people: People, worker: Worker) -> None:
    ada, bob = people(2)
    chat_id, file_id = ada.group(bob), picture(ada)
    send_file(ada, chat_id, file_id)
    mine = set(keys(file_id).values())
    assert ada.call("DELETE", f"/chats/{chat_id}").status_code == 204
    eventually(lambda: not is_there(file_id))
    eventually(lambda: not mine & stored())
    assert not is_due(chat_id)


@pytest.mark.usefixtures("asked")
def test_messages_deleted_and_files_forgotten_meanwhile_wait_for_nobody() -> None:
    owner_id, other_id = factories.make_users(2)
    chat_id = factories.make_chat([owner_id, other_id])
    file_ids = add_shown_files(owner_id, chat_id, 20)
    end(owner_id, chat_id)
    with unit_of_work() as unit:
        releasing.hide_message(unit, chat_id, 3)
        # What somebody holds is left for the next run.
        with ThreadPoolExecutor(1) as pool:
            pool.submit(histories.release_history, chat_id).result(20)
        assert is_due(chat_id)
    assert left(owner_id) == 0
    histories.release_history(chat_id)
    assert not is_due(chat_id)
    assert not any(is_there(file_id) for file_id in file_ids)


@pytest.mark.usefixtures("asked")
def test_both_clearing_a_direct_chat_at_once_leave_no_files() -> None:
    for _ in range(20):
        ada, bob = factories.make_users(2)
        chat_id = factories.make_chat([ada, bob], "direct")
        add_shown_files(ada, chat_id, 1)
        ready = threading.Barrier(2)

        def one_side(user_id: int, chat_id: int = chat_id, ready: threading.Barrier = ready) -> None:
            with unit_of_work() as unit:
                ready.wait(20)
                chats.clear_history(unit, user_id, chat_id, for_everyone=False)

        with ThreadPoolExecutor(2) as pool:
            list(pool.map(one_side, (ada, bob)))
        histories.release_history(chat_id)
        assert left(ada) == 0


@pytest.mark.usefixtures("asked")
def test_files_are_locked_in_one_order_over_several_batches_however_they_were_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(releasing, "_BATCH", 1)
    owner_id, other_id = factories.make_users(2)
    first, second = sorted(add_shown_files(owner_id, factories.make_chat([owner_id, other_id]), 2))
    lock = "SELECT 1 FROM files WHERE id = :id FOR UPDATE SKIP LOCKED"
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE :own = ANY (pg_blocking_pids(pid))"

    def release_both() -> None:
        with unit_of_work() as unit:
            releasing.release(unit, [second, first])

    with ThreadPoolExecutor(1) as pool:
        with unit_of_work() as unit:
            own = unit.execute(text("SELECT pg_backend_pid()")).scalar_one()
            assert unit.execute(text(lock), {"id": first}).one_or_none() is not None
            releasing_both = pool.submit(release_both)
            eventually(lambda: factories.scalar(waiting, own=own) == 1)
            # Who waits for the first one has not got the second one yet.
            assert unit.execute(text(lock), {"id": second}).one_or_none() is not None
        releasing_both.result(20)
