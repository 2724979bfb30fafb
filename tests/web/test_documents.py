"""OpenAPI, AsyncAPI and the pages that show them."""

from __future__ import annotations

import re
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from openapi_spec_validator import validate
from typing_extensions import TypedDict

from app.factory import create_app
from app.realtime.frames import CLIENT_FRAMES, SERVER_EVENTS
from app.web import openapi
from app.web.openapi import declared_operations
from app.web.pagination import ItemPage
from app.web.schemas import Schemas

# Views that need no declaration: they are for operators, browsers and sockets.
PLAIN = re.compile(r"health\.(healthz|readyz)|metrics\.metrics|documentation\.\w+|realtime\.websocket")


@pytest.fixture
def rest(client: FlaskClient) -> dict[str, Any]:
    """The OpenAPI document."""
    document: dict[str, Any] = client.get("/openapi.json").get_json()
    return document


@pytest.fixture
def events(client: FlaskClient) -> dict[str, Any]:
    """The AsyncAPI document."""
    document: dict[str, Any] = client.get("/asyncapi.json").get_json()
    return document


def _references(part: Any) -> set[str]:
    if isinstance(part, dict):
        own = {part["$ref"]} if isinstance(part.get("$ref"), str) else set()
        return own.union(*(_references(value) for value in part.values()))
    return set().union(*(_references(value) for value in part)) if isinstance(part, list) else set()


def _missing(document: dict[str, Any]) -> list[str]:
    def found(reference: str) -> bool:
        part: Any = document
        for name in reference.removeprefix("#/").split("/"):
            part = part.get(name) if isinstance(part, dict) else None
        return part is not None

    return [reference for reference in sorted(_references(document)) if not found(reference)]


def test_the_openapi_document_is_valid(rest: dict[str, Any]) -> None:
    assert rest["openapi"] == "3.1.0"
    validate(rest)
    assert _missing(rest) == []


def _undeclared(app: Flask) -> set[str]:
    views = app.view_functions
    return {name for name, view in views.items() if not hasattr(view, "operation") and not PLAIN.fullmatch(name)}


def test_every_public_view_is_declared() -> None:
    assert _undeclared(create_app()) == set()


def test_a_view_that_is_not_declared_is_found(edge_app: Flask) -> None:
    assert _undeclared(edge_app) == {"probe.undeclared"}


def test_every_declared_endpoint_is_in_the_document_and_has_words(edge_app: Flask, rest: dict[str, Any]) -> None:
    operations = [operation for path in rest["paths"].values() for operation in path.values()]
    assert len(operations) == len(list(declared_operations(edge_app))) > 20
    assert [operation["operationId"] for operation in operations if not operation["summary"]] == []


def test_an_endpoint_with_a_body_is_described_whole(rest: dict[str, Any]) -> None:
    echo = rest["paths"]["/api/probe/echo"]["post"]
    assert (echo["operationId"], echo["tags"]) == ("probe.echo", ["probe"])
    assert (echo["summary"], echo["description"]) == ("Say it again", "With more words than one line holds.")
    assert echo["security"] == []
    assert echo["requestBody"] == {
        "required": True,
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Note"}}},
    }
    assert rest["components"]["schemas"]["Note"]["additionalProperties"] is False
    assert list(echo["responses"]) == ["201", "400", "413", "415", "422", "503"]
    answer = echo["responses"]["201"]["content"]["application/json"]["schema"]
    assert answer == {"$ref": "#/components/schemas/Echo"}


def test_an_endpoint_with_a_query_is_described_whole(rest: dict[str, Any]) -> None:
    search = rest["paths"]["/api/probe/search"]["get"]
    parameters = {parameter["name"]: parameter for parameter in search["parameters"]}
    assert parameters["limit"] == {
        "name": "limit",
        "in": "query",
        "required": False,
        "schema": {"type": "integer", "minimum": 1, "maximum": 100, "default": 50},
    }
    assert parameters["q"]["schema"] == {"type": "string"}
    assert "422" in search["responses"]


def test_ids_in_paths_are_bounded_and_can_be_unknown(rest: dict[str, Any]) -> None:
    by_id = rest["paths"]["/api/probe/chats/{chat_id}"]["get"]
    assert by_id["parameters"] == [
        {
            "name": "chat_id",
            "in": "path",
            "required": True,
            "schema": {"type": "integer", "minimum": 1, "maximum": 9007199254740991},
        }
    ]
    assert "404" in by_id["responses"]


