"""PostgreSQL: reached, migrated, durable, with parts of messages ahead."""

from __future__ import annotations

import time
from collections.abc import Iterator

from app.commands import doctor_queries
from app.commands.checks.finding import Finding, broken, good, warning
from app.errors import Unavailable
from app.infra import migrations, partitions, set_aside
from app.infra.db import UnitOfWork, reading
from app.sync import service as sync
from config import Settings

_OLDEST_VERSION = 15
# Seconds between clocks: ids, leases and expiries are times.
_MUCH_SKEW = 5.0
_SOME_SKEW = 1.0
_FEW_PARTS = 3


def check(current: Settings) -> Iterator[Finding]:
    """What is found about PostgreSQL; only that it is away where it cannot be reached."""
    try:
        with reading() as unit:
            yield from _reached(unit, current)
    except Unavailable as error:
        cause = str(error.__cause__ or error).strip().partition("\n")[0]
        advice = "start it with `make run`" if current.embeds_database else "see DATABASE_URL or DB_* and its log"
        yield broken("PostgreSQL", f"cannot be reached: {cause}", advice)


def _reached(unit: UnitOfWork, current: Settings) -> Iterator[Finding]:
    server = doctor_queries.server(unit)
    kind = "the embedded one" if current.embeds_database else "given"
    if server.version_number // 10000 < _OLDEST_VERSION:
        yield broken("PostgreSQL", f"{server.version} is too old", f"use PostgreSQL {_OLDEST_VERSION} or newer")
    else:
        yield good("PostgreSQL", f"{server.version}, {kind}")
    yield skew("PostgreSQL's clock", server.now - time.time())
    yield from _durability(server, current)
    found, wanted = migrations.current(unit.connection), migrations.newest()
    if found != wanted:
        advice = "run `.venv/bin/python -m app.infra.migrations` (make run does it by itself)"
        yield broken("Migrations", f"the database is at {found or 'none'}, the code needs {wanted}", advice)
        return
    yield good("Migrations", f"at {found}, the newest")
    yield _parts(unit, server)
    yield catching_up(unit)
    yield from _set_aside(unit)


def skew(subject: str, seconds: float) -> Finding:
    """How far a server's clock is from this machine's."""
    text = f"{abs(seconds):.1f} s {'ahead of' if seconds > 0 else 'behind'} this machine's"
    if abs(seconds) > _MUCH_SKEW:
        return broken(subject, text, "set the clocks by NTP on both machines")
    if abs(seconds) > _SOME_SKEW:
        return warning(subject, text, "set the clocks by NTP on both machines")
    return good(subject, "agrees with this machine's")


def _durability(server: doctor_queries.Server, current: Settings) -> Iterator[Finding]:
    off = [name for name, value in (("fsync", server.fsync), ("synchronous_commit", server.synchronous_commit))
           if value == "off"]  # fmt: skip
    if not off:
        yield good("Durability", "fsync and synchronous_commit are on")
        return
    finding = broken if current.environment == "production" else warning
    yield finding("Durability", f"{' and '.join(off)} off: acknowledged messages can be lost", "turn on in PostgreSQL")


def _parts(unit: UnitOfWork, server: doctor_queries.Server) -> Finding:
    if not partitions.is_native(unit.connection):
        return good("Parts of messages", f"made by TimescaleDB {server.timescale or ''}".strip())
    left = partitions.parts_left(unit.connection)
    text = f"native, {left} made ahead (28 days each)"
    if left < _FEW_PARTS:
        advice = "run `.venv/bin/python -m app.infra.migrations`, then see that beat and a maintenance worker run"
        return (broken if left == 0 else warning)("Parts of messages", text, advice)
    return good("Parts of messages", text)


def catching_up(unit: UnitOfWork) -> Finding:
    """Whether sync sees every open transaction: past one that it does not see it would leave rows out."""
    found = sync.blind_spots(unit)
    if found.writers:
        names = ", ".join(writer.name for writer in found.writers)
        # An operator's session writes nothing that clients keep, as a rule; another program's does.
        finding = warning if all(writer.is_superuser for writer in found.writers) else broken
        text = f"transactions of {names} are hidden, and what they write may be left out"
        return finding("Catching up", text, "GRANT pg_read_all_stats to the role of Paperplane, or have no other write")
    if not found.is_tracked:
        text = "track_activities is off, so much is answered again and again"
        return warning("Catching up", text, "turn it on in PostgreSQL, for all roles, and restart Paperplane")
    return good("Catching up", "sees every open transaction")


def _set_aside(unit: UnitOfWork) -> Iterator[Finding]:
    jobs = set_aside.listed(unit)
    if not jobs:
        yield good("Jobs set aside", "none")
    for job in jobs[:10]:
        yield warning(
            "Jobs set aside",
            f"{job.job} on {job.subject} failed {job.attempts} times: {job.error}",
            "once the cause is gone: `make doctor ARGUMENTS=--retry-set-aside`",
        )
