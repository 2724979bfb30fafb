"""OpenAPI 3.1, made from what `@operation` declares: paths, input, answers and every error with its codes."""

from __future__ import annotations

import inspect
import re
import sys
import typing
import uuid
from collections import defaultdict
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

from flask import Flask
from typing_extensions import TypedDict
from werkzeug.routing import Rule

from app.errors import (
    AppError,
    FieldError,
    MalformedRequest,
    NotFound,
    RateLimited,
    SessionRevoked,
    TokenExpired,
    TooLarge,
    TooManyAtOnce,
    Unauthenticated,
    Unavailable,
    UnsupportedMediaType,
    ValidationFailed,
)
from app.web.endpoint import Bytes, Operation
from app.web.errors import PROBLEM_TYPE
from app.web.input import LARGEST_ID
from app.web.metrics import version
from app.web.schemas import Schema, Schemas

_PLACEHOLDER = re.compile(r"<(?:[^:<>]+:)?([^<>]+)>")
_ID = {"type": "integer", "minimum": 1, "maximum": LARGEST_ID}
_UUID = {"type": "string", "format": "uuid"}

_DESCRIPTION = """The REST interface of Paperplane. Events in real time are described in
[the events page](/docs/events).

Ids are integers below 2^53, times are RFC 3339 in UTC with milliseconds. Unknown fields are refused. Every error is
an RFC 9457 problem whose `code` is [one of these](/docs/errors); every answer carries `X-Request-ID`."""

_HEADERS: Schema = {
    "RequestId": {
        "description": "The id of the request: your own X-Request-ID if it was 8 to 64 of A-Z a-z 0-9 . _ -",
        "schema": {"type": "string"},
    },
    "RetryAfter": {"description": "Seconds to wait.", "schema": {"type": "integer", "minimum": 1}},
    "WwwAuthenticate": {"description": "How to sign in.", "schema": {"type": "string"}},
}


# Who comes by a signed link needs no token.
_SECURITY: dict[str, list[Schema]] = {
    "none": [],
    "link": [{"bearer": []}, {}],
    "session": [{"bearer": []}],
    "token": [{"bearer": []}],
}

_UNCHANGED: Schema = {
    "description": "`If-None-Match` names what would be answered.",
    "headers": {"X-Request-ID": {"$ref": "#/components/headers/RequestId"}},
}


