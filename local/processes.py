"""Children that never outlive the process that started them.

Each child leads a session and process group of its own, so that a Ctrl-C in the terminal reaches only us and we end
the children in order. If we are killed, the kernel signals the child (Linux) and the keeper ends the whole group.
"""

from __future__ import annotations

import atexit
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

_HERE = Path(__file__).resolve().parent
_PAUSE = 0.02


class _Keeper:
    """Our end of the pipe to the keeper process, which is started with the first child."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = 0
        self._groups: dict[int, int] = {}

    def watch(self, pid: int, number: int) -> None:
        if self._owner != os.getpid():
            self._process, self._owner, self._groups = None, os.getpid(), {}
        self._groups[pid] = number
        self._tell(f"+{pid} {number}\n")

    def forget(self, pid: int) -> None:
        if self._owner == os.getpid() and self._groups.pop(pid, None) is not None:
            self._tell(f"-{pid}\n")

    def close(self) -> None:
        """Ends the keeper, and with it the groups that it still watches."""
        if self._owner == os.getpid() and self._process is not None:
            # A process forked from this one may hold the pipe open, so closing it would not be enough.
            self._write(".\n")
            self._let_go()

    def _tell(self, line: str) -> None:
        if self._process is not None and self._process.poll() is not None:
            self._let_go()
        if self._process is None:
            if not self._groups:
                return
            self._process = subprocess.Popen(  # noqa: S603 - our own program
                [sys.executable, "-I", "-S", str(_HERE / "keeper.py"), str(os.getpid())],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd="/",
                start_new_session=True,
                bufsize=0,
            )
            line = "".join(f"+{pid} {number}\n" for pid, number in self._groups.items())
        if not self._write(line):
            self._let_go()

    def _write(self, line: str) -> bool:
        """Whether the keeper was there to be told."""
        assert self._process is not None
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(line.encode())
        except BrokenPipeError:
            return False
        return True

    def _let_go(self) -> None:
        """Closes the pipe to a keeper that has ended or is about to, and waits for it."""
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()
        self._process = None


_keeper = _Keeper()
atexit.register(_keeper.close)


class Child:
    """A running child; the leader of its process group."""

    def __init__(
        self,
        command: Sequence[str | Path],
        *,
        cwd: Path,
        stop_signal: signal.Signals = signal.SIGTERM,
        environment: Mapping[str, str] | None = None,
        identity: str = "-",
        inherits: Sequence[int] = (),
        stdin: int = subprocess.DEVNULL,
        output: int | IO[bytes] = subprocess.PIPE,
    ) -> None:
        """Starts the command.

        `stop_signal` is how it is asked to end; `identity` is explained in spawn.py; `inherits` are descriptors it
        keeps open, such as a claim; `environment` replaces ours; `output` takes what it prints, errors included.
        """
        # The kernel's signal comes when the starting *thread* ends; only the main thread lives as long as we do.
        main_thread = threading.current_thread() is threading.main_thread()
        number = stop_signal if main_thread else 0
        self.stop_signal = stop_signal
        self.process = subprocess.Popen(  # noqa: S603 - our own commands
            [sys.executable, "-I", "-S", str(_HERE / "spawn.py"), str(os.getpid()), str(int(number)), identity]
            + [str(part) for part in command],
            cwd=cwd,
            env=environment,
            pass_fds=inherits,
            stdin=stdin,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        _keeper.watch(self.pid, int(stop_signal))

    @property
    def pid(self) -> int:
        """The process id, which is also the id of the group."""
        return self.process.pid

    @property
    def alive(self) -> bool:
        """Whether it runs; once it does not, what it left behind in its group is ended too."""
        if self.process.returncode is None and self.process.poll() is not None:
            self.kill()
            _keeper.forget(self.pid)
        return self.process.returncode is None

    def ask_to_stop(self, number: signal.Signals | None = None) -> None:
        """Sends the stop signal, or another, if the child still runs."""
        if self.alive:
            self.process.send_signal(number or self.stop_signal)

    def kill(self) -> None:
        """Ends the whole group at once."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)

    def wait(self, seconds: float) -> int | None:
        """Its exit status (negative: the signal), or None where it still runs after so many seconds."""
        deadline = time.monotonic() + seconds
        while self.alive and time.monotonic() < deadline:
            time.sleep(_PAUSE)
        return self.process.returncode

    def stop(self, seconds: float) -> None:
        """Asks it to stop, and ends it when it has not after so many seconds."""
        self.ask_to_stop()
        if self.wait(seconds) is None:
            self.kill()
            self.wait(1)


def run_to_end(
    command: Sequence[str | Path], *, cwd: Path, identity: str = "-", text: str = "", environment: Mapping[str, str]
) -> tuple[int, str]:
    """Runs a short command with `text` on its standard input; its exit status and what it printed."""
    child = Child(
        command, cwd=cwd, stop_signal=signal.SIGKILL, identity=identity, stdin=subprocess.PIPE, environment=environment
    )
    printed, _ = child.process.communicate(text.encode())
    child.wait(1)
    _keeper.forget(child.pid)
    return child.process.returncode, printed.decode(errors="replace")
