"""The HTTP answer that serves a file: its headers, a part of it, or where else it is to be had."""

from __future__ import annotations

import hashlib
from urllib.parse import quote

from flask import Response, request

from app.errors import NotFound, RangeNotSatisfiable
from app.files import ranges
from app.files.names import disposition
from app.files.service import Content
from app.infra.storage import NoSuchObject, storage
from app.web.errors import problem
from config import settings

# Where deploy/nginx.conf has UPLOAD_DIR, for nobody but the API.
INTERNAL_PREFIX = "/internal/files/"
# A link to the storage is followed at once.
_LINK_SECONDS = 60


def answer(content: Content, is_download: bool) -> Response:
    """Serves an object. Raises NotFound where it has just been deleted."""
    headers = _headers(content, is_download)
    if ranges.is_known(request.headers.get("If-None-Match"), headers["ETag"]):
        return Response(status=304, headers=headers)
    if settings().file_serving != "stream":
        elsewhere = _elsewhere(content, headers)
        if elsewhere is not None:
            return elsewhere
    return _streamed(content, headers)


def _elsewhere(content: Content, headers: dict[str, str]) -> Response | None:
    """Who sends the object instead: S3 by a link, which is good for GET alone, or nginx, which answers HEAD as well."""
    if request.method != "HEAD":
        link = storage().download_link(content.key, content.mime_type, headers["Content-Disposition"], _LINK_SECONDS)
        if link is not None:
            return Response(status=302, headers={**headers, "Location": link, "Cache-Control": "no-store"})
    path = storage().internal_path(content.key) if settings().file_serving == "nginx" else None
    if path is None:
        return None
    return Response(headers={**headers, "X-Accel-Redirect": INTERNAL_PREFIX + quote(path)}, content_type=_type(content))


def _streamed(content: Content, headers: dict[str, str]) -> Response:
    is_head = request.method == "HEAD"
    part = None
    if not is_head and ranges.may_continue(request.headers.get("If-Range"), headers["ETag"]):
        try:
            part = ranges.wanted_part(request.headers.get("Range"), content.size)
        except RangeNotSatisfiable as error:
            refused = problem(error)
            refused.headers["Content-Range"] = f"bytes */{content.size}"
            return refused
    start, stop = part or (0, content.size)
    headers["Content-Length"] = str(stop - start)
    if part is not None:
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{content.size}"
    if is_head:
        return Response(headers=headers, content_type=_type(content))
    try:
        reading = storage().read(content.key, start, stop)
    except NoSuchObject:
        raise NotFound("The file has just been deleted.") from None
    status = 200 if part is None else 206
    return Response(reading, status, headers, content_type=_type(content), direct_passthrough=True)


def _headers(content: Content, is_download: bool) -> dict[str, str]:
    """Objects never change, so their key makes the tag; a hash of it, as keys are nobody's business.

    Clients ask each time, so that who may not see the file any more does not get it; mostly the answer is a 304.
    """
    return {
        "ETag": f'"{hashlib.blake2b(content.key.encode(), digest_size=16).hexdigest()}"',
        "Accept-Ranges": "bytes",
        "Cache-Control": "private, no-cache",
        "Content-Disposition": disposition(content.name, content.is_inline and not is_download),
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "sandbox; default-src 'none'",
        # The web client may be served from elsewhere. A link is a secret of its viewer's, and no cookie opens anything.
        "Cross-Origin-Resource-Policy": "cross-origin",
        "Referrer-Policy": "no-referrer",
    }


def _type(content: Content) -> str:
    return f"{content.mime_type}; charset=utf-8" if content.mime_type == "text/plain" else content.mime_type
