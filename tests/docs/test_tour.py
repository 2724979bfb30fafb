"""The tour of README.md, pasted line by line into a shell beside a real `make run`."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.docs.readme import pattern, tour
from tests.processes import START_SECONDS, Process, eventually
from tests.unique import free_port

_SETTINGS_OF_TESTS = ("ENVIRONMENT", "JWT_SECRET", "RATE_LIMIT_ENABLED", "SMS_PROVIDER")
# What is printed besides: the protocol's pings, events whose moment nobody can tell, and that bash's job was ended.
_ANY_TIME = re.compile(r"""b''|\{"event":"(unread|presence)",.*|.*Terminated.*""")
_ADDRESS = "PAPERPLANE=localhost:8000\n"
_MARKER = "the-shell-is-through"
_STEP_SECONDS = 120


class Paperplane(Process):
    """What `make run` runs, on a port and with data of its own."""

    def __init__(self, data_dir: Path, log: Path) -> None:
        self.port = free_port()
        super().__init__(["local.run"], log, DATA_DIR=str(data_dir), PORT=str(self.port))

    def wait_ready(self) -> None:
        """Waits until the API answers and says so."""

        def ready() -> bool:
            assert self.child.poll() is None, self.log.read_text()[-4000:]
            try:
                return requests.get(f"http://localhost:{self.port}/readyz", timeout=5).status_code == 200
            except (requests.ConnectionError, requests.Timeout):
                return False

        eventually(ready, START_SECONDS, "Paperplane did not become ready")


class Shell:
    """One bash that reads what is pasted, and whose output is kept."""

    def __init__(self, folder: Path) -> None:
        self._log = folder / "shell.log"
        with self._log.open("wb") as output:
            self._bash = subprocess.Popen(
                ["bash", "--norc"],
                cwd=folder,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def run(self, commands: str, expected: list[str]) -> list[str]:
        """What the pasted lines print, waiting for what is expected; the marker tells that none of them still runs."""
        begin = self._log.stat().st_size
        assert self._bash.stdin is not None
        self._bash.stdin.write(f"{commands}echo {_MARKER}\n".encode())
        self._bash.stdin.flush()
        deadline = time.monotonic() + _STEP_SECONDS
        while True:
            # Two programs write here: what one prints may come before the end of the other's line.
            printed = self._log.read_bytes()[begin:].decode().replace("}{", "}\n{").splitlines()
            is_done = _MARKER in printed and not unmatched(expected, printed)[0]
            if is_done or time.monotonic() > deadline:
                return [line for line in printed if line != _MARKER]
            time.sleep(0.05)

    def close(self) -> None:
        """Ends the shell and what it left in the background."""
        assert self._bash.stdin is not None
        self._bash.stdin.close()
        os.killpg(self._bash.pid, signal.SIGTERM)
        self._bash.wait(_STEP_SECONDS)


def unmatched(expected: list[str], printed: list[str]) -> tuple[list[str], list[str]]:
    """Which lines of the page were not printed, and which printed ones the page does not show; in whatever order."""
    missing, left = [], list(printed)
    for line in expected:
        found = next((each for each in left if pattern(line).fullmatch(each)), None)
        if found is None:
            missing.append(line)
        else:
            left.remove(found)
    return missing, [line for line in left if line and not _ANY_TIME.fullmatch(line)]


@pytest.fixture
def paperplane(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Paperplane]:
    """A Paperplane as newcomers start it: with the settings that nobody has touched."""
    for name in _SETTINGS_OF_TESTS:
        monkeypatch.delenv(name, raising=False)
    folder = data_dir / "tour"
    (folder / "var").mkdir(parents=True)
    with Paperplane(folder / "var", folder / "run.log") as process:
        process.wait_ready()
        yield process
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def shell(data_dir: Path, paperplane: Paperplane) -> Iterator[Shell]:
    """A shell in a folder that looks like the checkout: it has `var` and `.venv`."""
    folder = data_dir / "tour"
    (folder / ".venv").symlink_to(sys.prefix)
    opened = Shell(folder)
    yield opened
    opened.close()


def test_every_line_of_the_tour_runs_as_written_and_prints_what_the_page_shows(
    paperplane: Paperplane, shell: Shell
) -> None:
    steps = tour()
    assert steps[0].commands.startswith(_ADDRESS)
    for commands, expected in steps:
        # The one thing that differs from a reader's machine: here somebody else may have port 8000.
        commands_here = commands.replace(_ADDRESS, f"PAPERPLANE=localhost:{paperplane.port}\n")
        assert unmatched(expected, shell.run(commands_here, expected)) == ([], []), commands


def test_a_line_that_is_not_printed_as_shown_is_noticed() -> None:
    shown = '{"id":244388705345542,"text":"Hello",…,"seq":1}'
    assert unmatched([shown], ['{"id":999999999,"text":"Hello","more":null,"seq":1}']) == ([], [])
    other = '{"id":999999999,"text":"Hello","more":null,"seq":2}'
    assert unmatched([shown], [other]) == ([shown], [other])