def test_errors_are_listed_by_status_with_their_codes(rest: dict[str, Any]) -> None:
    mine = rest["paths"]["/api/probe/mine"]["get"]["responses"]
    codes = {
        status: answer["content"]["application/problem+json"]["schema"]["allOf"][1]["properties"]["code"]["enum"]
        for status, answer in mine.items()
        if int(status) >= 400
    }
    assert codes == {
        "401": ["session_revoked", "token_expired", "unauthenticated"],
        "429": ["rate_limited", "too_many_at_once"],
        "503": ["unavailable"],
    }
    assert "Retry-After" in mine["429"]["headers"]
    assert "Retry-After" in mine["503"]["headers"]


def test_other_statuses_and_empty_answers_are_described(rest: dict[str, Any]) -> None:
    assert {"200", "203"} <= set(rest["paths"]["/api/probe/other"]["get"]["responses"])
    assert "content" not in rest["paths"]["/api/probe/nothing"]["delete"]["responses"]["204"]


def test_what_is_declared_is_what_is_answered(client: FlaskClient) -> None:
    assert client.delete("/api/probe/nothing").status_code == 204
    other = client.get("/api/probe/other")
    assert (other.status_code, other.headers["X-Other"], other.json) == (203, "yes", {"text": "bytes"})


def test_lists_are_named_after_what_they_hold(rest: dict[str, Any]) -> None:
    assert not any("ItemPage" in name for name in rest["components"]["schemas"])
    assert "ChatPage" in rest["components"]["schemas"]


class Thing(TypedDict):
    """A shape."""

    a: int


def test_two_shapes_under_one_name_are_refused() -> None:
    class Other(TypedDict):
        b: int

    Other.__name__ = Other.__qualname__ = "Thing"
    schemas = Schemas()
    schemas.answered(ItemPage[Thing])
    with pytest.raises(ValueError, match="Thing"):
        schemas.answered(Other)


def test_two_endpoints_under_one_name_are_refused() -> None:
    app = create_app()
    (rule, _, declared), *_ = declared_operations(app)
    app.add_url_rule("/again", endpoint=rule.endpoint)
    with pytest.raises(ValueError, match=declared.handler.__name__):
        openapi.document(app)


def test_every_frame_and_every_event_is_in_the_asyncapi_document(events: dict[str, Any]) -> None:
    assert events["asyncapi"] == "3.0.0"
    assert _missing(events) == []
    received = {name for name, operation in events["operations"].items() if operation["action"] == "receive"}
    sent = {name for name, operation in events["operations"].items() if operation["action"] == "send"}
    assert received == {f"{name}.frame" for name in CLIENT_FRAMES}
    assert sent == {f"{name}.event" for name in SERVER_EVENTS}


def test_a_frame_and_its_answer_are_described_whole(events: dict[str, Any]) -> None:
    payload = events["components"]["messages"]["read_receipt.frame"]["payload"]
    assert payload["properties"]["type"] == {"const": "read_receipt"}
    assert payload["properties"]["data"] == {"$ref": "#/components/schemas/ReadReceiptFrame"}
    assert payload["required"] == ["type", "data"]
    reply = events["operations"]["read_receipt.frame"]["reply"]
    assert reply["messages"] == [{"$ref": "#/channels/socket/messages/read_receipt.ack"}]


PAGES = ("/docs", "/docs/events", "/docs/errors")


@pytest.mark.parametrize("path", PAGES)
def test_a_page_loads_nothing_from_elsewhere(client: FlaskClient, path: str) -> None:
    response = client.get(path)
    assert response.status_code == 200
    assert "//" not in re.sub(r"<!doctype html>", "", response.text)
    policy = dict(part.strip().split(" ", 1) for part in response.headers["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["connect-src"] == "'self'"
    assert "'unsafe-inline'" not in policy["script-src"]
    assert "http" not in response.headers["Content-Security-Policy"]
    assert not re.search(r"<script(?![^>]*\bsrc=)|\son\w+=", response.text)


@pytest.mark.parametrize("path", PAGES)
def test_a_page_finds_all_its_files(client: FlaskClient, path: str) -> None:
    page = client.get(path).text
    linked = re.findall(r'(?:src|href)="(/[^"]*)"', page)
    assert len(linked) >= 5
    for link in linked:
        with client.get(link) as response:
            assert (link, response.status_code) == (link, 200)


def test_the_root_leads_to_the_docs(client: FlaskClient) -> None:
    response = client.get("/")
    assert (response.status_code, response.headers["Location"]) == (302, "/docs")
