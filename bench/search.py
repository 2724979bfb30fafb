"""How fast search is among millions of messages, how soon they are found, and what indexing costs:
`python -m bench.search --data FOLDER`.

Questions go one by one to the rules of search, in a process of their own; the same to `to_tsvector('simple')` with a
GIN index, and to LIKE, as a plain application would ask them.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from bench import search_sending
from bench.figures import Figures, Table
from bench.progress import say
from bench.quantiles import quantile
from bench.report import publish
from bench.search_cost import Cost
from bench.search_fill import Scene
from bench.search_freshness import Freshness
from bench.search_questions import Times
from bench.stack import Stack, running_stack

_MIB = 1024 * 1024
_SIZES = {
    "ours, by words": "pg_relation_size('ix_message_search_tokens')",
    "ours, in all": "pg_total_relation_size('message_search')",
    "simple, by words": "pg_relation_size('plain_search_tokens')",
    "simple, in all": "pg_total_relation_size('plain_search')",
    "messages themselves": """(SELECT sum(pg_total_relation_size(inhrelid)) FROM pg_inherits
                               WHERE inhparent = 'messages'::regclass)""",
}


_FRESHNESS = {
    "found after: sent while idle": "idle",
    "found after: sent behind another": "behind_another",
    "found after: edited": "edited",
    "found after: its job was lost": "lost",
}


@dataclass(frozen=True, slots=True)
class Options:
    """How to measure."""

    messages: tuple[int, ...]
    """How many messages are stored, each measured."""
    rounds: int
    """Of each question, of each kind of message that is sent until found, and of loads of sending."""
    data: str | None
    """The folder in which the data sets are kept."""
    parts: tuple[str, ...]
    """What to measure; `fill` is no more than having the data there."""
    seconds: float
    """Of each load of sending."""


PARTS = ("fill", "questions", "sizes", "costs", "freshness", "sending")
_OF_DATA = frozenset(PARTS) - {"sending"}


def measure(options: Options, messages: int) -> Table:
    """Runs the benchmark on a stack of its own. Raises RuntimeError where a part of it fails."""
    say("starting servers")
    kept_in = None if options.data is None else Path(options.data) / str(messages)
    with running_stack(1, kept_in) as stack:
        say(f"filling in {messages:,} messages")
        scene: Scene = json.loads(stack.run("-m", "bench.search_fill", json.dumps({"messages": messages})))
        path = stack.data_dir / "scene.json"
        path.write_text(json.dumps(scene))
        rows: dict[str, Figures] = {}
        for part in options.parts:
            if part in _PARTS_OF_DATA:
                say(part)
                rows |= _PARTS_OF_DATA[part](stack, options, scene, path)
    return Table(f"search, {messages:,} messages", asdict(options), rows, [])


def _questions(stack: Stack, options: Options, _: Scene, path: Path) -> dict[str, Figures]:
    times: dict[str, Times] = json.loads(stack.run("-m", "bench.search_questions", str(options.rounds), str(path)))
    return {name: _row(found) for name, found in times.items()}


def _costs(stack: Stack, _: Options, __: Scene, path: Path) -> dict[str, Figures]:
    cost: Cost = json.loads(stack.run("-m", "bench.search_cost", str(path), str(stack.postgres.pid)))
    return {
        "indexing one message": {"worker µs": cost["worker_us"], "database µs": cost["database_us"]},
        "marking one message": {
            "mark µs": cost["mark_us"],
            "job µs": cost["job_us"],
            "per send µs": cost["send_us"],
        },
    }


def _freshness(stack: Stack, options: Options, scene: Scene, _: Path) -> dict[str, Figures]:
    stack.start()
    plan = {"scene": scene, "port": stack.port, "rounds": options.rounds}
    found: Freshness = json.loads(stack.run("-m", "bench.search_freshness", json.dumps(plan)))
    stack.stop()
    return {name: _spread(sorted(found[key])) for name, key in _FRESHNESS.items()}  # type: ignore[literal-required]


def _spread(ordered: Sequence[float]) -> Figures:
    return {"p50 ms": quantile(ordered, 0.5), "p95 ms": quantile(ordered, 0.95), "longest ms": ordered[-1]}


def _row(times: Times) -> Figures:
    ordered = sorted(times["ours"])
    return {
        "p50 ms": quantile(ordered, 0.5),
        "p95 ms": quantile(ordered, 0.95),
        "found": times["found"],
        "simple ms": median(times["plain"]) if times["plain"] else None,
        "LIKE ms": median(times["like"]) if times["like"] else None,
    }


def _sizes(stack: Stack, _: Options, __: Scene, ___: Path) -> dict[str, Figures]:
    rows: dict[str, Figures] = {}
    with stack.database() as database, database.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM messages")
        row = cursor.fetchone()
        assert row is not None
        messages = int(row[0])
        for name, expression in _SIZES.items():
            cursor.execute(f"SELECT {expression}")
            row = cursor.fetchone()
            assert row is not None
            rows[f"size: {name}"] = {"MiB": float(row[0]) / _MIB, "bytes each": float(row[0]) / messages}
    return rows


_PARTS_OF_DATA: Mapping[str, Callable[[Stack, Options, Scene, Path], dict[str, Figures]]] = {
    "questions": _questions,
    "sizes": _sizes,
    "costs": _costs,
    "freshness": _freshness,
}


def _sending(options: Options) -> Table:
    rows, problems = search_sending.measure(options.rounds, options.seconds)
    return Table("search, what indexing adds to sending", asdict(options), rows, problems)


def parser() -> argparse.ArgumentParser:
    """The arguments."""
    arguments = argparse.ArgumentParser(prog="python -m bench.search", description=__doc__)
    arguments.add_argument("--messages", type=int, nargs="+", default=[1_000_000], help="stored, each measured")
    arguments.add_argument("--rounds", type=int, default=20, help="of each question")
    arguments.add_argument("--parts", choices=PARTS, nargs="+", default=PARTS, help="what to measure")
    arguments.add_argument("--seconds", type=float, default=4, help="of each load of sending")
    arguments.add_argument("--data", metavar="FOLDER", help="keeps the data sets there, and goes on with what is there")
    arguments.add_argument("--json", type=Path, metavar="FILE", help="write all numbers there")
    return arguments


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status: 1 where a part failed."""
    given = parser().parse_args(arguments)
    options = Options(tuple(given.messages), given.rounds, given.data, tuple(given.parts), given.seconds)
    tables = [measure(options, messages) for messages in options.messages if _OF_DATA & set(options.parts)]
    if "sending" in options.parts:
        tables.append(_sending(options))
    return publish(tables, given.json)


if __name__ == "__main__":
    sys.exit(main())
