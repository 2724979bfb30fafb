"""Connections of readings rest beside the pool: they cost nothing to take, and are nobody's loss."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress

import pytest
from sqlalchemy import Engine, event, text
from sqlalchemy.exc import DBAPIError

from app.errors import NotFound, Unavailable
from app.infra import db
from app.infra import rested as module
from app.infra.connections import connect, make_engine
from app.infra.db import Prepared, UnitOfWork, reading, unit_of_work
from app.infra.rested import rested
from config import settings

pytestmark = pytest.mark.usefixtures("app")

_OWN = text("SELECT pg_backend_pid()")
_OWN_PREPARED = Prepared("own_process", (), "SELECT pg_backend_pid()")
_SIZE = 3


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    """One of its own, with three connections and no more."""
    few = {"db_pool_size": _SIZE, "db_pool_overflow": 0, "db_pool_timeout": 1}
    made = make_engine(settings().model_copy(update=few))
    monkeypatch.setattr(db, "engine", lambda: made)
    yield made
    made.dispose()


@pytest.fixture
def taken(engine: Engine) -> list[object]:
    """What was taken from the pool."""
    found: list[object] = []
    event.listen(engine, "checkout", lambda driver, *_: found.append(driver))
    return found


def process(unit: UnitOfWork) -> int:
    """The process of PostgreSQL that serves the connection."""
    return int(unit.execute(_OWN).scalar_one())


def prepared(unit: UnitOfWork) -> int:
    """The same by a statement that goes past SQLAlchemy."""
    row = _OWN_PREPARED.row(unit.connection)
    assert row is not None
    return int(row[0])


def two_at_once() -> set[int]:
    """The processes of two readings at the same moment."""
    with reading() as first, reading() as second:
        return {process(first), process(second)}


def break_off(error: BaseException) -> int:
    """A reading that raises; the process of PostgreSQL that served it."""
    found = 0
    with suppress(type(error)), reading() as unit:
        found = process(unit)
        raise error
    return found


def break_in_the_midst(others: set[int]) -> None:
    """A unit of work whose connection ends, with others, before its second statement."""
    with unit_of_work() as unit:
        end({process(unit), *others})
        process(unit)


def break_a_prepared_one() -> None:
    """A reading whose connection ends before a statement that goes past SQLAlchemy."""
    with reading() as unit:
        end({process(unit)})
        prepared(unit)


def swallow_the_end() -> None:
    """A reading that goes on, without a word, after its connection has ended."""
    with reading() as unit:
        end({process(unit)})
        with suppress(DBAPIError):
            process(unit)


def end(processes: set[int]) -> None:
    """Has PostgreSQL end these connections."""
    with closing(connect(settings())) as other, other.cursor() as cursor:
        for pid in processes:
            cursor.execute("SELECT pg_terminate_backend(%s, 10000)", [pid])


def test_readings_one_after_the_other_take_one_connection_from_the_pool_once(taken: list[object]) -> None:
    processes = set()
    for _ in range(5):
        with reading() as unit:
            processes.add(process(unit))
        processes.add(break_off(NotFound()))
    assert len(processes) == len(taken) == 1


def test_what_rests_gives_way_to_units_of_work_that_need_all(engine: Engine) -> None:
    two_at_once()
    assert len(rested(engine)) == 2
    with ExitStack() as units:
        processes = {process(units.enter_context(unit_of_work())) for _ in range(_SIZE)}
    assert len(processes) == _SIZE


def test_the_last_connection_goes_back_to_the_pool_where_others_may_wait_for_it(engine: Engine) -> None:
    with unit_of_work(), unit_of_work(), reading() as unit:
        process(unit)
    assert len(rested(engine)) == 0


@pytest.mark.parametrize("ask", [process, prepared], ids=lambda ask: ask.__name__)
def test_where_postgresql_has_ended_them_one_reading_fails_and_the_next_ones_do_not(
    engine: Engine, ask: Callable[[UnitOfWork], int]
) -> None:
    end(two_at_once())
    with pytest.raises(Unavailable), reading() as unit:
        ask(unit)
    assert len(rested(engine)) == 0
    with reading() as first, reading() as second, unit_of_work() as third:
        assert len({ask(first), ask(second), ask(third)}) == 3


def test_who_is_at_work_while_one_breaks_gives_back_to_the_same_pool_and_none_of_them_rests(engine: Engine) -> None:
    pool = engine.pool
    with unit_of_work() as unit, reading() as other:
        with pytest.raises(Unavailable):
            break_a_prepared_one()
        assert process(unit) != process(other)
    assert engine.pool is pool
    assert (len(rested(engine)), pool.checkedout()) == (0, 0)  # type: ignore[attr-defined]


def test_one_that_ended_without_a_word_does_not_rest_nor_does_another_in_its_place(engine: Engine) -> None:
    swallow_the_end()
    assert len(rested(engine)) == 0
    assert engine.pool.checkedout() == 0  # type: ignore[attr-defined]
    with reading() as unit:
        assert unit.connection.connection.driver_connection.autocommit  # type: ignore[union-attr]


def test_what_has_rested_for_long_goes_back_to_the_pool_which_knows_how_old_it_is(
    taken: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    two_at_once()
    monkeypatch.setattr(module, "_LONGEST", 0.0)
    for _ in range(2):
        with reading() as unit:
            process(unit)
    assert len(taken) == 4


def test_none_is_used_that_has_rested_since_before_another_one_broke(engine: Engine) -> None:
    broken = two_at_once()
    with pytest.raises(Unavailable):
        break_in_the_midst(broken)
    assert len(rested(engine)) == 0
    with reading() as unit:
        assert process(unit) not in broken


def test_one_whose_reading_broke_off_does_not_rest(engine: Engine) -> None:
    break_off(KeyboardInterrupt())
    assert len(rested(engine)) == 0
    assert engine.pool.checkedout() == 0  # type: ignore[attr-defined]