class Problem(TypedDict):
    """An error (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    request_id: str | None
    errors: list[FieldError]


def declared_operations(app: Flask) -> Iterator[tuple[Rule, str, Operation]]:
    """Every rule with its method (small letters) and what is declared of its endpoint."""
    for rule in app.url_map.iter_rules():
        declared = getattr(app.view_functions[rule.endpoint], "operation", None)
        if declared is not None:
            for method in sorted(_methods(rule)):
                yield rule, method.lower(), declared


def _methods(rule: Rule) -> set[str]:
    """What a rule is for; HEAD comes with every GET, and only without one is it a use of its own."""
    methods = (rule.methods or set()) - {"OPTIONS"}
    return methods - {"HEAD"} if "GET" in methods else methods


def document(app: Flask) -> Schema:
    """The OpenAPI document of all endpoints of the app; raises ValueError where two share a name."""
    schemas = Schemas()
    schemas.answered(Problem)
    paths: dict[str, Schema] = defaultdict(dict)
    tags: dict[str, str] = {}
    identifiers: set[str] = set()
    for rule, method, declared in declared_operations(app):
        tag, identifier = _names(rule, declared)
        if identifier in identifiers:
            raise ValueError(f"two endpoints are called {identifier}")
        identifiers.add(identifier)
        tags.setdefault(tag, _first_sentence(sys.modules[declared.handler.__module__].__doc__))
        path = _PLACEHOLDER.sub(r"{\1}", rule.rule)
        paths[path][method] = {"operationId": identifier, "tags": [tag], **_operation(rule, declared, schemas)}
        if method == "get":
            paths[path][method]["responses"]["304"] = _UNCHANGED
        elif method == "head":
            for answer in paths[path][method]["responses"].values():
                answer.pop("content", None)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Paperplane", "version": version(), "description": _DESCRIPTION},
        "servers": [{"url": "/"}],
        "tags": [{"name": name, "description": description} for name, description in tags.items()],
        "paths": dict(paths),
        "components": {
            "schemas": schemas.components,
            "headers": _HEADERS,
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
        },
    }


def _names(rule: Rule, declared: Operation) -> tuple[str, str]:
    blueprint = rule.endpoint.rpartition(".")[0]
    return blueprint, f"{blueprint}.{declared.handler.__name__}"


def _operation(rule: Rule, declared: Operation, schemas: Schemas) -> Schema:
    summary, _, description = (inspect.getdoc(declared.handler) or "").partition("\n")
    content: Schema = {
        "summary": summary.rstrip("."),
        "security": _SECURITY[declared.authentication],
        "parameters": [*_path_parameters(rule, declared), *_query_parameters(declared, schemas)],
        "responses": _answers(declared, schemas) | _problems(rule, declared),
    }
    if description.strip():
        content["description"] = description.strip()
    if declared.body is not None:
        body = {"content": {"application/json": {"schema": schemas.received(declared.body)}}}
        content["requestBody"] = body | {"required": any(f.is_required() for f in declared.body.model_fields.values())}
    elif declared.takes is not None:
        raw = {"content": {declared.takes.media_type: {"schema": declared.takes.schema}}}
        content["requestBody"] = raw | {"required": declared.takes.is_required}
    return content


def _path_parameters(rule: Rule, declared: Operation) -> Iterator[Schema]:
    kinds = typing.get_type_hints(declared.handler)
    shapes: dict[Any, Schema] = {int: _ID, uuid.UUID: _UUID}
    for name in _PLACEHOLDER.findall(rule.rule):
        yield {"name": name, "in": "path", "required": True, "schema": shapes.get(kinds[name], {"type": "string"})}


def _query_parameters(declared: Operation, schemas: Schemas) -> Iterator[Schema]:
    for place, model in ("query", declared.query), ("header", declared.headers):
        for name, schema, is_required in schemas.fields(model) if model is not None else ():
            yield {"name": name, "in": place, "required": is_required, "schema": schema}


def _answers(declared: Operation, schemas: Schemas) -> Schema:
    answer: Schema = {"headers": {"X-Request-ID": {"$ref": "#/components/headers/RequestId"}}}
    if declared.answers is Bytes:
        answer["content"] = {"*/*": {"schema": {"type": "string", "format": "binary"}}}
    elif declared.answers is not None:
        answer["content"] = {"application/json": {"schema": schemas.answered(declared.answers)}}
    return {
        str(status): {"description": HTTPStatus(status).phrase, **answer}
        for status in (declared.status, *declared.also)
    }


def _problems(rule: Rule, declared: Operation) -> Schema:
    by_status: dict[int, list[type[AppError]]] = defaultdict(list)
    for error in dict.fromkeys((*declared.raises, *_edge_errors(rule, declared))):
        by_status[error.status].append(error)
    return {str(status): _problem(status, by_status[status]) for status in sorted(by_status)}


def _edge_errors(rule: Rule, declared: Operation) -> Iterator[type[AppError]]:
    """What an endpoint may answer before or around its handler."""
    if declared.authentication != "none":
        yield from (Unauthenticated, TokenExpired, SessionRevoked, RateLimited, TooManyAtOnce)
    if rule.arguments:
        yield NotFound
    if declared.body is not None:
        yield from (MalformedRequest, TooLarge, UnsupportedMediaType)
    if declared.takes is not None:
        yield from (MalformedRequest, TooLarge, UnsupportedMediaType)
    if declared.body is not None or declared.query is not None or declared.headers is not None:
        yield ValidationFailed
    yield Unavailable


def _problem(status: int, errors: list[type[AppError]]) -> Schema:
    headers = {"X-Request-ID": "RequestId"}
    if status in (RateLimited.status, Unavailable.status):
        headers["Retry-After"] = "RetryAfter"
    if status == Unauthenticated.status:
        headers["WWW-Authenticate"] = "WwwAuthenticate"
    codes = {"properties": {"code": {"enum": sorted(error.code for error in errors)}}}
    return {
        "description": "\n".join(f"`{error.code}`: {_first_sentence(error.__doc__)}" for error in errors),
        "headers": {name: {"$ref": f"#/components/headers/{reference}"} for name, reference in headers.items()},
        "content": {PROBLEM_TYPE: {"schema": {"allOf": [{"$ref": "#/components/schemas/Problem"}, codes]}}},
    }


def _first_sentence(docstring: str | None) -> str:
    return inspect.cleandoc(docstring or "").partition("\n")[0]
