"""Bodies that are too large for memory: their bytes as they come."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from flask import request

from app.errors import MalformedRequest, TooLarge
from app.infra.threads import hub_runs_here
from config import settings

_PIECE = 131_072


def incoming(most: int) -> Iterator[bytes]:
    """The bytes of the request's body. Raises TooLarge past `most` bytes, at once where the request says its length.

    Raises MalformedRequest where the connection breaks or stands still before the end.
    """
    length = request.content_length
    if length is not None and length > most:
        raise TooLarge
    # Read here and nowhere else, so that the limit of JSON bodies does not count.
    return _pieces(request.environ["wsgi.input"], length, most)


def _pieces(stream: Any, length: int | None, most: int) -> Iterator[bytes]:
    received = 0
    while length is None or received < length:
        wanted = _PIECE if length is None else min(_PIECE, length - received)
        try:
            with deadline():
                piece: bytes = stream.read(wanted)
        except Exception as error:  # Each server has its own kinds of errors for broken chunks and lost connections.
            raise MalformedRequest("The body could not be read.") from error
        if not piece:
            break
        received += len(piece)
        if received > most:
            raise TooLarge
        yield piece
    if length is not None and received < length:
        raise MalformedRequest("The body ended too early.")


def deadline() -> AbstractContextManager[Any]:
    """Raises TimeoutError in a block that takes longer than `BODY_TIMEOUT`: the client is gone, or holds a greenlet."""
    if not hub_runs_here():
        return nullcontext()
    from app.infra.deadlines import Within

    return Within(settings().body_timeout, lambda: TimeoutError("the client sends nothing"))
