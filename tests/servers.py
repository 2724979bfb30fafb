"""An S3 server of its own for the tests that need one: SeaweedFS, which checks signatures, policies and expiry."""

from __future__ import annotations

import json
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import requests

from app.infra.storage.s3_connection import Connection, Server
from local.processes import Child
from tests.unique import free_port

_ACCESS_KEY, _SECRET_KEY = "tests", "known to everybody"
_START_SECONDS = 120.0
_PAUSE = 0.05
_PORTS = (
    "master.port",
    "master.port.grpc",
    "volume.port",
    "volume.port.grpc",
    "filer.port",
    "filer.port.grpc",
    "s3.port",
    "s3.port.grpc",
    "admin.port",
    "admin.port.grpc",
)


def _launched(folder: Path) -> tuple[Child, str]:
    """The process, and its address."""
    known = {"name": "tests", "credentials": [{"accessKey": _ACCESS_KEY, "secretKey": _SECRET_KEY}]}
    (folder / "s3.json").write_text(
        json.dumps({"identities": [known | {"actions": ["Admin", "Read", "Write", "List"]}]})
    )
    ports = {name: free_port() for name in _PORTS}
    options = {name: str(port) for name, port in ports.items()} | {
        "dir": str(folder),
        "ip": "127.0.0.1",
        "ip.bind": "127.0.0.1",
        "master.telemetry": "false",
        "admin.ui": "false",
        "webdav": "false",
        "s3.iam": "false",
        "s3.port.iceberg": "0",
        "s3.port.lance": "0",
        "s3.config": str(folder / "s3.json"),
        "filer.localSocket": str(folder / "filer.sock"),
        "s3.localSocket": str(folder / "s3.sock"),
    }
    program = Path(sys.executable).with_name("weed")
    with (folder / "weed.log").open("ab") as output:
        child = Child(
            [program, "mini", *(f"-{name}={value}" for name, value in options.items())],
            cwd=folder,
            stop_signal=signal.SIGTERM,
            output=output,
        )
    return child, f"http://127.0.0.1:{ports['s3.port']}"


@contextmanager
def running_s3(data_dir: Path) -> Iterator[Server]:
    """A server with an empty bucket `files`; ended afterwards, and its data with it."""
    folder = data_dir / "s3"
    folder.mkdir()
    child, address = _launched(folder)
    server = Server("files", endpoint=address, access_key=_ACCESS_KEY, secret_key=_SECRET_KEY)
    try:
        deadline = time.monotonic() + _START_SECONDS
        while not _answers(address):
            assert child.alive, (folder / "weed.log").read_text()[-4000:]
            assert time.monotonic() < deadline, "the S3 server is not ready"
            time.sleep(_PAUSE)
        Connection(server).client.create_bucket(Bucket=server.bucket)
        yield server
    finally:
        child.kill()
        child.wait(10)
        shutil.rmtree(folder, ignore_errors=True)


def _answers(address: str) -> bool:
    try:
        # Without a signature the list of buckets is refused, by a server that is ready.
        return requests.get(address, timeout=5).status_code == 403
    except (requests.ConnectionError, requests.Timeout):
        return False
