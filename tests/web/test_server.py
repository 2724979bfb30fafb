"""The served application: what arrives broken, byte by byte, and metrics of several processes."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from tests.processes import Api, running_api
from tests.web.endpoints import SENTINEL

LOGIN = b"POST /api/auth/login HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
CHUNKED = LOGIN + b"Transfer-Encoding: chunked\r\n\r\n"
CHUNK = b"10000\r\n" + b" " * 65536 + b"\r\n"
SECRET = SENTINEL.encode()

BROKEN = {
    "not HTTP": (SECRET + b"\r\n\r\n", 400),
    "an unknown version": (b"GET /docs?token=" + SECRET + b" HTTP/9.9\r\nHost: a\r\n\r\n", 400),
    "a NUL in the method": (b"G\0T /docs?token=" + SECRET + b" HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "bytes over 127 in the path": (b"GET /\xff?token=" + SECRET + b" HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "a long path": (b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414),
    "a long header": (b"GET /docs HTTP/1.1\r\nHost: a\r\nAuthorization: " + SECRET * 2000 + b"\r\n\r\n", 431),
    "too many headers": (b"GET /docs HTTP/1.1\r\nHost: a\r\n" + b"X: a\r\n" * 200 + b"\r\n", 431),
    "a folded header": (b"GET /ws?token=" + SECRET + b" HTTP/1.1\r\nHost: a\r\n folded: a\r\n\r\n", 400),
    "a length that is no number": (LOGIN + b"Content-Length: x\r\n\r\n", 400),
    "a negative length": (LOGIN + b"Content-Length: -1\r\n\r\n", 400),
    "two lengths": (LOGIN + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    "an enormous length": (LOGIN + b"Content-Length: 99999999999\r\n\r\n", 413),
    "a chunk without a size": (CHUNKED + b"ZZ\r\nabc\r\n0\r\n\r\n", 400),
    "a chunk longer than it says": (CHUNKED + b"5\r\nabcdefgh\r\n0\r\n\r\n", 400),
    "chunks over the limit": (CHUNKED + CHUNK * 20 + b"0\r\n\r\n", 413),
    "an unknown coding": (LOGIN + b"Transfer-Encoding: gzip\r\n\r\nabc", 400),
    "no handshake for a socket": (b"GET /ws HTTP/1.1\r\nHost: a\r\n\r\n", 400),
}


def _answer(api: Api, sent: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", api.port), timeout=20) as connection:
        connection.sendall(sent)
        received = b""
        while not received.endswith(b"}"):
            part = connection.recv(65536)
            if not part:
                break
            received += part
    return received


@pytest.mark.parametrize(("sent", "status"), BROKEN.values(), ids=BROKEN.keys())
def test_what_arrives_broken_is_answered_with_a_problem_and_its_secrets_stay_out_of_the_log(
    api: Api, sent: bytes, status: int
) -> None:
    head, _, body = _answer(api, sent).partition(b"\r\n\r\n")
    assert head.startswith(f"HTTP/1.1 {status} ".encode())
    assert b"Content-Type: application/problem+json" in head
    assert b"X-Request-ID: " in head
    assert b'"code":' in body
    assert SENTINEL not in api.log.read_text()


def test_a_good_chunked_body_is_read(api: Api) -> None:
    assert b" 422 " in _answer(api, CHUNKED + b"2\r\n{}\r\n0\r\n\r\n").partition(b"\r\n")[0]


_WAITING = """
from gevent import monkey

monkey.patch_all()
from types import SimpleNamespace

import gevent

from app.web.server import _Waiting

worker = SimpleNamespace(cfg=SimpleNamespace(keepalive=0.1), waiting=set())
for seconds in (30, 0):
    with _Waiting(worker):
        gevent.sleep(seconds)
        print("a request came")
    print("goes on with", len(worker.waiting), "waiting")
"""


def test_a_connection_on_which_no_request_comes_is_given_up_without_an_error() -> None:
    done = subprocess.run([sys.executable, "-c", _WAITING], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["goes on with 0 waiting", "a request came", "goes on with 0 waiting"]


def test_metrics_are_the_sum_of_all_processes(data_dir: Path) -> None:
    with running_api(data_dir, WEB_WORKERS="2") as api:
        # A new connection each time, so that both processes answer some.
        for _ in range(40):
            requests.get(f"{api.url}/healthz", timeout=20)
        page = requests.get(f"{api.url}/metrics", timeout=20).text
    assert 'paperplane_http_requests_total{method="GET",route="/healthz",status="200"} 40.0' in page
    assert page.count("paperplane_build_info{") == 1


def test_a_body_that_does_not_arrive_is_not_waited_for_without_end(data_dir: Path) -> None:
    with running_api(data_dir, BODY_TIMEOUT="1s") as api:
        for missing in (LOGIN + b"Content-Length: 1000\r\n\r\n{", CHUNKED + b"2\r\n{}\r\n"):
            answer = _answer(api, missing)
            assert b" 400 " in answer.partition(b"\r\n")[0]
            assert b'"malformed_request"' in answer
