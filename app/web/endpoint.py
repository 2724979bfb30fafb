"""One decorator declares an endpoint: who may call, what comes in, what goes out, which errors; the body stays plain.

    @blueprint.post("/chats/<int:chat_id>/read")
    @operation(answers=ReadState, raises=(NotFound,))
    def mark_read(chat_id: int, body: MarkRead, caller: Caller, unit: UnitOfWork) -> ReadState:
        "Mark messages as read."
        return service.mark_read(unit, caller.user_id, chat_id, body.message_id)

Parameters are found by name: `body` and `query` (pydantic models, checked before the handler runs), `caller`, `unit`
(one transaction, committed when the handler returns; for GET each statement is its own); the others are of the path.

Longer answers to GET have an ETag (RFC 9110, section 8.8.3); one that the client holds already is a 304 without a body.
"""

from __future__ import annotations

import functools
import hashlib
import inspect
import typing
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Literal

import orjson
from flask import Response, request
from pydantic import BaseModel

from app.errors import AppError
from app.infra.db import UnitOfWork, reading, unit_of_work
from app.web.authentication import Caller, request_caller, require_live_session
from app.web.input import read_body, read_query
from app.web.limits import limit_action

Authentication = Literal["session", "token", "none"]

# What is shorter is sent again with hardly more bytes than it takes to say that it has not changed.
_LEAST_TAGGED = 1024


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer with another status than the declared one; `content` is JSON-ready data or finished JSON bytes."""

    content: Any
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


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


def operation(
    *,
    answers: Any = None,
    status: int = 200,
    also: tuple[int, ...] = (),
    raises: tuple[type[AppError], ...] = (),
    authentication: Authentication = "session",
    action: str = "requests",
) -> Callable[[Callable[..., Any]], Callable[..., Response]]:
    """Declares an endpoint.

    `answers`: a TypedDict (or other annotation) of the JSON answered with `status`; None for 204 without a body.
    `also`: further statuses with the same answer. `raises`: the errors of its own (the edge's are known).
    `authentication`: "session" asks PostgreSQL whether the session lives; "token" leaves that to the handler's own
    statement; "none" is for everybody. `action`: the rate limit it counts for.
    """

    def declare(handler: Callable[..., Any]) -> Callable[..., Response]:
        hints = typing.get_type_hints(handler)
        names = set(inspect.signature(handler).parameters)
        declared = Operation(
            handler,
            answers,
            status if answers is not None or status != 200 else 204,
            also,
            raises,
            authentication,
            action,
            hints.get("body"),
            hints.get("query"),
        )

        @functools.wraps(handler)
        def view(**arguments: Any) -> Response:
            caller = None if authentication == "none" else request_caller()
            if caller is not None:
                limit_action(caller.user_id, action)
            if declared.query is not None:
                arguments["query"] = read_query(declared.query)
            if declared.body is not None:
                arguments["body"] = read_body(declared.body)
            if "caller" in names:
                arguments["caller"] = caller
            if "unit" not in names:
                return _response(_without_unit(declared, caller, arguments), declared.status)
            with _transaction() as unit:
                if caller is not None and authentication == "session":
                    require_live_session(unit, caller)
                arguments["unit"] = unit
                result = handler(**arguments)
            return _response(result, declared.status)

        view.operation = declared  # type: ignore[attr-defined]
        return view

    return declare


def _without_unit(declared: Operation, caller: Caller | None, arguments: dict[str, Any]) -> Any:
    if caller is not None and declared.authentication == "session":
        with reading() as unit:
            require_live_session(unit, caller)
    return declared.handler(**arguments)


def _transaction() -> AbstractContextManager[UnitOfWork]:
    return reading() if request.method in ("GET", "HEAD") else unit_of_work()


def _response(result: Any, status: int) -> Response:
    headers: dict[str, str] = {}
    if isinstance(result, Response):
        return result
    if isinstance(result, Answer):
        result, status, headers = result.content, result.status, result.headers
    if result is None:
        return Response(status=204 if status == 200 else status, headers=headers)
    content = result if isinstance(result, bytes) else orjson.dumps(result)
    if status == HTTPStatus.OK and request.method in ("GET", "HEAD") and len(content) >= _LEAST_TAGGED:
        tag = f'"{hashlib.blake2b(content, digest_size=12).hexdigest()}"'
        headers = {**headers, "ETag": f"W/{tag}", "Cache-Control": "private, no-cache"}
        if tag in request.headers.get("If-None-Match", ""):
            return Response(status=HTTPStatus.NOT_MODIFIED, headers=headers)
    return Response(content, status=status, headers=headers, content_type="application/json")
