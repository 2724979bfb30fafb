"""The whole of Paperplane, thrown away afterwards: embedded servers, API, worker and beat, as in production."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import psycopg2
from psycopg2.extensions import ISOLATION_LEVEL_AUTOCOMMIT, connection
from sqlalchemy import make_url

from bench import ROOT
from config import Settings
from local.processes import Child
from local.servers import Postgres, Valkey, embedded_postgres, embedded_valkey

_LIMITS = (
    "RATE_LIMIT_REQUESTS",
    "RATE_LIMIT_MESSAGES",
    "RATE_LIMIT_PRESENCE",
    "RATE_LIMIT_SEARCHES",
    "RATE_LIMIT_TYPING",
    "WS_FRAMES_PER_SECOND",
    "WS_FRAMES_BURST",
)
_UNREACHED = 10_000_000
_START_SECONDS = 60.0
_STOP_SECONDS = 15.0
_PAUSE = 0.05
_FIRST_PORT, _PORTS = 10_000, 2_000


class Stack:
    """Running servers and processes; made by `running_stack`."""

    def __init__(self, data_dir: Path, postgres: Postgres, valkey: Valkey, workers: int) -> None:
        """`workers` is the number of API processes. Nothing but the servers runs yet."""
        self.data_dir = data_dir
        self.postgres = postgres
        self.port = _free_port()
        self.environment = _environment(data_dir, postgres, valkey, self.port, workers)
        self._valkey = valkey
        self._programs: dict[str, Child] = {}
        self._app = ""

    def run(self, *arguments: str) -> str:
        """Runs a Python program of this project to its end; what it printed. Raises RuntimeError where it fails."""
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=self.data_dir,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(arguments)} failed:\n{done.stderr[-4000:]}")
        return done.stdout

    def start(self, app: str = "wsgi:app", unserved: Collection[str] = ()) -> None:
        """Starts API, worker and beat, and returns when the API is ready. Raises RuntimeError where one does not.

        `app` is what gunicorn serves, `unserved` are queues that the worker leaves alone.
        """
        celery = ["-m", "celery", "-A", "celery_app"]
        self._app = app
        self._launch_api()
        self._launch("worker", *celery, "worker", "-Q", _queues(unserved), "--loglevel", "WARNING")
        self._launch("beat", *celery, "beat", "--loglevel", "WARNING")
        self._wait_ready()

    def _launch_api(self) -> None:
        self._launch("api", "-m", "gunicorn", "-c", str(ROOT / "gunicorn.conf.py"), self._app)

    def _wait_ready(self) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while not self._ready():
            for name, program in self._programs.items():
                if not program.alive:
                    raise RuntimeError(f"{name} ended; see {self.data_dir / 'logs'}:\n{self._log_end(name)}")
            if time.monotonic() > deadline:
                raise RuntimeError(f"The API is not ready after {_START_SECONDS:.0f} s; see {self.data_dir / 'logs'}.")
            time.sleep(_PAUSE)

    def stop(self) -> None:
        """Stops what `start` started."""
        for program in self._programs.values():
            program.ask_to_stop()
        for program in self._programs.values():
            program.stop(_STOP_SECONDS)

    def kill(self) -> None:
        """Ends what `start` started at once, where nobody will look at what it leaves behind."""
        for program in self._programs.values():
            program.kill()
        for program in self._programs.values():
            program.wait(_STOP_SECONDS)

    def restart_api(self) -> None:
        """Stops the API and starts it again, with the environment of now. Raises RuntimeError where it does not."""
        self._programs["api"].stop(_STOP_SECONDS)
        self._launch_api()
        self._wait_ready()

    @contextmanager
    def without_workers(self) -> Iterator[None]:
        """Suspends worker and beat, so that the limit is that of the database alone."""
        groups = [self._programs[name].pid for name in ("worker", "beat")]
        for group in groups:
            os.killpg(group, signal.SIGSTOP)
        try:
            yield
        finally:
            for group in groups:
                os.killpg(group, signal.SIGCONT)

    def processes(self) -> dict[str, list[int]]:
        """The root process ids of each part, by name."""
        servers = {"database": self.postgres.pid, "valkey": self._valkey.pid}
        return {name: [program.pid] for name, program in self._programs.items()} | {
            name: [pid] for name, pid in servers.items() if pid is not None
        }

    @contextmanager
    def database(self) -> Iterator[connection]:
        """A connection of our own to the database; each statement is a transaction."""
        url = make_url(self.postgres.url())
        opened = psycopg2.connect(dbname=url.database, user=url.username, host=url.query["host"])
        try:
            opened.set_isolation_level(ISOLATION_LEVEL_AUTOCOMMIT)
            yield opened
        finally:
            opened.close()

    def _launch(self, name: str, *arguments: str) -> None:
        log = self.data_dir / "logs" / f"{name}.log"
        with log.open("ab") as output:
            self._programs[name] = Child(
                [sys.executable, *arguments], cwd=self.data_dir, environment=self.environment, output=output
            )

    def _ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=3) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def _log_end(self, name: str) -> str:
        return (self.data_dir / "logs" / f"{name}.log").read_text(errors="replace")[-4000:]


@contextmanager
def running_stack(workers: int, kept_in: Path | None = None) -> Iterator[Stack]:
    """Servers with a migrated, empty database in a temporary folder that is deleted at the end.

    Or in the folder `kept_in`, with what is there already.

    PostgreSQL keeps fsync and synchronous_commit on. `start` starts the rest, once the database is filled.
    """
    with ExitStack() as exits:
        if kept_in is None:
            data_dir = Path(exits.enter_context(tempfile.TemporaryDirectory(prefix="paperplane-bench-")))
        else:
            data_dir = kept_in.absolute()
            data_dir.mkdir(parents=True, exist_ok=True)
        # As root, PostgreSQL may run as another user, who has to enter the folder.
        data_dir.chmod(0o755)
        postgres = exits.enter_context(embedded_postgres(data_dir))
        valkey = exits.enter_context(embedded_valkey(data_dir))
        stack = Stack(data_dir, postgres, valkey, workers)
        stack.run("-m", "app.infra.migrations")
        exits.callback(stack.kill if kept_in is None else stack.stop)
        yield stack


def _queues(unserved: Collection[str]) -> str:
    from app.infra.jobs import QUEUES

    return ",".join(queue for queue in QUEUES if queue not in unserved)


def _environment(data_dir: Path, postgres: Postgres, valkey: Valkey, port: int, workers: int) -> dict[str, str]:
    """The environment of all processes: ours without settings, and the data folder as the place where no .env lies."""
    ours = {name.upper() for name in Settings.model_fields}
    kept = {name: value for name, value in os.environ.items() if name not in ours}
    return kept | {
        "PYTHONPATH": str(ROOT),
        "ENVIRONMENT": "production",
        "DATA_DIR": str(data_dir),
        "DATABASE_URL": postgres.url(),
        "REDIS_URL": valkey.url(),
        "HOST": "127.0.0.1",
        "PORT": str(port),
        "WEB_WORKERS": str(workers),
        "JWT_SECRET": secrets.token_urlsafe(48),
        "SMS_PROVIDER": "console",
        # Counted as in production, but never reached.
        **dict.fromkeys(_LIMITS, str(_UNREACHED)),
        "REMAP_SIGTERM": "SIGQUIT",
    }


def _free_port() -> int:
    """Below those that systems choose for connections: what is free stays so until it is used."""
    while True:
        port = _FIRST_PORT + secrets.randbelow(_PORTS)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
