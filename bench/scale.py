"""What 1,000 chats and 100,000 members cost, against the same statements by themselves: `python -m bench.scale`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from uuid import uuid4

from bench.figures import Figures, Table
from bench.progress import say
from bench.quantiles import quantile
from bench.report import publish
from bench.scale_counting import Counted
from bench.scale_fill import Hall, Scene, Sizes
from bench.scale_requests import Door, Times
from bench.stack import Stack, running_stack

_GROUP = 10


@dataclass(frozen=True, slots=True)
class Options:
    """How to measure."""

    chats: int
    """Of the busy person."""
    members: tuple[int, ...]
    """Of the large channels; one of ten is there besides."""
    others: int
    """Messages of others in the same tables."""
    repeat: int
    """Of each request; fan-outs are repeated a tenth as often."""


def measure(options: Options) -> Table:
    """Runs the benchmark on a stack of its own. Raises RuntimeError where a part of it fails."""
    say("starting servers")
    with running_stack(1) as stack:
        say(f"filling {options.others:,} messages of others")
        sizes: Sizes = {"chats": options.chats, "members": [_GROUP, *options.members], "others": options.others}
        scene: Scene = json.loads(stack.run("-m", "bench.scale_fill", json.dumps(sizes)))
        path = stack.data_dir / "scene.json"
        path.write_text(json.dumps(scene))
        stack.start()
        with stack.without_workers():
            say("requests")
            arguments = (str(stack.port), str(options.repeat), str(path))
            times: dict[str, Times] = json.loads(stack.run("-m", "bench.scale_requests", *arguments))
            rows = {name: _request_row(found) for name, found in times.items() if found["alone"]}
            rows |= _deletion_rows(times, scene)
            for hall in scene["halls"][1:]:
                rows |= _counting_rows(stack, hall, max(1, options.repeat // 10))
        return Table("scale", asdict(options), rows, _problems(stack))


def _request_row(times: Times) -> Figures:
    request, alone = sorted(times["request"]), sorted(times["alone"])
    return {
        "p50 ms": quantile(request, 0.5),
        "p95 ms": quantile(request, 0.95),
        "SQL p50 ms": quantile(alone, 0.5),
        "ratio": quantile(request, 0.5) / quantile(alone, 0.5),
    }


def _deletion_rows(times: dict[str, Times], scene: Scene) -> dict[str, Figures]:
    """Deleting for everyone, against the same in the smallest chat."""
    names = {hall["members"]: f"delete among {hall['members']:,}" for hall in scene["halls"]}
    least = quantile(sorted(times[names[_GROUP]]["request"]), 0.5)
    rows: dict[str, Figures] = {}
    for name in names.values():
        ordered = sorted(times[name]["request"])
        p50, p95 = quantile(ordered, 0.5), quantile(ordered, 0.95)
        rows[name] = {"p50 ms": p50, "p95 ms": p95, f"of {_GROUP} ms": least, "ratio": p50 / least}
    return rows


def _counting_rows(stack: Stack, hall: Hall, repeat: int) -> dict[str, Figures]:
    """Fan-outs of a message, and of its deletion, each in a process that is new."""
    door = Door(stack.port)
    sent: list[Counted] = []
    deleted: list[Counted] = []
    for _ in range(repeat):
        say(f"fan-out to {hall['members']:,} members")
        _count(stack, hall)
        body = {"chat_id": hall["chat"], "text": "Hello", "client_id": str(uuid4())}
        message = door.ask("POST", "/messages", hall["token"], body)
        sent.append(_count(stack, hall))
        door.ask("DELETE", f"/messages/{message['id']}?for=everyone", hall["token"])
        deleted.append(_count(stack, hall))
    members = f"{hall['members']:,}"
    return {f"fan-out to {members}": _counting_row(sent), f"fan-out of a deletion to {members}": _counting_row(deleted)}


def _count(stack: Stack, hall: Hall) -> Counted:
    counted: Counted = json.loads(stack.run("-m", "bench.scale_counting", str(hall["chat"])))
    return counted


def _counting_row(counted: Sequence[Counted]) -> Figures:
    ordered = sorted(each["ms"] for each in counted)
    plain = median(each["plain_ms"] for each in counted)
    return {
        "p50 ms": quantile(ordered, 0.5),
        "p95 ms": quantile(ordered, 0.95),
        "UPDATE ms": plain,
        "ratio": quantile(ordered, 0.5) / plain,
        "memory MiB": max((each["mib"] for each in counted if each["mib"] is not None), default=None),
    }


_DIFFERENT = """
    SELECT count(*) FROM user_chat_states s JOIN chats c ON c.id = s.chat_id
    WHERE c.type = 'channel' AND s.counted_seq >= c.last_seq AND s.unread_count <> (
      SELECT count(*) FROM messages x
      WHERE x.chat_id = s.chat_id AND x.seq > s.last_read_seq AND x.deleted_at IS NULL
        AND x.sender_id IS DISTINCT FROM s.user_id)"""


def _problems(stack: Stack) -> list[str]:
    """Counts of the large channels that a recount does not give."""
    with stack.database() as database, database.cursor() as cursor:
        cursor.execute(_DIFFERENT)
        row = cursor.fetchone()
    return [f"{row[0]} unread counts are wrong"] if row is not None and row[0] else []


def parser() -> argparse.ArgumentParser:
    """The arguments."""
    arguments = argparse.ArgumentParser(prog="python -m bench.scale", description=__doc__)
    arguments.add_argument("--chats", type=int, default=1_000, help="of the person who lists and syncs")
    arguments.add_argument("--members", type=int, nargs="+", default=[10_000, 100_000], help="of the large channels")
    arguments.add_argument("--others", type=int, default=1_000_000, help="messages of others in the same tables")
    arguments.add_argument("--repeat", type=int, default=50, help="repetitions of each request")
    arguments.add_argument("--json", type=Path, metavar="FILE", help="write all numbers there")
    return arguments


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status: 1 where a count is wrong."""
    given = parser().parse_args(arguments)
    return publish([measure(Options(given.chats, tuple(given.members), given.others, given.repeat))], given.json)


if __name__ == "__main__":
    sys.exit(main())
