"""How errors are told over HTTP: RFC 9457 problem+json, made in this one place."""

from __future__ import annotations

from collections.abc import Mapping

import orjson
import structlog
from flask import Flask, Response
from werkzeug.exceptions import HTTPException
from werkzeug.exceptions import MethodNotAllowed as WrongMethod

from app.errors import (
    AppError,
    Forbidden,
    MalformedRequest,
    MethodNotAllowed,
    NotFound,
    RangeNotSatisfiable,
    TooLarge,
    Unauthenticated,
    Unavailable,
    UnsupportedMediaType,
    ValidationFailed,
)

PROBLEM_TYPE = "application/problem+json"
ERRORS_PAGE = "/docs/errors"

log = structlog.get_logger(__name__)

# Statuses that Flask and Werkzeug raise on their own; any other 4xx becomes malformed_request with its own status.
_BY_STATUS: Mapping[int, type[AppError]] = {
    401: Unauthenticated,
    403: Forbidden,
    404: NotFound,
    405: MethodNotAllowed,
    413: TooLarge,
    415: UnsupportedMediaType,
    416: RangeNotSatisfiable,
    422: ValidationFailed,
    503: Unavailable,
}


def register_errors(app: Flask) -> None:
    """Renders every error of the app, in development and tests exactly as in production."""
    app.register_error_handler(AppError, _app_error)
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(Exception, _defect)


def problem(error: AppError, status: int | None = None) -> Response:
    """The answer that tells `error`; `status` where it differs from the error's own."""
    status = status or error.status
    content = {
        "type": f"{ERRORS_PAGE}#{error.code}",
        "title": error.title,
        "status": status,
        "detail": error.detail,
        "code": error.code,
        "request_id": structlog.contextvars.get_contextvars().get("request_id"),
        "errors": error.errors,
    }
    response = Response(orjson.dumps(content), status=status, content_type=PROBLEM_TYPE)
    if error.retry_after is not None:
        response.headers["Retry-After"] = str(error.retry_after)
    if status == Unauthenticated.status:
        response.headers["WWW-Authenticate"] = "Bearer"
    return response


def unexpected(error: Exception) -> Response:
    """The answer to any exception, also outside of Flask; what is not meant for clients is logged, never told."""
    if isinstance(error, AppError):
        return _app_error(error)
    return _http_error(error) if isinstance(error, HTTPException) else _defect(error)


def error_kinds() -> list[type[AppError]]:
    """Every kind of error in app/errors.py, by status and code; of kinds that share a code the root."""
    found: dict[str, type[AppError]] = {}
    waiting = [AppError]
    for kind in waiting:
        found.setdefault(kind.code, kind)
        waiting += [child for child in kind.__subclasses__() if child.__module__ == AppError.__module__]
    return sorted(found.values(), key=lambda kind: (kind.status, kind.code))


def _app_error(error: AppError) -> Response:
    if isinstance(error, Unavailable):
        log.warning("unavailable", cause=type(error.__cause__).__name__)
    return problem(error)


def _http_error(error: HTTPException) -> Response:
    status = error.code or AppError.status
    if status < 400 or error.response is not None:
        return Response.force_type(error.get_response())  # type: ignore[return-value]
    if status >= 500 and status not in _BY_STATUS:
        return _defect(error)
    response = problem(_BY_STATUS.get(status, MalformedRequest)(), status)
    if isinstance(error, WrongMethod) and error.valid_methods:
        response.headers["Allow"] = ", ".join(sorted(error.valid_methods))
    return response


def _defect(error: Exception) -> Response:
    log.error("unexpected_error", exc_info=error)
    return problem(AppError())
