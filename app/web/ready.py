"""Answers whose JSON is finished: they leave as they are, and what is answered again and again keeps its tag."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import cached_property
from typing import TYPE_CHECKING

from flask import Response

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment


class Ready(Response):
    """Finished JSON. Flask's own answers look through their headers once more when they leave, for things not in here.

    It is not for statuses without a body, nor with a Location.
    """

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answers; without the body where only the head is asked for."""
        start_response(self.status, self.headers.to_wsgi_list())
        return () if environ["REQUEST_METHOD"] == "HEAD" else self.iter_encoded()


class SameForAll(bytes):
    """Finished JSON without links to files, so the same for everybody who may read it, and kept for the next one."""

    @cached_property
    def tag(self) -> str:
        """As `tag_of`."""
        return _tag(self)


def tag_of(content: bytes) -> str:
    """The opaque tag of an answer, in its quotes (RFC 9110, section 8.8.3)."""
    return content.tag if isinstance(content, SameForAll) else _tag(content)


def _tag(content: bytes) -> str:
    return f'"{hashlib.sha256(content).hexdigest()[:24]}"'
