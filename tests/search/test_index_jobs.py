"""Which chats are indexed, when: those marked, those that wait while the API is busy, and those that were lost."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from types import SimpleNamespace

import pytest

from app.infra import busy, jobs, sweeps
from app.infra.attempts import Attempts, Take
from app.infra.db import UnitOfWork
from app.infra.redis import RedisError, client
from app.messages import marked_chats
from app.messages.marked_chats import MarkedChats
from app.search import index_jobs, indexing, indexing_queries, lexemes, waiting
from app.search.index import Document
from tests.factories import make_chat, make_users, run, scalar
from tests.search.scenes import Chat, in_index, is_behind, is_marked, write

pytestmark = pytest.mark.usefixtures("alone_with_the_index")


def test_dirty_chats_are_taken_and_indexed(chat: Chat) -> None:
    chat_id, person = chat
    sent = write(chat_id, person, "hello")
    client().sadd(jobs.DIRTY_SEARCH, chat_id, "rubbish")
    index_jobs.index_marked()
    assert in_index(chat_id) == sent


def none_was_left(seconds_ago: float = 0) -> None:
    """No marked chat was left so many seconds ago."""
    client().set(waiting.KEY, time.time() - seconds_ago)


def api_is_busy(since_none_left: float = 0) -> None:
    """API processes are busy; so many seconds ago no marked chat was left."""
    none_was_left(since_none_left)
    client().set(busy.TOLD, 1)


def mark(chat_id: int) -> None:
    """Marks a chat, and no other one."""
    client().delete(jobs.DIRTY_SEARCH)
    client().sadd(jobs.DIRTY_SEARCH, chat_id)


def index_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each batch of indexing has one message."""
    monkeypatch.setattr(indexing, "_LARGEST_BATCH", 1)
    monkeypatch.setattr(indexing, "_LEAST_OF_CHAT", 1)


