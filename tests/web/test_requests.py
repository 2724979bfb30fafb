"""Each request has an id, one access line and its place in the metrics; secrets stand in none of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from flask import Flask
from flask.testing import FlaskClient

from app.infra.logging import configure_logging, job_context
from config import load, settings
from tests.web.conftest import token_headers
from tests.web.endpoints import SENTINEL

Lines = pytest.CaptureFixture[str]


@pytest.fixture
def json_logs() -> Iterator[None]:
    """Logs as production writes them."""
    configure_logging(load(log_format="json"))
    yield
    configure_logging(settings())


def _lines(captured: Lines) -> list[dict[str, Any]]:
    return [json.loads(line) for line in captured.readouterr().err.splitlines()]


@pytest.mark.parametrize("path", ["/healthz", "/api/probe/chats/0", "/api/probe/defect", "/docs", "/nowhere"])
def test_every_answer_has_a_request_id(client: FlaskClient, path: str) -> None:
    first, second = (client.get(path).headers.getlist("X-Request-ID") for _ in range(2))
    assert len(first) == len(second) == 1
    assert first != second


@pytest.mark.parametrize("sent", ["abcd1234", "A.b_c-" * 10 + "1234"])
def test_a_good_request_id_of_the_client_is_kept(client: FlaskClient, sent: str) -> None:
    assert client.get("/nowhere", headers={"X-Request-ID": sent}).headers["X-Request-ID"] == sent


@pytest.mark.parametrize("sent", ["short", "x" * 65, "with space", "semi;colon", "bücher-1234", "a" * 8 + "\t"])
def test_another_request_id_is_replaced(client: FlaskClient, sent: str) -> None:
    answered = client.get("/nowhere", headers={"X-Request-ID": sent}).headers["X-Request-ID"]
    assert answered not in (sent, "")


@pytest.mark.usefixtures("json_logs")
def test_a_request_writes_one_access_line(
    client: FlaskClient, signed_in: dict[str, str], user_id: int, capsys: Lines
) -> None:
    response = client.get("/api/probe/mine", headers=signed_in)
    (line,) = _lines(capsys)
    assert line.pop("ms") >= 0
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "request",
        "level": "info",
        "method": "GET",
        "path": "/api/probe/mine",
        "status": 200,
        "user_id": user_id,
        "request_id": response.headers["X-Request-ID"],
    }


@pytest.mark.parametrize(("level", "written"), [("debug", 1), ("info", 1), ("warning", 0)])
def test_access_lines_are_written_from_their_level_on(
    client: FlaskClient, capsys: Lines, level: str, written: int
) -> None:
    configure_logging(load(log_format="json", log_level=level))
    try:
        client.get("/nowhere")
        assert len(_lines(capsys)) == written
    finally:
        configure_logging(settings())


@pytest.mark.usefixtures("json_logs")
def test_a_strange_path_cannot_write_lines_of_its_own(client: FlaskClient, capsys: Lines) -> None:
    client.get("/a%0A%7B%22event%22:%22forged%22%7D%1b[31m%ff" + "x" * 5000)
    (line,) = _lines(capsys)
    assert line["status"] == 404
    assert len(line["path"]) < 1000


@pytest.mark.usefixtures("json_logs")
def test_logs_of_libraries_go_the_same_way(capsys: Lines) -> None:
    import logging

    with job_context("messages.fan_out_unread", "job-1", "request-1"):
        logging.getLogger("some.library").warning("watch %s", "out")
        structlog.get_logger().warning("ours")
    theirs, ours = _lines(capsys)
    for line in (theirs, ours):
        assert (line["job"], line["job_id"], line["request_id"]) == ("messages.fan_out_unread", "job-1", "request-1")
        assert line["level"] == "warning"
    assert (theirs["event"], theirs["logger"]) == ("watch out", "some.library")


def test_the_ids_of_a_request_end_with_it(client: FlaskClient) -> None:
    client.get("/healthz")
    assert "request_id" not in structlog.contextvars.get_contextvars()


REQUESTS = (
    ("POST", "/api/auth/register", {"phone": "+15550109999", "password": SENTINEL, "first_name": "A", "username": "!"}),
    ("POST", "/api/auth/login", {"phone": "+15550109999", "password": SENTINEL}),
    ("POST", "/api/auth/verify", {"phone": "+15550109999", "code": SENTINEL}),
    ("POST", "/api/auth/refresh", {"refresh_token": SENTINEL}),
    ("POST", "/api/messages", {"chat_id": 1, "text": SENTINEL}),
    ("POST", "/api/messages", {"chat_id": SENTINEL, "text": SENTINEL, "other": SENTINEL}),
    ("POST", "/api/probe/echo", {"text": SENTINEL}),
    ("GET", f"/api/users?q={SENTINEL}", None),
    ("GET", f"/ws?token={SENTINEL}", None),
    ("GET", f"/nowhere?code={SENTINEL}", None),
)


@pytest.mark.parametrize("form", ["json", "console"])
def test_no_secret_and_no_text_is_ever_logged(edge_app: Flask, user_id: int, capsys: Lines, form: str) -> None:
    configure_logging(load(log_format=form, log_level="debug"))
    client = edge_app.test_client()
    headers = token_headers(edge_app)(user_id)
    for method, path, body in REQUESTS:
        answer = client.open(path, method=method, json=body, headers=headers)
        assert answer.status_code < 500
        client.open(path, method=method, json=body, headers={"Authorization": f"Bearer {SENTINEL}"})
    configure_logging(settings())
    logged = capsys.readouterr().err
    assert logged.count("/api/messages") == 4
    assert SENTINEL not in logged
    assert headers["Authorization"].removeprefix("Bearer ") not in logged


def _count(client: FlaskClient, series: str) -> float:
    found = [line for line in client.get("/metrics").text.splitlines() if line.startswith(series + " ")]
    return float(found[0].rpartition(" ")[2]) if found else 0.0


def test_requests_are_counted_by_template_and_not_by_path(client: FlaskClient) -> None:
    labels = '{method="GET",route="/api/probe/chats/<int:chat_id>",status="200"}'
    counted = _count(client, f"paperplane_http_requests_total{labels}")
    timed = _count(client, f"paperplane_http_request_duration_seconds_count{labels}")
    for chat_id in range(1, 4):
        client.get(f"/api/probe/chats/{chat_id}")
    assert _count(client, f"paperplane_http_requests_total{labels}") == counted + 3
    assert _count(client, f"paperplane_http_request_duration_seconds_count{labels}") == timed + 3


def test_what_clients_invent_makes_no_new_series(client: FlaskClient) -> None:
    client.open("/invented-path", method="INVENTED")
    page = client.get("/metrics").text
    assert "invented-path" not in page
    assert "INVENTED" not in page
    assert 'route="(unmatched)"' in page


def test_metrics_tell_the_version(client: FlaskClient) -> None:
    assert "paperplane_build_info{" in client.get("/metrics").text
