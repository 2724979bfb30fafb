"""People are not kept by calls that should be over: where no sweep has ended them, whoever wants to call does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from app.calls import queries
from app.calls.service.ending import end_overdue
from app.calls.service.taken import Taken
from app.errors import Busy
from app.infra.db import UnitOfWork, reading, unit_of_work

_ATTEMPTS = 3

Result = TypeVar("Result")


def with_free_people(act: Callable[[UnitOfWork], Result]) -> Result:
    """Does something in a unit of its own; where that raises Taken, ends what is over and does it once more.

    Raises Busy where that does not help either.
    """
    for _ in range(_ATTEMPTS):
        try:
            with unit_of_work() as unit:
                return act(unit)
        except Taken as taken:
            _end_what_is_over(taken.user_ids)
    raise Busy


def _end_what_is_over(user_ids: Sequence[int]) -> None:
    with reading() as unit:
        found = queries.overdue(unit, len(user_ids), user_ids)
    for call_id, _ in found:
        end_overdue(call_id)
