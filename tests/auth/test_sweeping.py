"""What has expired goes, and nothing else."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import text

from app.auth import service
from app.infra.db import UnitOfWork, unit_of_work
from tests.auth.clients import Person

Stranger = Callable[[], Person]


def _sweep() -> None:
    """Sweeps until nothing is left, in the small batches of a worker."""
    for _ in range(1000):
        with unit_of_work() as unit:
            if not service.sweep_expired(unit, 50):
                return
    raise AssertionError("sweeping never ends")


def _left(unit: UnitOfWork, table: str, column: str, value: object) -> int:
    query = text(f"SELECT count(*) FROM {table} WHERE {column} = :value")
    return int(unit.execute(query, {"value": value}).scalar_one())


def test_what_is_still_good_stays(person: Person, stranger: Stranger) -> None:
    ada = stranger()
    ada.register()
    person.login("wrong password")
    _sweep()
    assert ada.verify().status_code == 201
    assert person.get("/auth/me").status_code == 200
    with unit_of_work() as unit:
        assert _left(unit, "attempt_counts", "bucket", f"login:phone:{person.phone}") == 1


def test_what_has_expired_goes(person: Person, stranger: Stranger) -> None:
    ada = stranger()
    ada.register()
    person.login("wrong password")
    phones = {"phone": ada.phone, "id": person.id, "login": f"login:phone:{person.phone}"}
    with unit_of_work() as unit:
        for statement in (
            "UPDATE one_time_codes SET sent_at = now() - interval '1 hour', expires_at = now() WHERE phone = :phone",
            "UPDATE pending_registrations SET created_at = now() - interval '25 hours' WHERE phone = :phone",
            "UPDATE sessions SET expires_at = now() - interval '31 days' WHERE user_id = :id",
            "UPDATE attempt_counts SET window_started_at = now() - interval '61 minutes' WHERE bucket = :login",
        ):
            unit.execute(text(statement), phones)
    _sweep()
    with unit_of_work() as unit:
        assert _left(unit, "one_time_codes", "phone", ada.phone) == 0
        assert _left(unit, "pending_registrations", "phone", ada.phone) == 0
        assert _left(unit, "sessions", "user_id", person.id) == 0
        assert _left(unit, "attempt_counts", "bucket", f"login:phone:{person.phone}") == 0


def test_a_sweep_takes_no_more_than_its_batch_and_skips_what_is_in_use(stranger: Stranger) -> None:
    _sweep()
    people = [stranger() for _ in range(3)]
    for one in people:
        one.register()
    phones = [one.phone for one in people]
    expire = text("UPDATE pending_registrations SET created_at = now() - interval '2 days' WHERE phone = ANY (:phones)")
    with unit_of_work() as unit:
        unit.execute(expire, {"phones": phones})
    with unit_of_work() as holding:
        hold = text("SELECT FROM pending_registrations WHERE phone = :phone FOR UPDATE")
        holding.execute(hold, {"phone": phones[0]})
        with unit_of_work() as unit:
            service.sweep_expired(unit, 1)
            # The one in use is passed over, and of the two others one goes.
            assert sum(_left(unit, "pending_registrations", "phone", phone) for phone in phones) == 2
        _sweep()
        with unit_of_work() as unit:
            assert _left(unit, "pending_registrations", "phone", phones[0]) == 1
    _sweep()
    with unit_of_work() as unit:
        assert _left(unit, "pending_registrations", "phone", phones[0]) == 0
