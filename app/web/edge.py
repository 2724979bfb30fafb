"""Around every request, outermost: its id, its access line, its metrics, and an answer whatever goes wrong."""

from __future__ import annotations

import random
import re
from collections.abc import Iterable
from time import perf_counter
from typing import TYPE_CHECKING, Any

import structlog
from flask import Flask, Request, request
from flask.typing import ResponseReturnValue
from werkzeug.routing import MapAdapter

from app.infra.logging import write_info
from app.web.errors import unexpected
from app.web.metrics import count_request

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

USER_ID = "paperplane.user_id"
"""Where the environ of a request holds the id of the user who made it, once that is known."""

ROUTE = "paperplane.route"
"""Where it holds the template of the route that matched."""

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")
_LONGEST_PATH = 200


class Application(Flask):
    """Flask that leaves the matched route where the edge, outside of it, finds it."""

    def create_url_adapter(self, request: Request | None) -> MapAdapter | None:
        """What matches a request to a route: by its path alone, while Flask's own looks at the host first, twice."""
        if request is None:
            return super().create_url_adapter(request)
        environ = request.environ
        path = environ.get("PATH_INFO", "").encode("latin-1").decode(errors="replace") or "/"
        # Its routes answer handshakes of sockets and no others.
        scheme = "ws" if _is_handshake(environ) else request.scheme
        return MapAdapter(self.url_map, "", "/", "", scheme, path, request.method, environ.get("QUERY_STRING", ""))

    def dispatch_request(self) -> ResponseReturnValue:
        """Calls the endpoint of the request."""
        rule = request.url_rule
        if rule is not None:
            request.environ[ROUTE] = rule.rule
        return super().dispatch_request()


class Edge:
    """WSGI middleware; one object call a request instead of a chain of Flask's hooks, which would cost more."""

    def __init__(self, application: WSGIApplication) -> None:
        self._application = application

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answers one request; for a WebSocket it lasts as long as the socket."""
        started = perf_counter()
        sent = environ.get("HTTP_X_REQUEST_ID", "")
        request_id = sent if _REQUEST_ID.fullmatch(sent) else _new_request_id()
        bound = structlog.contextvars.bind_contextvars(request_id=request_id)
        status = 0

        def start(line: str, headers: list[tuple[str, str]], *error: Any) -> Any:
            nonlocal status
            status = int(line[:3])
            return start_response(line, [*headers, ("X-Request-ID", request_id)], *error)

        try:
            try:
                return self._application(environ, start)
            except Exception as error:
                # With an answer begun, or a socket that took the connection over, nothing can be said any more.
                if status or environ.get("HTTP_UPGRADE", "").lower() == "websocket":
                    raise
                return unexpected(error)(environ, start)
        finally:
            _record(environ, request_id, status, perf_counter() - started)
            structlog.contextvars.reset_contextvars(**bound)


def _is_handshake(environ: WSGIEnvironment) -> bool:
    """Whether a WebSocket is to be opened (RFC 6455, section 4.1)."""
    if environ.get("HTTP_UPGRADE", "").lower() != "websocket":
        return False
    return "upgrade" in [option.strip(" \t") for option in environ.get("HTTP_CONNECTION", "").lower().split(",")]


def _new_request_id() -> str:
    """An id that nothing rests on that must not be guessed: bytes of the system would cost a call of it."""
    return f"{random.getrandbits(128):032x}"


def _record(environ: WSGIEnvironment, request_id: str, status: int, seconds: float) -> None:
    """Writes the access line and counts; a socket (status 0, its answer is not ours) has no place in the durations."""
    method = environ["REQUEST_METHOD"]
    if status:
        count_request(method, environ.get(ROUTE), status, seconds)
    write_info(
        "request",
        request_id=request_id,
        method=method if method.isalpha() else ascii(method[:20]),
        path=_printable(environ.get("PATH_INFO", "")),
        status=status or 101,
        ms=round(seconds * 1000, 2),
        user_id=environ.get(USER_ID),
    )


def _printable(path: str) -> str:
    path = path[:_LONGEST_PATH]
    return path if path.isascii() and path.isprintable() else ascii(path)
