"""What `make run` runs: everything that Paperplane needs, in one terminal, until Ctrl-C.

The children lead process groups of their own and die with this process, however it ends (processes.py).
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from contextlib import suppress
from pathlib import Path
from types import FrameType

import config
from local.banner import address, banner
from local.embedded import needed_servers
from local.locks import Claim, InUse
from local.program import KeepsDying, Program
from local.servers import ServerError
from local.supervisor import Supervisor
from local.terminal import Terminal

_PROJECT = Path(__file__).resolve().parents[1]


class CannotStart(Exception):
    """Something outside stands in the way; the text is for people."""


class Stop:
    """Whether it is time to stop: a signal came, or the parent (`make`) is gone and nobody could send one."""

    def __init__(self, *, with_parent: bool) -> None:
        """From now on the signals only set a mark, however often they come."""
        self._parent = os.getppid() if with_parent else None
        self._asked = False
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._ask)

    def __call__(self) -> bool:
        return self._asked or (self._parent is not None and os.getppid() != self._parent)

    def _ask(self, _number: int, _frame: FrameType | None) -> None:
        self._asked = True


def check_port(settings: config.Settings) -> None:
    """Raises CannotStart where the API could not listen."""
    try:
        family, kind, _, _, place = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as probe:
            # As gunicorn does; otherwise connections that ended lately would count as taken.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(place)
            # On macOS binding succeeds beside a listener; listening does not.
            probe.listen(1)
    except OSError as error:
        raise CannotStart(
            f"Port {settings.port} on {settings.host} is not free ({error.strerror}): "
            f"stop what uses it, or choose another with make run PORT={settings.port % 65535 + 1}."
        ) from None


def programs(settings: config.Settings, claim: Claim) -> list[Program]:
    """The programs of Paperplane, not started yet; the API first."""
    celery = ["celery", "--quiet", "-A", "celery_app"]
    alone = ["--without-mingle", "--without-gossip", "--without-heartbeat"]
    return [
        _program("api", ["gunicorn", "-c", "gunicorn.conf.py", "wsgi:app"], settings, claim),
        _program(
            "worker",
            [*celery, "worker", "--concurrency", str(settings.worker_concurrency), *alone],
            settings,
            claim,
            # SIGTERM alone would wait for running jobs without end; what is cut short is done again.
            REMAP_SIGTERM="SIGQUIT",
            # Celery's advice not to be root, a screenful; containers often have nobody else.
            PYTHONWARNINGS="ignore:You're running the worker with superuser",
        ),
        _program("beat", [*celery, "beat"], settings, claim),
    ]


def _program(name: str, module: list[str], settings: config.Settings, claim: Claim, **environment: str) -> Program:
    inherited = os.environ | {"DATA_DIR": str(settings.data_dir), "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-m", *module]
    return Program(name, command, cwd=_PROJECT, environment=inherited | environment, inherits=[claim.fileno])


def run(settings: config.Settings, terminal: Terminal, stop: Stop) -> int:
    """Runs Paperplane until `stop`; the exit status. Raises InUse, ServerError, CannotStart or KeepsDying."""
    started = time.monotonic()
    # The programs inherit the claim: after a kill this waits until the last of them is gone, and its port free.
    claim = Claim(settings.data_dir, "launcher")
    supervisor = Supervisor(terminal, stop)
    try:
        check_port(settings)
        servers = needed_servers(settings)
        names = " and ".join(server.name for server in servers)
        terminal.line("paperplane", f"starting{f' {names} and' if names else ''} the API, the worker and beat")
        supervisor.start_servers(servers)
        # The API needs as long to load as the migrations to run, and says itself that it is not ready before.
        api, *workers = programs(settings, claim)
        supervisor.start_programs([api])
        status = supervisor.run_to_end(_program("migrate", ["app.infra.migrations"], settings, claim))
        if status:
            raise CannotStart("The database could not be brought up to date; the lines above say why.")
        supervisor.start_programs(workers)
        supervisor.keep_running(address(settings), lambda: terminal.plain(banner(settings, time.monotonic() - started)))
        return 0
    finally:
        terminal.line("paperplane", "stopping")
        supervisor.stop()
        terminal.line("paperplane", "stopped")
        claim.release()


def main(arguments: list[str]) -> int:
    """The exit status: 0 after Ctrl-C or SIGTERM, 1 where Paperplane could not start or kept dying."""
    stop = Stop(with_parent="--end-with-parent" in arguments)
    os.chdir(_PROJECT)
    settings = config.load()
    terminal = Terminal(sys.stdout)
    try:
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        return run(settings, terminal, stop)
    except (InUse, ServerError, CannotStart, KeepsDying) as error:
        print(error, file=sys.stderr)
    except OSError as error:
        print(f"Paperplane cannot work in {settings.data_dir}: {error}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        sys.exit(main(sys.argv[1:]))
