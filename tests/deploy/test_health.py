"""The health checks tell living processes from dead ones."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from bench.stack import Stack, running_stack
from tests.deploy.files import ROOT, SERVICES
from tests.processes import eventually


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """API, worker and beat, running."""
    with running_stack(workers=1) as running:
        running.start()
        yield running


def _check(service: str, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Runs the health check of a service as Docker would."""
    kind, *command = SERVICES[service]["healthcheck"]["test"]
    if kind == "CMD-SHELL":
        command = ["/bin/sh", "-c", command[0].replace("$$", "$")]
    path = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "HOSTNAME": socket.gethostname()}
    return subprocess.run(command, cwd=ROOT, env={**environment, **path}, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("service", ["api", "beat", "worker-messaging"])
def test_a_running_process_is_healthy(stack: Stack, service: str) -> None:
    # As Docker, which asks again before it calls a service unhealthy.
    eventually(
        lambda: _check(service, stack.environment).returncode == 0, seconds=60, message=f"{service} is unhealthy"
    )


def test_an_api_that_does_not_answer_is_not_healthy(stack: Stack) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        done = _check("api", stack.environment | {"PORT": str(unused.getsockname()[1])})
    assert done.returncode == 1
    assert "refused" in done.stderr


def test_a_worker_that_is_not_there_is_not_healthy(stack: Stack) -> None:
    empty = stack.environment["REDIS_URL"].replace("db=0", "db=7")
    assert _check("worker-messaging", stack.environment | {"REDIS_URL": empty}).returncode != 0


def test_a_beat_that_wrote_nothing_for_long_is_not_healthy(stack: Stack, tmp_path: Path) -> None:
    # Written a moment after beat has started.
    eventually(lambda: list(stack.data_dir.glob("beat-schedule*")), message="beat wrote nothing")
    for file in stack.data_dir.glob("beat-schedule*"):
        shutil.copy(file, tmp_path)
    environment = {"DATA_DIR": str(tmp_path)}
    assert _check("beat", environment).returncode == 0
    for file in tmp_path.iterdir():
        os.utime(file, (0, 0))
    assert _check("beat", environment).returncode == 1
    assert _check("beat", {"DATA_DIR": str(tmp_path / "none")}).returncode == 1
