"""Frames that are made once for many, and differ only in the links to files: these are signed for each receiver."""

from __future__ import annotations

from app.realtime.wire import text_frame
from app.web.links import Unsigned, has_links


class Addressed:
    """The text message of a frame's JSON; without links to files the same bytes for all."""

    __slots__ = ("_unsigned", "same_for_all")

    def __init__(self, content: bytes) -> None:
        """`same_for_all` is the text message of everybody, empty where each is sent another one."""
        self.same_for_all = b"" if has_links(content) else text_frame(content)
        self._unsigned = Unsigned(b"" if self.same_for_all else content)

    def to(self, user_id: int) -> bytes:
        """What a person's sockets are sent."""
        return self.same_for_all or text_frame(self._unsigned.signed_for(user_id))
