"""How fast history, chats and changes are read, and whether that depends on what is stored: `python -m bench.reads`.

The limit of each, measured in the same run: pgbench, executing the statements that the application prepares for it, for
the same rows.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

from bench import pgbench, places, read_statements
from bench.audience import CIRCLE, fill
from bench.figures import Figures, Table, middle
from bench.load import STRAGGLERS_SECONDS, run_load
from bench.load_reads import Plan, Request
from bench.places import Place
from bench.progress import say
from bench.report import publish
from bench.stack import Stack, running_stack

_CHAT_MESSAGES = 1000
_CIRCLE_MESSAGES = CIRCLE * _CHAT_MESSAGES
_PLACES = 100

# The page that somebody has read just before; its limit is that of reading it.
_KEPT = "newest page, kept"
_LIMITS = {_KEPT: "newest page"}
_SETTING = "HISTORY_CACHE_SIZE"


@dataclass(frozen=True, slots=True)
class Options:
    """How to measure."""

    workers: int
    """API processes."""
    messages: tuple[int, ...]
    """How many messages are stored, the fewest first."""
    clients: int
    """Requests on their way at the same time, and clients of pgbench."""
    seconds: float
    """Of each measurement."""
    repeat: int
    """Rounds, of which medians are taken."""
    data: str | None
    """The folder in which the data sets are kept."""


def _requests(kind: str, place: Place) -> Request:
    history = f"/api/chats/{place.chat}/messages"
    path, rows, ids = {
        "newest page": (history, "items", place.newest),
        _KEPT: (history, "items", place.newest),
        "older page": (f"{history}?before={place.before}", "items", place.older),
        # The chat that was written to last comes first.
        "chats": ("/api/chats", "items", place.chats[::-1]),
        "sync": (f"/api/sync?cursor={place.cursor}", "messages", place.missed),
    }[kind]
    return {"path": path, "token": place.token, "rows": rows, "ids": ids}


@dataclass(frozen=True, slots=True)
class _Stored:
    """A started stack with so many messages."""

    stack: Stack
    messages: int
    places: list[Place]
    scripts: dict[str, list[str]]

    @classmethod
    def on(cls, stack: Stack, messages: int) -> _Stored:
        """Fills a stack and starts it."""
        say(f"filling in {messages:,} messages")
        # Pages are read from the database, but where it is said that they are not.
        stack.environment[_SETTING] = "0"
        audience = fill(stack, [], circles=max(1, messages // _CIRCLE_MESSAGES), messages=_CHAT_MESSAGES)
        with stack.database() as database:
            found = places.sample(database, audience, _CHAT_MESSAGES, _PLACES)
        scripts = read_statements.scripts(stack, found)
        stack.start()
        return cls(stack, messages, found, scripts)

    def read(self, kind: str, options: Options, problems: list[str]) -> Figures:
        """One measurement: the API, and right after it the limit."""
        say(f"{kind} of {self.messages:,}")
        plan: Plan = {
            "port": self.stack.port,
            "warm_up_seconds": options.seconds / 3,
            "seconds": options.seconds,
            "stragglers_seconds": STRAGGLERS_SECONDS,
            "processes": self.stack.processes(),
            "requests": [_requests(kind, place) for place in self.places],
            "clients": options.clients,
        }
        measured = run_load("bench.load_reads", plan)
        problems += [f"{kind} of {self.messages:,}: {problem}" for problem in measured["problems"]]
        limit = pgbench.run(
            self.stack, self.scripts[_LIMITS.get(kind, kind)], options.clients, max(1, round(options.seconds))
        )
        return {
            "requests/s": measured["rate"],
            "pgbench/s": limit.rate,
            "ratio": measured["rate"] / limit.rate,
            "p50 ms": measured["p50_ms"],
            "p99 ms": measured["p99_ms"],
            "API µs": measured["cpu_us"].get("api"),
            "database µs": measured["cpu_us"].get("database"),
        }

    def keep_pages(self) -> None:
        """From here on API processes keep pages."""
        del self.stack.environment[_SETTING]
        self.stack.restart_api()


def measure(options: Options) -> Table:
    """Runs the benchmark, each number of messages on a stack of its own. Raises RuntimeError where a part fails."""
    problems: list[str] = []
    rows: dict[str, Figures] = {}
    with ExitStack() as exits:
        stored = []
        for messages in options.messages:
            say("starting servers")
            kept_in = None if options.data is None else Path(options.data) / str(messages)
            stored.append(_Stored.on(exits.enter_context(running_stack(options.workers, kept_in)), messages))
        for kind in stored[0].scripts:
            # One after the other, round by round, so that a change of the machine's mood meets all of them.
            rounds = [[each.read(kind, options, problems) for each in stored] for _ in range(options.repeat)]
            medians = [middle([row[number] for row in rounds]) for number in range(len(stored))]
            for each, row in zip(stored, medians, strict=True):
                rows[f"{kind}, {each.messages:,} stored"] = row
                if each is not stored[0]:
                    rows[f"{kind}, {each.messages:,} / {stored[0].messages:,}"] = _compared(row, medians[0])
        # How much is stored has no part in it.
        stored[0].keep_pages()
        kept = [stored[0].read(_KEPT, options, problems) for _ in range(options.repeat)]
        rows[f"{_KEPT}, {stored[0].messages:,} stored"] = middle(kept)
    return Table("reads", asdict(options), rows, problems)


def _compared(large: Figures, small: Figures) -> Figures:
    """How many times as much it takes with much stored as with little, by column: 1 where it does not matter."""
    return {name: None if name == "ratio" else (large[name] or 0.0) / (small[name] or 1.0) for name in large}


def parser() -> argparse.ArgumentParser:
    """The arguments."""
    arguments = argparse.ArgumentParser(prog="python -m bench.reads", description=__doc__)
    arguments.add_argument("--workers", type=int, default=1, help="API processes")
    arguments.add_argument("--messages", type=int, nargs="+", default=[10_000, 1_000_000], help="stored, each measured")
    arguments.add_argument("--large", action="store_true", help="10 million as well; keep them with --data")
    arguments.add_argument("--data", metavar="FOLDER", help="keeps the data sets there, and goes on with what is there")
    arguments.add_argument("--clients", type=int, default=8, help="requests on their way at the same time")
    arguments.add_argument("--seconds", type=float, default=3, help="of each measurement")
    arguments.add_argument("--repeat", type=int, default=3, help="rounds, of which medians are taken")
    arguments.add_argument("--json", type=Path, metavar="FILE", help="write all numbers there")
    return arguments


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status: 1 where an answer was not what is stored."""
    given = parser().parse_args(arguments)
    messages = tuple(sorted({*given.messages, *([10_000_000] if given.large else [])}))
    options = Options(given.workers, messages, given.clients, given.seconds, given.repeat, given.data)
    return publish([measure(options)], given.json)


if __name__ == "__main__":
    sys.exit(main())
