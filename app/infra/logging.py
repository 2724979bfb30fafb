"""Logging: one line an event, JSON or readable, with the request's or job's id; the libraries' logs go the same way.

Log with `structlog.get_logger(__name__)` and name the event: `log.warning("job_not_enqueued", error=...)`. Never log
what people typed or what lets somebody in: texts, passwords, codes, tokens, query strings.
"""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, cast

import orjson
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from config import Settings

# Their lines below a warning repeat every statement, job or request.
_QUIET = (
    "alembic.runtime.plugins",
    "amqp",
    "boto3",
    "botocore",
    "flask_cors",
    "kombu",
    "s3transfer",
    "sqlalchemy",
    "urllib3",
    "werkzeug",
)

# One list for good: loggers already in use hold it, so a later configuration reaches them too.
_processors: list[Processor] = []
# The level from which lines are written.
_least = logging.INFO


def configure_logging(current: Settings) -> None:
    """Sends every log line of this process to standard error, in the form and from the level of the settings on."""
    global _least
    level = _least = getattr(logging, current.log_level.upper())
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.ExceptionRenderer(_stack),
    ]
    render = _render_json if current.logs_json else _console()
    _processors[:] = [*shared, render]
    stream = cast("Any", _StandardError())
    structlog.configure(
        processors=_processors,
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(file=stream),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, render],
        )
    )
    logging.basicConfig(handlers=[handler], level=level, force=True)
    logging.captureWarnings(True)
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(level, logging.WARNING))


def write_info(event: str, **fields: object) -> None:
    """What `info` of a logger writes, for a quarter of its cost: for the line of each request.

    Its fields are all that it has: nothing that is bound to the context is added.
    """
    if _least <= logging.INFO:
        moment = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        line = str(_processors[-1](None, "info", {**fields, "event": event, "level": "info", "timestamp": moment}))
        sys.stderr.write(line + "\n")


@contextmanager
def job_context(name: str, job_id: str, request_id: str | None = None) -> Iterator[None]:
    """Within it every log line, and every job enqueued, carries the job's id and the id of the request it came from."""
    known = {"job": name, "job_id": job_id} | ({"request_id": request_id} if request_id else {})
    with structlog.contextvars.bound_contextvars(**known):
        yield


class _StandardError:
    """Whatever `sys.stderr` is at the moment of writing: it may be replaced or closed after the configuration."""

    def write(self, text: str) -> int:
        return sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()


def _render_json(_logger: WrappedLogger, _method: str, event: EventDict) -> str:
    try:
        return orjson.dumps(event, default=repr).decode()
    except orjson.JSONEncodeError:  # A lone surrogate or an int over 64 bits: rather a clumsy line than none.
        return orjson.dumps({key: ascii(value) for key, value in event.items()}).decode()


def _console() -> Processor:
    return structlog.dev.ConsoleRenderer(
        colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback, pad_event_to=28
    )


def _stack(exc_info: tuple[type[BaseException], BaseException, TracebackType | None]) -> str:
    """The stack trace with only the first line of each message: PostgreSQL's further lines hold the row's values."""
    parts: list[str] = []
    error: BaseException | None = exc_info[1]
    while error is not None and len(parts) < 8:
        kind = type(error)
        message = str(error).partition("\n")[0][:500]
        frames = "".join(traceback.format_tb(error.__traceback__))
        parts.append(f"Traceback (most recent call last):\n{frames}{kind.__module__}.{kind.__qualname__}: {message}")
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return "\n\nwhich came from\n\n".join(parts)
