"""The bytes of an object as they come from S3."""

from __future__ import annotations

from typing import Any, Self

from app.infra.storage.protocol import PIECE
from app.infra.storage.s3_connection import s3_errors


class S3Reading:
    """The pieces of an answer; `body` is None where there are none to ask for."""

    def __init__(self, body: Any) -> None:
        self._body = body

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> bytes:
        if self._body is not None:
            with s3_errors():
                piece: bytes = self._body.read(PIECE)
            if piece:
                return piece
        self.close()
        raise StopIteration

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()

    def close(self) -> None:
        """Gives the connection back; one that has not been read to its end is closed."""
        body, self._body = self._body, None
        if body is not None:
            body.close()
