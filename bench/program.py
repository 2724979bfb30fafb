"""Load programs that run beside the benchmark and do what it tells them: see loop.py for their side."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench import ROOT

_STOP_SECONDS = 10.0


class Program:
    """A running load program; made by `running`."""

    def __init__(self, module: str, process: subprocess.Popen[str]) -> None:
        """`process` runs the module."""
        self.pid = process.pid
        self._module, self._process = module, process

    def ask(self, command: str, **arguments: Any) -> Any:
        """Tells it to do something and waits for what it answers. Raises RuntimeError where it ended instead."""
        self.tell(command, **arguments)
        return self.answer()

    def tell(self, command: str, **arguments: Any) -> None:
        """Tells it to do something; `answer` gives the answer later."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps([command, arguments]) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # How it ended is told when its answer is read.

    def answer(self) -> Any:
        """Waits for the answer to the oldest command without one. Raises RuntimeError where it ended instead."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self._module} ended with status {self._process.wait(_STOP_SECONDS)}: see above.")
        return json.loads(line)

    def stop(self) -> None:
        """Ends its input, and the program where it does not end by itself."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()


@contextmanager
def running(module: str, plan: Any) -> Iterator[Program]:
    """Starts a load program with a plan, and stops it at the end."""
    with tempfile.TemporaryDirectory(prefix="paperplane-load-") as folder:
        path = Path(folder) / "plan.json"
        path.write_text(json.dumps(plan))
        process = subprocess.Popen(
            [sys.executable, "-m", module, str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        program = Program(module, process)
        try:
            yield program
        finally:
            program.stop()
