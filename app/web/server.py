"""gunicorn as this API needs it: logs that go our way, and problem+json where a request never reached the application.

gunicorn's own would write whole URLs into its log, tokens included, and an HTTP answer into the stream of a socket.
It loads this module before metrics have their folder, so nothing here may import the metrics.
"""

from __future__ import annotations

import secrets
import time
from http import HTTPStatus
from typing import Any

import gevent
import structlog
from gunicorn import util
from gunicorn.glogging import Logger
from gunicorn.http import errors, wsgi
from gunicorn.workers.ggevent import GeventWorker

from app.errors import AppError, MalformedRequest
from app.infra.deadlines import Within
from app.infra.logging import configure_logging
from app.web.answer import WholeAnswer
from app.web.errors import problem
from config import settings

log = structlog.get_logger(__name__)

# A connection that has waited for less may be sending its request just now.
_IDLE_SECONDS = 0.5

_UNREADABLE = (errors.ParseException, errors.InvalidChunkSize, errors.ChunkMissingTerminator)
_STATUSES: dict[type[Exception], HTTPStatus] = {
    errors.LimitRequestLine: HTTPStatus.REQUEST_URI_TOO_LONG,
    errors.LimitRequestHeaders: HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    errors.ExpectationFailed: HTTPStatus.EXPECTATION_FAILED,
}


class ServerLogger(Logger):  # type: ignore[misc]
    """Hands gunicorn's lines to our logging instead of writing them itself."""

    def setup(self, cfg: Any) -> None:
        """Configures logging for this process; runs again after a fork and a reload."""
        super().setup(cfg)
        configure_logging(settings())
        for logger in (self.error_log, self.access_log):
            logger.handlers.clear()
            logger.propagate = True


class _WaitedEnough(BaseException):
    """A connection has waited for its next request for as long as it may; no error, so nobody else catches it."""


class _Waiting(Within):
    """The wait for a connection's next request, bounded by the keep-alive time; `ApiWorker.waiting` knows of it."""

    __slots__ = ("_others", "since")

    def __init__(self, worker: ApiWorker) -> None:
        super().__init__(worker.cfg.keepalive, _WaitedEnough)
        self._others = worker.waiting
        self.since = time.monotonic()

    def __enter__(self) -> None:
        self._others.add(self)
        super().__enter__()

    def __exit__(self, *raised: object) -> bool:
        self._others.discard(self)
        super().__exit__()
        return raised[0] is _WaitedEnough


class ApiWorker(GeventWorker):  # type: ignore[misc]
    """A gevent worker that answers what cannot be read as the API answers everything else, with little around it."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.waiting: set[_Waiting] = set()
        # Each request asks for some twenty settings, which gunicorn looks up one by one by way of __getattr__.
        self.cfg.__dict__.update({name: known.get() for name, known in self.cfg.settings.items()})

    def timeout_ctx(self) -> _Waiting:
        """Bounds the wait for a request, as gunicorn asks for."""
        return _Waiting(self)

    def close_idle(self) -> None:
        """Closes connections that only wait for a request; otherwise they hold a stopping worker to the last."""
        now = time.monotonic()
        for waiting in self.waiting:
            if now - waiting.since > _IDLE_SECONDS:
                waiting.end()

    def handle_request(self, listener_name: Any, req: Any, sock: Any, addr: Any) -> None:
        """Answers one request; without the hooks and the access log of gunicorn, which nobody uses here.

        Raises StopIteration where the connection is not to be used again.
        """
        answer, environ = wsgi.create(req, sock, addr, listener_name, self.cfg, response_class=WholeAnswer)
        environ["wsgi.multithread"] = True
        self.nr += 1
        if self.nr >= self.max_requests:
            self.alive = False
        if not self.alive or not self.cfg.keepalive:
            answer.force_close()
        try:
            self._answer(environ, answer)
        except (StopIteration, OSError):
            raise
        except (Exception, SystemExit) as error:
            if answer.headers_sent:
                # Nothing can be said any more within what has begun.
                log.error("answer_broken_off", exc_info=error)
                raise StopIteration from None
            if isinstance(error, Exception):
                raise
        except gevent.GreenletExit:
            pass
        else:
            if answer.should_close():
                raise StopIteration

    def _answer(self, environ: dict[str, Any], answer: WholeAnswer) -> None:
        parts = self.wsgi(environ, answer.start_response)
        try:
            for part in parts:
                answer.write(part)
            answer.close()
        finally:
            if hasattr(parts, "close"):
                parts.close()

    def handle_error(self, req: Any, client: Any, addr: Any, exc: BaseException) -> None:  # noqa: ARG002
        """Answers a request that could not be read or whose handling failed outside of the application."""
        request_id = secrets.token_hex(16)
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            if isinstance(exc, _UNREADABLE):
                status = _STATUSES.get(type(exc), HTTPStatus.BAD_REQUEST)
                log.warning("unreadable_request", error=type(exc).__name__)
                response = problem(MalformedRequest(), status)
            else:
                status = HTTPStatus.INTERNAL_SERVER_ERROR
                log.error("unexpected_error", exc_info=exc)
                response = problem(AppError())
        if req is not None and _is_socket(req):
            return
        head = (
            f"HTTP/1.1 {status.value} {status.phrase}\r\nConnection: close\r\nX-Request-ID: {request_id}\r\n"
            f"Content-Type: {response.content_type}\r\nContent-Length: {response.content_length}\r\n\r\n"
        )
        try:
            util.write_nonblock(client, head.encode() + response.get_data())
        except OSError:
            log.debug("answer_not_sent")


def _is_socket(req: Any) -> bool:
    return any(name.upper() == "UPGRADE" and value.lower() == "websocket" for name, value in req.headers)
