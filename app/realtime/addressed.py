"""Frames that are made once for many, and differ only in the links to files: these are signed for each receiver."""

from __future__ import annotations

from app.realtime.wire import text_frame
from app.web.links import Unsigned, has_links


class Addressed:
    """The text message of a frame's JSON; without links to files the same bytes for all."""

    __slots__ = ("_framed", "_unsigned")

    def __init__(self, content: bytes) -> None:
        self._framed = b"" if has_links(content) else text_frame(content)
        self._unsigned = Unsigned(b"" if self._framed else content)

    def to(self, user_id: int) -> bytes:
        """What a person's sockets are sent."""
        return self._framed or text_frame(self._unsigned.signed_for(user_id))
