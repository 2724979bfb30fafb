"""How fast files are uploaded and looked at, and what that costs in memory: `python -m bench.files`.

Uploads go on while the workers are suspended, and the workers begin when all are stored. The limit, measured in the
same run: the same work by one process that has loaded the libraries, without jobs, children, storage and PostgreSQL.
"""

from __future__ import annotations

import argparse
import http.client
import statistics
import sys
import time
import uuid
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench.audience import fill
from bench.figures import Figures, Table
from bench.held import Held
from bench.pictures import photo, pictures
from bench.progress import say
from bench.report import publish
from bench.stack import Stack, running_stack

_UPLOADERS = (1, 4)
_LONGEST_SECONDS = 120.0
_PAUSE = 0.05
# One person uploads all of them, while nobody looks at any.
_LIMITS = dict.fromkeys(("RATE_LIMIT_UPLOADS", "FILES_WAITING"), "1000000")


@dataclass(frozen=True, slots=True)
class Options:
    """How to measure."""

    files: int
    """Files of each kind."""
    workers: tuple[int, ...]
    """Processes of the Celery worker, one measurement for each."""


class _Bench:
    """A run on a started stack."""

    def __init__(self, stack: Stack, token: str, files: int) -> None:
        self._stack, self._token, self._files = stack, token, files
        self.problems: list[str] = []

    def warm_up(self, workers: int) -> None:
        """Has each process of the worker load and connect what it needs."""
        for _ in range(4 * workers):
            self._upload(photo("PNG", 2000, 2000, 2))
        while self._waiting():
            time.sleep(_PAUSE)

    def upload(self, content: bytes, uploaders: int) -> Figures:
        """Uploads the files, by so many at once."""
        with ThreadPoolExecutor(uploaders) as threads:
            begun = time.perf_counter()
            times = list(threads.map(lambda _: self._upload(content), range(self._files)))
            seconds = time.perf_counter() - begun
        return {"files/s": len(times) / seconds, "p50 ms": statistics.median(times) * 1000}

    def look(self, limit: float) -> Figures:
        """Has the workers look at all files that wait."""
        waiting = self._waiting()
        peak = 0
        begun = time.perf_counter()
        while self._waiting():
            if time.perf_counter() - begun > _LONGEST_SECONDS:
                self.problems.append(f"{self._waiting()} files were not looked at in {_LONGEST_SECONDS:.0f} s")
                break
            held = Held.by(self._stack.processes()["worker"])
            peak = max(peak, held.pss_kb if held else 0)
            time.sleep(_PAUSE)
        rate = waiting / (time.perf_counter() - begun)
        return {"files/s": rate, "ratio": rate / limit, "worker MiB": peak / 1024}

    def check(self) -> None:
        """All files are ready, and have thumbnails."""
        with self._stack.database() as opened, opened.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM files f WHERE status <> 'ready' OR NOT EXISTS ("
                " SELECT FROM file_objects o WHERE o.file_id = f.id AND o.variant = 'small')"
            )
            (wrong,) = cursor.fetchone() or (0,)
        if wrong:
            self.problems.append(f"{wrong} files have failed or have no thumbnails")

    def _upload(self, content: bytes) -> float:
        boundary = uuid.uuid4().hex
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="it"\r\n\r\n'.encode()
        body = head + content + f"\r\n--{boundary}--\r\n".encode()
        headers = {
            "Authorization": f"Bearer {self._token}",
            "Content-Type": f"multipart/form-data; boundary={boundary}",
        }
        begun = time.perf_counter()
        line = http.client.HTTPConnection("127.0.0.1", self._stack.port, timeout=60)
        line.request("POST", "/api/files/upload", body, headers)
        answer = line.getresponse()
        answer.read()
        line.close()
        if answer.status != 201:
            self.problems.append(f"an upload was answered with {answer.status}")
        return time.perf_counter() - begun

    def _waiting(self) -> int:
        with self._stack.database() as opened, opened.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM files WHERE status = 'processing'")
            return int((cursor.fetchone() or (0,))[0])


def measure(options: Options) -> Table:
    """Runs the benchmark, on a stack of its own for each number of workers. Raises RuntimeError where a part fails."""
    rows: dict[str, Figures] = {}
    problems: list[str] = []
    for workers in options.workers:
        say(f"starting servers, {workers} worker processes")
        with running_stack(1) as stack:
            stack.environment |= {"WORKER_CONCURRENCY": str(workers), **_LIMITS}
            token = fill(stack, [1])["listeners"][0]
            stack.start()
            bench = _Bench(stack, token, options.files)
            bench.warm_up(workers)
            for name, content in pictures().items():
                found = _measure_one(stack, bench, content, is_first=workers == options.workers[0])
                rows |= {f"{name}, {what.format(workers)}": figures for what, figures in found.items()}
            bench.check()
        problems += bench.problems
    return Table("files", asdict(options), dict(sorted(rows.items(), key=lambda row: list(row[1]))), problems)


def _measure_one(stack: Stack, bench: _Bench, content: bytes, *, is_first: bool) -> dict[str, Any]:
    path = stack.data_dir / "picture"
    path.write_bytes(content)
    limit = float(stack.run("-m", "bench.pictures", str(path), "10"))
    found: dict[str, Any] = {}
    with stack.without_workers():
        for uploaders in _UPLOADERS if is_first else _UPLOADERS[-1:]:
            figures = bench.upload(content, uploaders)
            if is_first:
                found[f"upload by {uploaders}"] = figures
    found["{} workers look at it"] = bench.look(limit)
    return found


def parser() -> argparse.ArgumentParser:
    """The arguments."""
    arguments = argparse.ArgumentParser(prog="python -m bench.files", description=__doc__)
    arguments.add_argument("--files", type=int, default=40, help="files of each kind")
    arguments.add_argument("--workers", type=int, nargs="+", default=[1, 2], help="processes of the worker")
    arguments.add_argument("--json", type=Path, metavar="FILE", help="write all numbers there")
    return arguments


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status: 1 where a file was not looked at, or has failed."""
    given = parser().parse_args(arguments)
    return publish([measure(Options(given.files, tuple(given.workers)))], given.json)


if __name__ == "__main__":
    sys.exit(main())
