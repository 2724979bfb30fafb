"""`make run` with the real API, worker and beat: start, stop, sudden death, and what it refuses."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

from tests.local.folders import alive, descendants, short_folder
from tests.processes import eventually
from tests.unique import free_port

_PROJECT = Path(__file__).parents[2]
_START_SECONDS = 120
_STOP_SECONDS = 60


class Launcher:
    """`python -m local.run` on a folder and port, with what it prints in a file."""

    def __init__(self, data_dir: Path, *arguments: str, port: int | None = None, **environment: str) -> None:
        self.port = port or free_port()
        self._log = data_dir.with_suffix(".log")
        with self._log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "local.run", *arguments],
                cwd=_PROJECT,
                env=os.environ
                | {"DATA_DIR": str(data_dir), "PORT": str(self.port), "WORKER_CONCURRENCY": "1"}
                | environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def printed(self) -> str:
        """All that it printed, and its predecessors on the folder."""
        return self._log.read_text()

    def ready(self) -> bool:
        """Whether the API answers that it is ready."""
        assert self.process.poll() is None, self.printed[-4000:]
        try:
            return requests.get(f"http://127.0.0.1:{self.port}/readyz", timeout=2).status_code == 200
        except (requests.ConnectionError, requests.Timeout):
            return False

    def wait_ready(self) -> None:
        """Waits until all is there: the API, and a worker that takes jobs."""
        eventually(self.ready, _START_SECONDS, "the API did not become ready")
        eventually(lambda: "worker |" in self.printed and " ready." in self.printed, _START_SECONDS, "no worker")
        eventually(lambda: "Paperplane is ready" in self.printed, _START_SECONDS, "no banner")

    def family(self) -> list[int]:
        """The process and all that it started."""
        return [self.process.pid, *descendants(self.process.pid)]

    def named(self, part: str) -> int:
        """The id of its own child with this in the command line."""
        listed = subprocess.run(
            ["ps", "-A", "-ww", "-o", "pid=,ppid=,args="], capture_output=True, text=True, check=True
        )
        rows = [line.split(maxsplit=2) for line in listed.stdout.splitlines()]
        return next(int(row[0]) for row in rows if int(row[1]) == self.process.pid and part in row[2])


@pytest.fixture
def launch() -> Iterator[Callable[..., Launcher]]:
    """Starts launchers, one folder for all unless another is named; kills what is left of them."""
    started: list[Launcher] = []
    with short_folder() as folder:

        def start(*arguments: str, data_dir: Path | None = None, **environment: str) -> Launcher:
            port = started[0].port if started and data_dir is None else None
            launcher = Launcher(data_dir or folder / "var", *arguments, port=port, **environment)
            started.append(launcher)
            return launcher

        yield start
        for launcher in started:
            family = launcher.family()
            launcher.process.kill()
            launcher.process.wait()
            eventually(lambda family=family: not alive(*family), _STOP_SECONDS, "something outlived its launcher")


def test_a_killed_launcher_leaves_nothing_behind_and_the_next_stops_on_ctrl_c(launch: Callable[..., Launcher]) -> None:
    first = launch()
    first.wait_ready()
    family = first.family()
    assert len(family) > 6
    first.process.kill()
    first.process.wait()
    # At once: it waits for what still stops.
    second = launch()
    eventually(lambda: not alive(*family), _STOP_SECONDS, "something outlived its launcher")
    second.wait_ready()
    family = second.family()
    second.process.send_signal(signal.SIGINT)
    eventually(lambda: "paperplane | stopping" in second.printed)
    second.process.send_signal(signal.SIGINT)
    assert second.process.wait(_STOP_SECONDS) == 0
    # What was killed because it took too long needs a moment to be gone.
    eventually(lambda: not alive(*family), message="something outlived its launcher")
    url = f"http://127.0.0.1:{second.port}"
    for told in (f"{url}/docs", f"{url}/api/auth/register", f"{url}/api/auth/verify", "sms.log", "Ctrl-C"):
        assert told in second.printed
    assert "\x1b[" not in second.printed


def test_what_dies_is_started_again(launch: Callable[..., Launcher]) -> None:
    launcher = launch()
    launcher.wait_ready()
    for part, sign in {
        "celery_app worker": "worker | ended by signal 9; starting again",
        "celery_app beat": "beat | ended by signal 9; starting again",
        "wsgi:app": "api | ended by signal 9; starting again",
        "bin/postgres": "postgres | runs again",
        "valkey-server": "valkey | runs again",
    }.items():
        before = launcher.named(part)
        os.kill(before, signal.SIGKILL)
        eventually(lambda sign=sign: sign in launcher.printed, _START_SECONDS, sign)
        eventually(lambda before=before: not alive(before))
    eventually(launcher.ready, _START_SECONDS, "the API did not come back")
    assert launcher.named("celery_app worker")


def test_a_second_launcher_on_the_folder_and_a_taken_port_are_refused(launch: Callable[..., Launcher]) -> None:
    first = launch()
    eventually(lambda: "starting" in first.printed)
    second = launch()
    assert second.process.wait(_STOP_SECONDS) == 1
    assert f"already runs on {first._log.with_suffix('')} (process {first.process.pid})" in second.printed
    with short_folder() as other, socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = str(listener.getsockname()[1])
        third = launch(data_dir=other / "var", PORT=port)
        assert third.process.wait(_STOP_SECONDS) == 1
        assert f"Port {port} on 127.0.0.1 is not free" in third.printed
        assert "starting" not in third.printed


def test_bad_settings_are_named_before_anything_starts(launch: Callable[..., Launcher]) -> None:
    launcher = launch(WORKER_CONCURRENCY="many")
    assert launcher.process.wait(_STOP_SECONDS) == 1
    assert "WORKER_CONCURRENCY" in launcher.printed
    assert "Traceback" not in launcher.printed


def test_a_program_that_cannot_live_ends_the_run_with_its_reason(launch: Callable[..., Launcher]) -> None:
    launcher = launch(DATABASE_URL="postgresql://nobody@127.0.0.1:1/none")
    assert launcher.process.wait(_START_SECONDS) == 1
    assert "could not be brought up to date" in launcher.printed
