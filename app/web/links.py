"""Signed links to files: whoever holds one reads as the person it was made for, until it ends: for `<img src>`.

A link opens nothing by itself: whether that person may see the file is asked on every use, as for a token.
"""

from __future__ import annotations

import binascii
import hashlib
import hmac
import re
import time
from uuid import UUID

from app.errors import InvalidLink, LinkExpired
from app.infra.keys import derived_key
from config import settings

# Within a link's life its end moves in so many steps, so that the same link comes again and browsers keep what it gave.
_STEPS = 4
_SIGNATURE_BYTES = 16
_FOR_URLS = bytes.maketrans(b"+/", b"-_")
# In JSON the quotes inside a text are escaped, so nothing that people write ever looks like this.
_UNSIGNED = re.compile(rb'"((?:avatar_)?url)":"/api/files/([0-9a-f-]{36})(?:\?thumbnail=([a-z]+))?"')


def file_link(file_id: UUID | str, viewer_id: int | None, thumbnail: str | None = None) -> str:
    """The path of a file, or of a thumbnail; signed for a person, or without signature for use with a token.

    It is good for FILE_LINK_EXPIRY at most and three quarters of it at least.
    """
    path = f"/api/files/{file_id}" + (f"?thumbnail={thumbnail}" if thumbnail else "")
    if viewer_id is None:
        return path
    until = _until()
    signature = _signature(str(file_id), thumbnail, viewer_id, until)
    return f"{path}{'&' if thumbnail else '?'}viewer={viewer_id}&until={until}&signature={signature}"


def avatar_link(file_id: UUID | str | None, viewer_id: int | None = None) -> str | None:
    """The link to an avatar, which is as small as one is shown in lists; None where there is none."""
    return None if file_id is None else file_link(file_id, viewer_id, "small")


def has_links(content: bytes) -> bool:
    """Whether JSON may hold links to files."""
    # Most pages have no slash at all, and a single byte is found thirty times as fast.
    return b"/" in content and b'"/api/files/' in content


class Unsigned:
    """JSON that is made once for many, split at its links to files: each person then costs no more than signatures."""

    __slots__ = ("_begun", "_pieces", "_rest")

    def __init__(self, content: bytes) -> None:
        self._pieces: list[bytes] = []
        self._begun: list[hashlib.blake2b] = []
        end = 0
        for match in _UNSIGNED.finditer(content) if has_links(content) else ():
            _, file_id, thumbnail = (None if part is None else part.decode() for part in match.groups())
            self._begun.append(_begun(str(file_id), thumbnail))
            quote = match.end() - 1
            self._pieces.append(content[end:quote] + (b"&" if thumbnail else b"?"))
            end = quote
        self._rest = content[end:]

    def signed_for(self, viewer_id: int) -> bytes:
        """The JSON whose links are good for a person, and for as long as one that is made now."""
        if not self._begun:
            return self._rest
        until = _until()
        said = _said(viewer_id, until)
        viewed = b"viewer=%d&until=%d&signature=" % (viewer_id, until)
        parts: list[bytes] = []
        for piece, begun in zip(self._pieces, self._begun, strict=True):
            parts += (piece, viewed, _finished(begun, said))
        parts.append(self._rest)
        return b"".join(parts)


def signed_for(content: bytes, viewer_id: int) -> bytes:
    """JSON whose unsigned links to files are signed for a person."""
    return Unsigned(content).signed_for(viewer_id)


def check_link(file_id: UUID, thumbnail: str | None, viewer_id: int, until: int, signature: str) -> None:
    """Raises LinkExpired, or InvalidLink where the parts of a link were not signed together."""
    expected = _signature(str(file_id), thumbnail, viewer_id, until)
    if not hmac.compare_digest(expected.encode(), signature.encode()):
        raise InvalidLink
    if until <= time.time():
        raise LinkExpired


def _until() -> int:
    """When a link that is made now ends, as Unix time."""
    life = settings().file_link_expiry
    step = max(1, life // _STEPS)
    return (int(time.time()) + life) // step * step


def _signature(file_id: str, thumbnail: str | None, viewer_id: int, until: int) -> str:
    return _finished(_begun(file_id, thumbnail), _said(viewer_id, until)).decode()


def _begun(file_id: str, thumbnail: str | None) -> hashlib.blake2b:
    """The signature of a file's links, to be finished for each viewer."""
    key = derived_key("links to files")
    return hashlib.blake2b(f"{file_id}:{thumbnail or ''}:".encode(), key=key, digest_size=_SIGNATURE_BYTES)


def _said(viewer_id: int, until: int) -> bytes:
    return b"%d:%d" % (viewer_id, until)


def _finished(begun: hashlib.blake2b, said: bytes) -> bytes:
    """The signature as it stands in a link: base64 for URLs, without its padding."""
    signature = begun.copy()
    signature.update(said)
    return binascii.b2a_base64(signature.digest(), newline=False).translate(_FOR_URLS, b"=")
