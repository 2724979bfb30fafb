"""How long one message takes to reach thousands of sockets of one API process: `python -m bench.fanout`.

The limit, measured in the same run: one Python process that does nothing but write the same bytes to as many sockets,
received by the same load program; beside it, PUBLISH of as many single copies through one pipeline of Valkey.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from time import sleep

from bench import descriptors, published
from bench.audience import Audience, fill
from bench.figures import Figures, Table
from bench.limit import TEXT
from bench.others import Others, watched
from bench.program import Program, running
from bench.progress import say
from bench.report import publish
from bench.speaker import Speaker
from bench.stack import running_stack

_HANDSHAKES = 50
_SECONDS = 60.0
# As long as what is sent of a message.
_CONTENT = b"x" * 330


@dataclass(frozen=True, slots=True)
class Options:
    """How to measure."""

    sockets: tuple[int, ...]
    """How many sockets a message goes to, the most last."""
    messages: int
    """Messages to each number of sockets, of which medians are taken."""
    pause_seconds: float
    """Between two messages; meanwhile the worker counts the last one for every member and tells them."""


@dataclass(slots=True)
class _Times:
    """Milliseconds of each message to one number of sockets, and what was wrong."""

    all_ms: list[float] = field(default_factory=list)
    writing_ms: list[float] = field(default_factory=list)
    plain_ms: list[float] = field(default_factory=list)
    published_ms: list[float] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def note(self, arrived: dict[str, float], began: float, times: list[float]) -> None:
        """Adds what the listeners tell of one message to `times`."""
        times.append((arrived["last"] - began) * 1000)
        self.problems += arrival_problems(arrived)

    def figures(self) -> Figures:
        """The medians, and the ratio to the limit."""
        everything, plain = median(self.all_ms), median(self.plain_ms)
        return {
            "all ms": everything,
            "slowest ms": max(self.all_ms),
            "first-last ms": median(self.writing_ms),
            "plain ms": plain,
            "ratio": plain / everything,
            "PUBLISH ms": median(self.published_ms),
        }


def arrival_problems(arrived: dict[str, float]) -> list[str]:
    """What went wrong with one message: the answer of the listeners' `arrivals`."""
    kinds = {"missing": "did not arrive", "doubled": "arrived twice", "strange": "arrived where they should not"}
    return [f"{arrived[kind]:.0f} copies of a message {what}" for kind, what in kinds.items() if arrived[kind]]


def measure(options: Options) -> Table:
    """Runs the benchmark on a stack of its own. Raises RuntimeError where a part of it fails."""
    descriptors.allow(max(options.sockets))
    times = {count: _Times() for count in options.sockets}
    problems: list[str] = []
    say("starting servers")
    with running_stack(1) as stack:
        audience = fill(stack, list(options.sockets))
        stack.start()
        with watched(stack, audience) as others:
            others.begin()
            sleep(options.pause_seconds * 2)
            others.end("undisturbed")
            with running("bench.load_listeners", {"port": stack.port}) as listeners:
                problems += _open(listeners, audience["listeners"])
                _ours(Speaker(stack.port, audience["owner"]), audience["halls"], listeners, others, options, times)
                problems += listeners.ask("problems")
        say("the plain server")
        _plain(audience, options, times)
        say("PUBLISH")
        for count, found in times.items():
            for _ in range(options.messages):
                found.published_ms.append(published.milliseconds(stack.environment["REDIS_URL"], _CONTENT, count))
    rows = {f"{count:,} sockets": found.figures() for count, found in times.items()}
    problems += [f"{count:,} sockets: {problem}" for count, found in times.items() for problem in found.problems]
    return Table("fanout", asdict(options), rows | others.rows, problems + others.problems)


def _open(listeners: Program, tokens: list[str]) -> list[str]:
    say(f"opening {len(tokens):,} sockets")
    problems: list[str] = listeners.ask("open", tokens=tokens, at_once=_HANDSHAKES, seconds=_SECONDS)["problems"]
    return problems


def _ours(
    speaker: Speaker, halls: list[int], listeners: Program, others: Others, options: Options, times: dict[int, _Times]
) -> None:
    """Messages through the product, and how long the others wait meanwhile."""
    for chat_id, (count, found) in zip(halls, times.items(), strict=True):
        say(f"messages to {count:,} sockets")
        others.begin()
        for number in range(options.messages):
            said = speaker.say(chat_id, f"{TEXT} ({number})")
            arrived = listeners.ask("arrivals", message_id=said.message_id, count=count, seconds=_SECONDS)
            found.note(arrived, said.sent_at, found.all_ms)
            found.writing_ms.append((arrived["last"] - arrived["first"]) * 1000)
            sleep(options.pause_seconds)
        others.end(f"{count:,} sockets")
    speaker.close()


def _plain(audience: Audience, options: Options, times: dict[int, _Times]) -> None:
    """The same bytes from one process that does nothing else."""
    with (
        running("bench.plain_server", None) as server,
        running("bench.load_listeners", {"port": server.ask("port")}) as listeners,
    ):
        problems = _open(listeners, audience["listeners"])
        for count, found in times.items():
            found.problems += problems
            for number in range(options.messages):
                message_id = count * 1000 + number
                content = f'{{"event":"new_message","data":{{"id":{message_id},"text":"{_CONTENT.decode()}"}}}}'
                began = server.ask("broadcast", content=content, sockets=count)
                arrived = listeners.ask("arrivals", message_id=message_id, count=count, seconds=_SECONDS)
                found.note(arrived, began, found.plain_ms)


def parser() -> argparse.ArgumentParser:
    """The arguments."""
    arguments = argparse.ArgumentParser(prog="python -m bench.fanout", description=__doc__)
    arguments.add_argument("--sockets", type=int, nargs="+", default=[1000, 5000], help="the most last")
    arguments.add_argument("--messages", type=int, default=7, help="of which medians are taken")
    arguments.add_argument("--pause", type=float, default=1.0, help="seconds between two messages")
    arguments.add_argument("--json", type=Path, metavar="FILE", help="write all numbers there")
    return arguments


def options_of(given: argparse.Namespace) -> Options:
    """The options that arguments stand for."""
    return Options(tuple(sorted(given.sockets)), given.messages, given.pause)


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status: 1 where something was lost, doubled or refused."""
    given = parser().parse_args(arguments)
    return publish([measure(options_of(given))], given.json)


if __name__ == "__main__":
    sys.exit(main())
