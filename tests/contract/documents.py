"""What the running code says of itself, read once when tests are collected: a test for each route and each frame."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from app.factory import create_app
from app.realtime.frames import CLIENT_FRAMES, SERVER_EVENTS
from app.web import asyncapi, openapi

Document = dict[str, Any]

_APP = create_app()

REST: Document = openapi.document(_APP)
EVENTS: Document = asyncapi.document(CLIENT_FRAMES, SERVER_EVENTS)


def rest_operations() -> dict[str, Document]:
    """Every operation of the OpenAPI document by `METHOD /path`, in the order of the names."""
    found = {
        f"{method.upper()} {path}": operation
        for path, methods in REST["paths"].items()
        for method, operation in methods.items()
    }
    return dict(sorted(found.items()))


def routes() -> set[str]:
    """Every rule of the application as `METHOD /path`, also those that OpenAPI leaves out.

    HEAD comes with every GET, and is one by itself where there is none.
    """
    return {
        f"{method} {_template(rule.rule)}"
        for rule in _APP.url_map.iter_rules()
        for method in rule.methods or ()
        if method != "OPTIONS" and not (method == "HEAD" and "GET" in (rule.methods or ()))
    }


def _template(rule: str) -> str:
    return "".join(_parts(rule))


def _parts(rule: str) -> Iterator[str]:
    for part in rule.replace(">", "<").split("<"):
        yield f"{{{part.rpartition(':')[2]}}}" if f"<{part}>" in rule else part


def resolve(document: Document, schema: Any) -> Any:
    """A part of the document, or what it refers to."""
    while isinstance(schema, dict) and "$ref" in schema:
        part: Any = document
        for name in schema["$ref"].removeprefix("#/").split("/"):
            part = part[name]
        schema = part
    return schema


def references(part: Any) -> Iterator[str]:
    """Every reference in a part of a document."""
    if isinstance(part, dict):
        if isinstance(part.get("$ref"), str):
            yield part["$ref"]
        for value in part.values():
            yield from references(value)
    elif isinstance(part, list):
        for value in part:
            yield from references(value)


def body_schema(operation: Document) -> Document | None:
    """The schema of an operation's JSON body."""
    if "requestBody" not in operation:
        return None
    found: Document = resolve(REST, operation["requestBody"]["content"]["application/json"]["schema"])
    return found


def frame_schema(kind: str) -> Document:
    """The schema of the data of a frame that clients send."""
    payload = EVENTS["components"]["messages"][f"{kind}.frame"]["payload"]
    found: Document = resolve(EVENTS, payload["properties"]["data"])
    return found


def event_schema(name: str) -> Document:
    """The schema of the data of an event that clients receive."""
    payload = EVENTS["components"]["messages"][f"{name}.event"]["payload"]
    found: Document = resolve(EVENTS, payload["properties"]["data"])
    return found
