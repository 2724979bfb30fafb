"""A process that has no descriptor left refuses the socket that needs one, and serves on."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path

from flask import Flask

from tests.local.folders import descendants
from tests.people import connections, make_people
from tests.processes import running_api

_HANDSHAKE = {
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
    "Sec-WebSocket-Version": "13",
}


@contextmanager
def no_descriptor_left(pid: int) -> Iterator[None]:
    """A process that keeps what it has open, and can open nothing more than its standard streams, which are."""
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (3, before[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, before)


def test_a_handshake_for_which_no_descriptor_is_left_has_no_http_answer_in_its_stream_and_others_are_served(
    app: Flask, data_dir: Path
) -> None:
    with running_api(data_dir) as api:
        (ada,) = make_people(app, 1, api.url)
        (pid,) = descendants(api.child.pid)
        client = HTTPConnection("127.0.0.1", api.port, timeout=20)
        # Once this is answered the connection is taken: what still needs a descriptor is the socket.
        client.request("GET", "/healthz")
        assert client.getresponse().read()
        with no_descriptor_left(pid):
            client.request("GET", f"/ws?token={ada.access_token}", headers=_HANDSHAKE)
            received = b""
            while data := client.sock.recv(65_536):
                received += data
        client.close()
        assert received.startswith(b"HTTP/1.1 101 ")
        assert received.count(b"HTTP/") == 1
        assert "socket_not_taken" in api.log.read_text()
        with ada.socket() as socket:
            assert socket.hello["user_id"] == ada.id
        connections().close()  # The server would wait for more requests on them before it ends.