def three_batches(chat: Chat, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Messages that are indexed in three batches; their ids."""
    index_one_by_one(monkeypatch)
    return write(*chat, "one", "two", "three")


def test_while_api_processes_are_busy_marked_chats_wait_and_a_job_comes_again(
    chat: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    chat_id, person = chat
    sent = write(chat_id, person, "hello")
    mark(chat_id)
    asked: list[int] = []
    monkeypatch.setattr(jobs, "mark_for_search", asked.append)
    api_is_busy()
    index_jobs.index_marked()
    assert in_index(chat_id) == []
    assert is_marked(chat_id)
    assert asked == [chat_id]
    client().delete(busy.TOLD)
    index_jobs.index_marked()
    assert in_index(chat_id) == sent
    assert asked == [chat_id]


def test_what_has_waited_for_so_long_is_indexed_until_none_is_left_and_what_comes_next_waits_again(chat: Chat) -> None:
    chat_id, person = chat
    sent = write(chat_id, person, "hello")
    mark(chat_id)
    # A test is over sooner.
    api_is_busy(since_none_left=45)
    index_jobs.index_marked()
    assert in_index(chat_id) == []
    api_is_busy(since_none_left=61)
    index_jobs.index_marked()
    assert in_index(chat_id) == sent
    write(chat_id, person, "again")
    mark(chat_id)
    index_jobs.index_marked()
    assert in_index(chat_id) == sent
    assert is_marked(chat_id)


@pytest.mark.parametrize("is_busy", [True, False], ids=["busy", "quiet"])
def test_what_a_job_leaves_does_not_begin_to_wait_anew_though_another_found_none_left(
    chat: Chat, monkeypatch: pytest.MonkeyPatch, is_busy: bool
) -> None:
    chat_id, person = chat
    sent = write(chat_id, person, "hello")
    mark(chat_id)
    asked: list[int] = []
    monkeypatch.setattr(jobs, "mark_for_search", asked.append)

    def index_all(chat_ids: Sequence[int], is_over: Callable[[], bool]) -> list[int]:
        index_jobs.index_marked()
        assert not waiting.is_overdue(waiting.waiting_since()), "a job beside this one has found none left"
        assert not is_over(), "what this one has taken has waited for long enough"
        return list(chat_ids)

    none_was_left(seconds_ago=61)
    if is_busy:
        client().set(busy.TOLD, 1)
    with monkeypatch.context() as patch:
        patch.setattr(indexing, "index_all", index_all)
        index_jobs.index_marked()
    assert is_marked(chat_id)
    assert asked == [chat_id]
    client().set(busy.TOLD, 1)
    index_jobs.index_marked()
    assert in_index(chat_id) == sent


def test_what_is_returned_and_taken_again_has_waited_since_before_it_was_taken_first(chat: Chat) -> None:
    none_was_left(seconds_ago=61)
    mark(chat[0])
    since = waiting.waiting_since()
    waiting.take(200)
    mark(chat[0])
    assert not waiting.is_overdue(waiting.waiting_since())
    waiting.return_chats([chat[0]], since)
    assert waiting.waiting_since() == since
    waiting.return_chats([chat[0]], time.time())
    assert waiting.waiting_since() == since, "another job returns what was marked later"


def test_where_redis_has_lost_since_when_marks_wait_they_do_from_the_first_job_on() -> None:
    client().delete(waiting.KEY)
    mark(1)
    since = waiting.waiting_since()
    assert not waiting.is_overdue(since)
    assert waiting.waiting_since() == since


def test_what_is_returned_where_redis_has_lost_since_when_marks_wait_does_not_begin_anew() -> None:
    client().delete(waiting.KEY)
    waiting.return_chats([1], 1.0)
    assert waiting.waiting_since() == 1.0


def test_what_is_marked_first_after_an_hour_waits_like_all_others(chat: Chat) -> None:
    chat_id, person = chat
    client().delete(jobs.DIRTY_SEARCH)
    api_is_busy(since_none_left=3600)
    index_jobs.sweep()
    sent = write(chat_id, person, "hello")
    mark(chat_id)
    index_jobs.index_marked()
    assert in_index(chat_id) == []
    client().delete(busy.TOLD)
    index_jobs.index_marked()
    assert in_index(chat_id) == sent


def test_marks_wait_from_the_moment_at_which_the_last_one_was_taken_before(chat: Chat) -> None:
    client().delete(jobs.DIRTY_SEARCH)
    client().sadd(jobs.DIRTY_SEARCH, 1, 2, 3)
    none_was_left(seconds_ago=61)
    assert len(waiting.take(2)) == 2
    assert waiting.is_overdue(waiting.waiting_since())
    assert len(waiting.take(1)) == 1
    mark(chat[0])
    assert not waiting.is_overdue(waiting.waiting_since())


def test_what_has_waited_for_so_long_when_a_job_begins_is_indexed_though_another_finds_none_left_meanwhile(
    chat: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    chat_id = chat[0]
    sent = three_batches(chat, monkeypatch)
    mark(chat_id)
    api_is_busy(since_none_left=61)
    take = Attempts.take_marked

    def take_marked(attempts: Attempts, take_some: Take, limit: int) -> int:
        none_was_left()
        return take(attempts, take_some, limit)

    monkeypatch.setattr(Attempts, "take_marked", take_marked)
    index_jobs.index_marked()
    assert in_index(chat_id) == sent


@pytest.mark.parametrize(
    # Two batches and an empty one of the first chat; then a job's time is over after a batch of the other.
    ("act", "indexed"),
    [(index_jobs.index_marked, [1, 2]), (partial(index_jobs.sweep, 0), [2, 2])],
    ids=["job", "sweep"],
)
def test_all_groups_of_a_job_share_its_time_and_those_of_a_sweep_do_not(
    monkeypatch: pytest.MonkeyPatch, act: Callable[[], object], indexed: list[int]
) -> None:
    people = make_users(2)
    chats = [make_chat(people) for _ in range(2)]
    for chat_id in chats:
        write(chat_id, people[0], "one", "two")
    client().delete(jobs.DIRTY_SEARCH)
    client().sadd(jobs.DIRTY_SEARCH, *chats)
    monkeypatch.setattr(MarkedChats, "largest_group", 1)
    index_one_by_one(monkeypatch)
    moment = 0.0
    begin = indexing_queries.hold

    def hold(unit: UnitOfWork, chat_ids: Sequence[int]) -> list[indexing_queries.ChatNow]:
        nonlocal moment
        moment += 0.3 * index_jobs._LONGEST_JOB
        return begin(unit, chat_ids)

    monkeypatch.setattr(indexing_queries, "hold", hold)
    monkeypatch.setattr(marked_chats, "time", SimpleNamespace(monotonic=lambda: moment))
    act()
    assert sorted(len(in_index(chat_id)) for chat_id in chats) == indexed


def test_what_a_job_leaves_when_its_time_is_over_gets_another_one(chat: Chat, monkeypatch: pytest.MonkeyPatch) -> None:
    chat_id, person = chat
    index_one_by_one(monkeypatch)
    monkeypatch.setattr(index_jobs, "_LONGEST_JOB", 0)
    sent = write(chat_id, person, "one", "two", "three")
    asked: list[int] = []
    monkeypatch.setattr(jobs, "mark_for_search", asked.append)
    index_jobs.sweep(age_seconds=0)
    assert in_index(chat_id) == sent[:1]
    assert is_marked(chat_id)
    assert asked == [chat_id]


def test_indexing_ends_after_a_batch_where_api_processes_become_busy_and_the_rest_is_marked_again(
    chat: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    chat_id = chat[0]
    sent = three_batches(chat, monkeypatch)
    begin = indexing_queries.hold

    def hold(unit: UnitOfWork, chat_ids: Sequence[int]) -> list[indexing_queries.ChatNow]:
        api_is_busy()
        return begin(unit, chat_ids)

    monkeypatch.setattr(indexing_queries, "hold", hold)
    mark(chat_id)
    none_was_left()
    index_jobs.index_marked()
    assert in_index(chat_id) == sent[:1]
    assert is_marked(chat_id)


def test_what_a_job_cannot_mark_again_as_redis_fails_is_found_by_the_sweep_and_no_chat_is_to_blame(
    chat: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    chat_id = chat[0]
    sent = three_batches(chat, monkeypatch)
    mark(chat_id)

    def return_chats(*_: object) -> None:
        # The job has taken its chats by now.
        assert not is_marked(chat_id)
        raise RedisError

    index_all = indexing.index_all
    with monkeypatch.context() as patch:
        patch.setattr(indexing, "index_all", lambda chat_ids, _: index_all(chat_ids, lambda: True))
        patch.setattr(index_jobs, "return_chats", return_chats)
        index_jobs.index_marked()
    assert in_index(chat_id) == sent[:1]
    assert not is_marked(chat_id)
    assert scalar("SELECT count(*) FROM set_aside_jobs") == 0
    index_jobs.sweep(age_seconds=0)
    assert in_index(chat_id) == sent


def test_while_api_processes_are_busy_the_sweep_leaves_alone_what_may_wait_for_them(
    chat: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    chat_id, person = chat
    sent = write(chat_id, person, "hello")
    api_is_busy()
    index_jobs.sweep(age_seconds=0)
    assert in_index(chat_id) == []
    asked: list[int] = []
    behind = indexing_queries.behind

    def note(unit: UnitOfWork, after: int, most: int, age_seconds: int) -> indexing_queries.Behind:
        asked.append(age_seconds)
        # As if the message were old.
        return behind(unit, after, most, 0)

    monkeypatch.setattr(indexing_queries, "behind", note)
    index_jobs.sweep(age_seconds=10)
    assert asked == [70]
    assert in_index(chat_id) == sent, "it has waited for too long"


def test_what_a_sweep_does_not_come_to_the_end_of_while_processes_are_busy_makes_no_mark_overdue(
    chat: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    chat_id = chat[0]
    sent = three_batches(chat, monkeypatch)
    client().delete(jobs.DIRTY_SEARCH)
    api_is_busy()
    index_all, behind = indexing.index_all, indexing_queries.behind
    monkeypatch.setattr(indexing, "index_all", lambda chat_ids, _: index_all(chat_ids, lambda: True))
    # As if the messages were old.
    monkeypatch.setattr(indexing_queries, "behind", lambda unit, after, most, _: behind(unit, after, most, 0))
    for done in range(1, 4):
        index_jobs.sweep()
        assert in_index(chat_id) == sent[:done]
        assert not is_marked(chat_id)
        assert not waiting.is_overdue(waiting.waiting_since())


@pytest.mark.parametrize("none_left", [0, 61], ids=["marks wait since now", "marks wait for long"])
def test_a_sweep_ends_where_api_processes_become_busy_and_leaves_the_rest_to_the_next_one(
    monkeypatch: pytest.MonkeyPatch, none_left: float
) -> None:
    people = make_users(2)
    chats = [make_chat(people) for _ in range(3)]
    for chat_id in chats:
        write(chat_id, people[0], "hello")
    monkeypatch.setattr(MarkedChats, "largest_group", 1)
    index_all = indexing.index_all

    def note_busy(chat_ids: Sequence[int], is_over: Callable[[], bool]) -> list[int]:
        client().set(busy.TOLD, 1)
        return index_all(chat_ids, is_over)

    places: list[int] = []
    with monkeypatch.context() as patch:
        patch.setattr(indexing, "index_all", note_busy)
        patch.setattr(sweeps, "set_place", lambda *arguments: places.append(arguments[-1]))
        mark(chats[0])
        none_was_left(none_left)
        index_jobs.sweep(age_seconds=0)
    assert places == [], "the next sweep goes on here, not a round later"
    assert [len(in_index(chat_id)) for chat_id in chats] == [1, 0, 0]
    client().delete(busy.TOLD)
    index_jobs.sweep(age_seconds=0)
    assert [len(in_index(chat_id)) for chat_id in chats] == [1, 1, 1]


def test_the_sweep_finds_what_was_lost_once_it_is_old_enough(chat: Chat) -> None:
    chat_id, person = chat
    sent = write(chat_id, person, "hello")
    index_jobs.sweep()
    assert in_index(chat_id) == [], "its own job may still come"
    assert index_jobs.sweep(age_seconds=0) >= 1
    assert in_index(chat_id) == sent
    assert index_jobs.sweep(age_seconds=0) == 0


def test_the_sweep_goes_around_all_chats_piece_by_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    people = make_users(2)
    chats = [make_chat(people) for _ in range(7)]
    for chat_id in chats:
        write(chat_id, people[0], "hello")
    monkeypatch.setattr(index_jobs, "_LARGEST_ROUND", 3)
    run("INSERT INTO sweep_marks (name, message_id) VALUES ('search', :before)", before=chats[2])
    for _ in range(2):
        index_jobs.sweep(age_seconds=0)
    assert [is_behind(chat_id) for chat_id in chats] == [True] * 3 + [False] * 4
    rounds = int(str(scalar("SELECT count(*) FROM chats"))) // 3 + 2
    for _ in range(rounds):
        index_jobs.sweep(age_seconds=0)
    assert not any(is_behind(chat_id) for chat_id in chats)


def test_only_one_sweep_runs_at_a_time(chat: Chat) -> None:
    chat_id, person = chat
    write(chat_id, person, "hello")
    with sweeps.only_one("search"):
        assert index_jobs.sweep(age_seconds=0) == 0
    assert is_behind(chat_id)


def test_a_chat_that_cannot_be_indexed_holds_no_other_up_and_is_set_aside(
    chat: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = make_users(2)
    good = make_chat(people)
    chat_id, person = chat
    write(chat_id, person, "poison")
    real = lexemes.vector

    def failing(document: Document) -> str:
        if document.text == "poison":
            raise ValueError("cannot be taken apart")
        return real(document)

    with monkeypatch.context() as patch:
        patch.setattr(lexemes, "vector", failing)
        for _ in range(4):
            sent = write(good, people[0], "hello")
            index_jobs.sweep(age_seconds=0)
            assert in_index(good)[-1:] == sent
    set_aside = "SELECT attempts FROM set_aside_jobs WHERE job = 'search.index_messages' AND subject = :c"
    assert scalar(set_aside, c=str(chat_id)) == 3
    assert is_behind(chat_id)
    assert index_jobs.retry_set_aside() == 1
    assert not is_behind(chat_id)
