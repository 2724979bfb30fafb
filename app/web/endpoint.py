"""One decorator declares an endpoint: who may call, what comes in, what goes out, which errors; the body stays plain.

    @blueprint.post("/chats/<int:chat_id>/read")
    @operation(answers=ReadState, raises=(NotFound,))
    def mark_read(chat_id: int, body: MarkRead, caller: Caller, unit: UnitOfWork) -> ReadState:
        "Mark messages as read."
        return service.mark_read(unit, caller.user_id, chat_id, body.message_id)

Parameters are found by name: `body`, `query`, `headers` (pydantic models, checked before the handler runs), `caller`,
`unit` (one transaction, committed when the handler returns; for GET each statement is its own); the others are of the
path.

Longer answers to GET have an ETag (RFC 9110, section 8.8.3); one that the client holds already is a 304 without a body.
"""

from __future__ import annotations

import functools
import inspect
import typing
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Literal

import orjson
from flask import Response, request
from pydantic import BaseModel

from app.errors import AppError
from app.infra.db import UnitOfWork, reading, unit_of_work
from app.web.at_once import in_turn
from app.web.authentication import Caller, LinkQuery, link_caller, live_session, request_caller, require_live_session
from app.web.input import read_body, read_headers, read_query
from app.web.limits import limit_action
from app.web.links import signed_for
from app.web.ready import Ready, SameForAll, tag_of

Authentication = Literal["session", "token", "link", "none"]

# What is shorter is sent again with hardly more bytes than it takes to say that it has not changed.
_LEAST_TAGGED = 1024


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer with another status than the declared one; `content` is JSON-ready data or finished JSON bytes."""

    content: Any
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RawBody:
    """A body that is no JSON, and that the handler reads by itself as it comes: its type and its schema."""

    media_type: str
    schema: dict[str, Any]
    is_required: bool = True


class Bytes:
    """Stands in `answers` for bytes of whatever type."""


@dataclass(frozen=True, slots=True)
class Operation:
    """What is declared of an endpoint; OpenAPI is made from it."""

    handler: Callable[..., Any]
    answers: Any
    status: int
    also: tuple[int, ...]
    raises: tuple[type[AppError], ...]
    authentication: Authentication
    action: str
    body: type[BaseModel] | None
    query: type[BaseModel] | None
    headers: type[BaseModel] | None
    takes: RawBody | None


def operation(
    *,
    answers: Any = None,
    status: int | None = None,
    also: tuple[int, ...] = (),
    raises: tuple[type[AppError], ...] = (),
    authentication: Authentication = "session",
    action: str = "requests",
    takes: RawBody | None = None,
) -> Callable[[Callable[..., Any]], Callable[..., Response]]:
    """Declares an endpoint.

    `answers`: a TypedDict (or other annotation) of the JSON answered with `status` (200), or Bytes; None for no body,
    and 204 where no other `status` is named.
    `also`: further statuses with the same answer. `raises`: the errors of its own (the edge's are known).
    `authentication`: "session" asks PostgreSQL whether the session lives; "token" leaves that to the handler's own
    statement; "link" takes a signed link to the file of the path as well; "none" is for everybody. `action`: the rate
    limit it counts for. `takes`: a body that is no JSON.
    """

    def declare(handler: Callable[..., Any]) -> Callable[..., Response]:
        hints = typing.get_type_hints(handler)
        names = set(inspect.signature(handler).parameters)
        declared = Operation(
            handler,
            answers,
            status or (204 if answers is None else 200),
            also,
            raises,
            authentication,
            action,
            hints.get("body"),
            hints.get("query"),
            hints.get("headers"),
            takes,
        )

        @functools.wraps(handler)
        def view(**arguments: Any) -> Response:
            caller = None if authentication in ("none", "link") else request_caller()
            if caller is not None:
                limit_action(caller.user_id, action)
            if declared.query is not None:
                arguments["query"] = read_query(declared.query)
            if authentication == "link":
                caller = _caller_by_link(arguments)
                limit_action(caller.user_id, action)
            if declared.headers is not None:
                arguments["headers"] = read_headers(declared.headers)
            if declared.body is not None:
                arguments["body"] = read_body(declared.body)
            if "caller" in names:
                arguments["caller"] = caller
            if "unit" not in names:
                return _response(_without_unit(declared, caller, arguments), declared.status, caller)
            with _turn(caller), _unit(None if authentication == "token" else caller) as unit:
                arguments["unit"] = unit
                result = handler(**arguments)
            return _response(result, declared.status, caller)

        view.operation = declared  # type: ignore[attr-defined]
        return view

    return declare


def _caller_by_link(arguments: dict[str, Any]) -> Caller:
    query = arguments["query"]
    assert isinstance(query, LinkQuery)
    return link_caller(arguments["file_id"], query, getattr(query, "thumbnail", None))


def _without_unit(declared: Operation, caller: Caller | None, arguments: dict[str, Any]) -> Any:
    if caller is None or declared.authentication == "token":
        return declared.handler(**arguments)
    if declared.takes is None and declared.answers is not Bytes:
        with _turn(caller):
            _require_live(caller)
            return declared.handler(**arguments)
    # Bytes may come, or go, as slowly as the client likes.
    with _turn(caller):
        _require_live(caller)
    return declared.handler(**arguments)


def _require_live(caller: Caller) -> None:
    with reading() as unit:
        require_live_session(unit, caller)


def _turn(caller: Caller | None) -> AbstractContextManager[None]:
    return nullcontext() if caller is None else in_turn(caller.user_id)


def _unit(caller: Caller | None) -> AbstractContextManager[UnitOfWork]:
    """The unit of work of this request, whose caller's session must live; None where that is not to be asked."""
    if request.method in ("GET", "HEAD"):
        return reading(None if caller is None else live_session(caller))
    return unit_of_work() if caller is None else _changing(caller)


@contextmanager
def _changing(caller: Caller) -> Iterator[UnitOfWork]:
    with unit_of_work() as unit:
        require_live_session(unit, caller)
        yield unit


def _response(result: Any, status: int, caller: Caller | None) -> Response:
    headers: dict[str, str] = {}
    if isinstance(result, Response):
        return result
    if isinstance(result, Answer):
        result, status, headers = result.content, result.status, result.headers
    if result is None:
        return Response(status=204 if status == 200 else status, headers=headers)
    content = result if isinstance(result, bytes) else orjson.dumps(result)
    if caller is not None and not isinstance(content, SameForAll):
        content = signed_for(content, caller.user_id)
    if status == HTTPStatus.OK and request.method in ("GET", "HEAD") and len(content) >= _LEAST_TAGGED:
        tag = tag_of(content)
        headers = {**headers, "ETag": f"W/{tag}", "Cache-Control": "private, no-cache"}
        if tag in request.headers.get("If-None-Match", ""):
            return Response(status=HTTPStatus.NOT_MODIFIED, headers=headers)
    return Ready(content, status=status, headers=headers, content_type="application/json")
