"""The product's own processes, started as operators start them, for tests that need real ones."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self
from uuid import uuid4

import requests

from tests.local.folders import descendants
from tests.unique import free_port

_PROJECT = Path(__file__).parents[1]
# Generous: a machine that is busy is no defect.
START_SECONDS = 120
_STOP_SECONDS = 60


def eventually(condition: object, seconds: float = 20, message: str = "did not happen") -> None:
    """Waits until `condition()` is true; fails the test where it is not within a generous time.

    By itself shorter than a heartbeat, by which much heals that should have happened at once.
    """
    assert callable(condition)
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, message
        time.sleep(0.02)


class Process:
    """A child in a group of its own, with its output in a file."""

    def __init__(self, arguments: list[str], log: Path, **environment: str) -> None:
        self.log = log
        with log.open("ab") as output:
            self.child = subprocess.Popen(
                [sys.executable, "-m", *arguments],
                cwd=_PROJECT,
                env=os.environ | environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            self.end()
        finally:
            if kind is not None:
                # For whoever reads why the test failed: its folder is gone by then.
                print(self.log.name, self.log.read_text(errors="replace")[-4000:], sep="\n")

    def end(self) -> None:
        """Ends what nobody needs any more."""
        self.stop()

    def stop(self, by: signal.Signals = signal.SIGTERM) -> int:
        """Asks it to end, and kills it and its children where it does not, which is an error; answers its exit code."""
        if self.child.poll() is None:
            self.child.send_signal(by)
        try:
            self.child.wait(_STOP_SECONDS)
        finally:
            self.kill()
        return self.child.returncode

    def kill(self) -> None:
        """kill -9 for the process and its children."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.child.pid, signal.SIGKILL)
        self.child.wait()


class Api(Process):
    """One gunicorn with its gevent workers."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self.port = free_port()
        environment = {"PORT": str(self.port), "RATE_LIMIT_ENABLED": "false"} | environment
        super().__init__(
            ["gunicorn", "-c", "gunicorn.conf.py", "wsgi:app"], folder / f"api-{self.port}.log", **environment
        )
        self.url = f"http://127.0.0.1:{self.port}"

    def end(self) -> None:
        """Ends it in order, but without waiting for its clients; of those no test has any by then."""
        self.stop(signal.SIGINT)

    def wait_ready(self) -> Self:
        """Waits until it answers."""

        def ready() -> bool:
            assert self.child.poll() is None, self.log.read_text()[-4000:]
            try:
                return requests.get(f"{self.url}/readyz", timeout=5).status_code == 200
            except (requests.ConnectionError, requests.Timeout):
                return False

        eventually(ready, START_SECONDS, f"{self.url} did not become ready")
        return self


class Worker(Process):
    """One Celery worker for all queues."""

    def __init__(self, folder: Path, **environment: str) -> None:
        arguments = ["celery", "-A", "celery_app", "worker", "--concurrency", "1"]
        quiet = ["--without-mingle", "--without-gossip", "--without-heartbeat"]
        super().__init__([*arguments, *quiet], folder / f"worker-{uuid4()}.log", REMAP_SIGTERM="SIGQUIT", **environment)
        self._marks = Path((os.environ | environment)["DATA_DIR"]) / "processes"

    def end(self) -> None:
        """Kills it, as Celery takes seconds to end in order, and what it left undone nobody waits for.

        Its marks go as well: otherwise the next process would have the clients of other tests sync.
        """
        pids = {self.child.pid, *descendants(self.child.pid)}
        self.kill()
        for mark in self._marks.glob("*.running"):
            if int(mark.name.partition("-")[0]) in pids:
                mark.unlink(missing_ok=True)

    def wait_ready(self) -> Self:
        """Waits until it takes jobs."""

        def ready() -> bool:
            output = self.log.read_text()
            assert self.child.poll() is None, output[-4000:]
            return "ready" in output

        eventually(ready, START_SECONDS, "the worker did not become ready")
        return self


@contextmanager
def running_api(folder: Path, **environment: str) -> Iterator[Api]:
    """An API process that answers; ended afterwards."""
    with Api(folder, **environment) as api:
        yield api.wait_ready()


@contextmanager
def running_worker(folder: Path, **environment: str) -> Iterator[Worker]:
    """A Celery worker that takes jobs; ended afterwards."""
    with Worker(folder, **environment) as worker:
        yield worker.wait_ready()
