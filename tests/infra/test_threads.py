"""Long work beside gevent's hub lets all else have its turn."""

from __future__ import annotations

import subprocess
import sys

from app.infra.threads import let_others_run

_UNDER_GEVENT = """
from gevent import monkey

monkey.patch_all()
import socket

import gevent

from app.infra.threads import let_others_run

seen = []
here, there = socket.socketpair()
gevent.spawn(lambda: seen.append(here.recv(100).decode()))
gevent.spawn(seen.append, "a greenlet")
seen.append("a long text")
let_others_run()
seen.append("the next one")
# By the socket itself: gevent's would let others run.
there._sock.send(b"a request")
let_others_run()
seen.append("the last one")
print(seen)
"""


def test_others_run_between_two_pieces_of_work_and_what_came_over_a_socket_is_handled() -> None:
    printed = subprocess.run([sys.executable, "-c", _UNDER_GEVENT], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == "['a long text', 'a greenlet', 'the next one', 'a request', 'the last one']"


def test_without_gevent_nothing_happens() -> None:
    let_others_run()
