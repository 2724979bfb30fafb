"""What a frame that shows a file costs for each receiver, whose links are signed: `python -m bench.addressed`.

One process, no servers: the bytes that the hub writes to each of so many people, once for a picture with three
thumbnails and once for words alone.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from uuid import UUID

import orjson

from app.realtime.addressed import Addressed
from app.web.links import file_link
from bench.figures import Figures, Table
from bench.report import publish

_FILE = UUID("0b0e7a52-1111-4222-8333-444455556666")
_REPEAT = 7


def frame(shows_a_picture: bool) -> bytes:
    """The event of a new message, as it comes to the hub."""
    links = [{"name": name, "url": file_link(_FILE, None, name)} for name in ("small", "medium", "large")]
    file = {"id": str(_FILE), "name": "holiday.jpg", "size": 3_000_000, "url": file_link(_FILE, None)}
    message = {"id": 1, "chat_id": 2, "text": "Look: " + "x" * 200, "file": file | {"thumbnails": links}}
    return orjson.dumps({"event": "new_message", "data": message if shows_a_picture else message | {"file": None}})


def microseconds(content: bytes, receivers: int) -> float:
    """The time of one receiver, the least of some rounds."""
    times = []
    for _ in range(_REPEAT):
        begun = time.perf_counter()
        addressed = Addressed(content)
        for user_id in range(1, receivers + 1):
            addressed.to(user_id)
        times.append((time.perf_counter() - begun) / receivers * 1e6)
    return min(times)


def measure(receivers: int) -> Table:
    """Runs the benchmark."""
    rows: dict[str, Figures] = {}
    for name, shows_a_picture in (("a picture", True), ("words alone", False)):
        found = microseconds(frame(shows_a_picture), receivers)
        rows[name] = {"us each": found, "ms for all": found * receivers / 1000}
    return Table("addressed", {"receivers": receivers}, rows, [])


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status."""
    parser = argparse.ArgumentParser(prog="python -m bench.addressed", description=__doc__)
    parser.add_argument("--receivers", type=int, default=5_000)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all numbers there")
    given = parser.parse_args(arguments)
    return publish([measure(given.receivers)], given.json)


if __name__ == "__main__":
    sys.exit(main())
