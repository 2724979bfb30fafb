"""What indexing adds to sending: the same load with it and without, in turns, against the whole of Paperplane."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import NamedTuple

from bench.figures import Figures, middle
from bench.limit import SETTLE_SEARCH
from bench.load import STRAGGLERS_SECONDS, Measured, Plan, run_load
from bench.people import People
from bench.progress import say
from bench.stack import Stack, running_stack

_TEXT = "Shall we meet at the station at a quarter past seven, or rather later?"
_CLIENTS = 32
# Before each load; a shorter one is warmed up for half as long as it lasts.
_WARM_UP_SECONDS = 2.0


class _Way(NamedTuple):
    """How the application runs: its module, the queues that no worker serves, and for how long indexing waits."""

    app: str
    unserved: Collection[str]
    patience: int | None = None
    """Seconds; None: as long as it does by default."""


_WAYS = {
    "unindexed": _Way("bench.unindexed:app", ("search",)),
    # Chats are marked, and wait for the API to be less busy.
    "indexed": _Way("wsgi:app", ()),
    # Workers index on the same cores meanwhile, as they do where a load outlasts their patience.
    "indexed at once": _Way("wsgi:app", (), patience=0),
}


def measure(rounds: int, seconds: float) -> tuple[dict[str, Figures], list[str]]:
    """Rows for each way and of their ratios, medians of the rounds; and what was lost or refused.

    Each round measures all ways, every other one in the opposite order. Raises RuntimeError where a part fails.
    """
    found: dict[str, list[Figures]] = {name: [] for name in _WAYS}
    problems: list[str] = []
    with running_stack(1) as stack:
        people: People = json.loads(stack.run("-m", "bench.people"))
        for number in range(rounds):
            for name in list(_WAYS)[:: -1 if number % 2 else 1]:
                say(f"sending, {name}, {number + 1} of {rounds}")
                measured, indexed = _load(stack, people, _WAYS[name], seconds)
                problems += [f"sending, {name}: {problem}" for problem in measured["problems"]]
                found[name].append(_row(measured, indexed))
    middles = {name: middle(rows) for name, rows in found.items()}
    ratios = {
        name: middle([_ratio(*pair) for pair in zip(found[name], found["unindexed"], strict=True)])
        for name in _WAYS
        if name != "unindexed"
    }
    return (
        {f"sending, {name}": row for name, row in middles.items()}
        | {f"sending, {name} / unindexed": row for name, row in ratios.items()}
    ), problems


def _load(stack: Stack, people: People, way: _Way, seconds: float) -> tuple[Measured, int]:
    """What was measured, and how many messages were indexed meanwhile."""
    stack.environment.pop("SEARCH_PATIENCE", None)
    if way.patience is not None:
        stack.environment["SEARCH_PATIENCE"] = str(way.patience)
    stack.start(way.app, way.unserved)
    plan: Plan = {
        "port": stack.port,
        "writers": people["writers"],
        "groups": people["groups"],
        "text": _TEXT,
        "clients": _CLIENTS,
        "rate": None,
        "warm_up_seconds": min(_WARM_UP_SECONDS, seconds / 2),
        "seconds": seconds,
        "stragglers_seconds": STRAGGLERS_SECONDS,
        "processes": stack.processes(),
    }
    before = _indexed(stack)
    measured = run_load("bench.load_rest", plan)
    indexed = _indexed(stack) - before
    stack.stop()
    with stack.database() as database, database.cursor() as cursor:
        cursor.execute(SETTLE_SEARCH)
    return measured, indexed


def _indexed(stack: Stack) -> int:
    with stack.database() as database, database.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM message_search")
        (count,) = cursor.fetchone() or (0,)
    return int(count)


def _row(measured: Measured, indexed: int) -> Figures:
    used = measured["cpu_us"]
    return {
        "msg/s": measured["rate"],
        "p50 ms": measured["p50_ms"],
        "api µs": used.get("api"),
        "database µs": used.get("database"),
        "both µs": used["api"] + used["database"] if {"api", "database"} <= used.keys() else None,
        "worker µs": used.get("worker"),
        "indexed": indexed,
    }


def _ratio(one: Figures, other: Figures) -> Figures:
    return {name: value / base if value and (base := other[name]) else None for name, value in one.items()}
