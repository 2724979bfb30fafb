"""How the server writes answers, on a socket that keeps what was written at once apart from the rest."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from gunicorn.config import Config
from gunicorn.glogging import Logger
from gunicorn.http import get_parser

from app.web.server import ApiWorker

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

ADDRESS = ("127.0.0.1", 8000)
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"

Ends = tuple[socket.socket, socket.socket]


@pytest.fixture
def ends() -> Iterator[Ends]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        theirs.settimeout(5)
        yield ours, theirs


def _serve(ends: Ends, application: WSGIApplication, request: bytes = GET) -> list[bytes]:
    """What was written at once, one after the other, until the server closed."""
    ours, theirs = ends
    config = Config()
    worker: Any = ApiWorker(1, 1, [], None, 60, config, Logger(config))
    worker.wsgi = application
    theirs.sendall(request)
    read = next(get_parser(config, ours, ADDRESS))
    try:
        worker.handle_request(ADDRESS, read, ours, ADDRESS)
    finally:
        worker.tmp.close()
        ours.shutdown(socket.SHUT_WR)
    return list(iter(lambda: theirs.recv(65536), b""))


def test_head_and_body_are_written_at_once(ends: Ends) -> None:
    def application(environ: WSGIEnvironment, start: StartResponse) -> list[bytes]:
        start("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "5")])
        return [b"hello"]

    (written,) = _serve(ends, application)
    head, _, body = written.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"Content-Type: text/plain\r\nContent-Length: 5" in head
    assert body == b"hello"


def test_a_long_answer_goes_in_pieces_that_each_have_their_time(ends: Ends, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.web.answer._PIECE", 1_000)

    def application(environ: WSGIEnvironment, start: StartResponse) -> list[bytes]:
        start("200 OK", [("Content-Length", "2500")])
        return [b"x" * 2_500]

    written = _serve(ends, application)
    assert [len(piece) for piece in written[:-1]] == [1_000] * (len(written) - 1)
    assert b"".join(written).partition(b"\r\n\r\n")[2] == b"x" * 2_500


def test_a_body_without_length_goes_in_chunks_of_which_the_first_takes_the_head_along(ends: Ends) -> None:
    def application(environ: WSGIEnvironment, start: StartResponse) -> list[bytes]:
        start("200 OK", [])
        return [b"", b"a" * 26, b"b"]

    first, second, end = _serve(ends, application)
    assert first.endswith(b"Transfer-Encoding: chunked\r\n\r\n1A\r\n" + b"a" * 26 + b"\r\n")
    assert second == b"1\r\nb\r\n"
    assert end == b"0\r\n\r\n"


def test_an_answer_without_a_body_is_only_a_head(ends: Ends) -> None:
    def application(environ: WSGIEnvironment, start: StartResponse) -> list[bytes]:
        start("200 OK", [("Content-Length", "5")])
        return [b"hello"]

    (written,) = _serve(ends, application, GET.replace(b"GET", b"HEAD"))
    assert written.endswith(b"Content-Length: 5\r\n\r\n")


def test_an_answer_that_fails_in_its_midst_ends_the_connection(ends: Ends) -> None:
    def application(environ: WSGIEnvironment, start: StartResponse) -> Iterator[bytes]:
        start("200 OK", [("Content-Length", "5")])
        yield b"he"
        raise RuntimeError

    with pytest.raises(StopIteration):
        _serve(ends, application)
    assert ends[1].recv(65536).endswith(b"\r\n\r\nhe")


def test_an_answer_that_fails_before_it_begins_can_still_be_another(ends: Ends) -> None:
    def application(environ: WSGIEnvironment, start: StartResponse) -> list[bytes]:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        _serve(ends, application)
    assert ends[1].recv(65536) == b""
