"""Every error is problem+json, names a documented code and gives nothing away."""

from __future__ import annotations

import re
import socket
from pathlib import Path
from types import SimpleNamespace

import pytest
from flask import Flask
from flask.testing import FlaskClient
from gunicorn.http import errors as gunicorn_errors

from app.errors import AppError, RateLimited, Unavailable
from app.web.errors import error_kinds, unexpected
from app.web.server import ApiWorker
from tests.web.endpoints import SENTINEL

ERRORS_PAGE = Path(__file__).parents[2] / "docs" / "errors.md"


def test_an_error_is_a_problem_as_rfc_9457_has_it(client: FlaskClient) -> None:
    response = client.get("/api/probe/conflict", headers={"X-Request-ID": "known-id-1"})
    assert response.status_code == 409
    assert response.content_type == "application/problem+json"
    assert response.json == {
        "type": "/docs/errors#conflict",
        "title": "Conflict",
        "status": 409,
        "detail": "Not now.",
        "code": "conflict",
        "request_id": "known-id-1",
        "errors": [{"field": "text", "message": "not now"}],
    }


def test_a_method_that_a_path_does_not_answer_is_405_with_allow(client: FlaskClient) -> None:
    response = client.post("/api/probe/search")
    assert response.status_code == 405
    assert set(response.headers["Allow"].split(", ")) == {"GET", "HEAD", "OPTIONS"}
    assert response.json is not None
    assert response.json["code"] == "method_not_allowed"


@pytest.mark.parametrize("host", ["example.org", "a" * 300, "b\u00fccher.example", "a b", ""])
def test_what_a_request_finds_does_not_depend_on_its_host(client: FlaskClient, host: str) -> None:
    assert client.get("/healthz", headers={"Host": host}).status_code == 200
    assert client.get("/nowhere", headers={"Host": host}).status_code == 404


def test_no_route_is_found_by_a_redirect_which_would_name_a_host(app: Flask, client: FlaskClient) -> None:
    # Only rules that end in a slash have one, and the only such path that can lack it is the empty one.
    assert [rule.rule for rule in app.url_map.iter_rules() if rule.rule.endswith("/")] == ["/"]
    answers = [client.get("/", environ_overrides={"PATH_INFO": path}) for path in ("", "/")]
    assert answers[0].headers["Location"] == answers[1].headers["Location"] == "/docs"


@pytest.mark.parametrize("method", ["BREW", "TRACE", "PROPFIND"])
def test_an_unknown_method_is_405(client: FlaskClient, method: str) -> None:
    assert client.open("/api/probe/search", method=method).status_code == 405


def test_options_tells_the_methods(client: FlaskClient) -> None:
    response = client.options("/api/probe/search")
    assert response.status_code == 200
    assert "GET" in response.headers["Allow"]


@pytest.mark.parametrize("path", ["/api/probe/defect", "/api/probe/statement"])
@pytest.mark.parametrize("debugging", [False, True])
def test_a_defect_is_500_and_tells_nothing(
    edge_app: Flask, monkeypatch: pytest.MonkeyPatch, path: str, debugging: bool
) -> None:
    monkeypatch.setitem(edge_app.config, "DEBUG", debugging)
    monkeypatch.setitem(edge_app.config, "TESTING", debugging)
    response = edge_app.test_client().get(path)
    assert response.status_code == 500
    assert response.json is not None
    assert response.json["code"] == "internal_error"
    assert not re.search(r"Traceback|RuntimeError|first line|SELECT|psycopg2|division", response.text)


@pytest.mark.parametrize("path", ["/api/probe/defect", "/api/probe/statement"])
def test_a_defect_is_logged_with_its_stack_but_without_values(
    client: FlaskClient, capsys: pytest.CaptureFixture[str], path: str
) -> None:
    request_id = client.get(path).headers["X-Request-ID"]
    logged = capsys.readouterr().err
    assert "Traceback" in logged
    assert "endpoints.py" in logged
    assert request_id in logged
    assert SENTINEL not in logged


@pytest.mark.parametrize(("error", "status"), [(Unavailable(retry_after=3), 503), (RateLimited(retry_after=3), 429)])
def test_what_can_be_waited_for_says_how_long(error: AppError, status: int) -> None:
    response = unexpected(error)
    assert (response.status_code, response.headers["Retry-After"]) == (status, "3")


def test_401_says_how_to_sign_in(client: FlaskClient) -> None:
    response = client.get("/api/probe/mine")
    assert (response.status_code, response.headers["WWW-Authenticate"]) == (401, "Bearer")


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer  ", "Basic YTpi", "Bearer a.b.c", "Bearer " + "x" * 10_000, "Bearer \xff"]
)
def test_a_token_that_is_none_is_401(client: FlaskClient, header: str) -> None:
    response = client.get("/api/probe/mine", headers={"Authorization": header})
    assert response.status_code == 401
    assert response.json is not None
    assert response.json["code"] == "unauthenticated"


def test_an_error_outside_of_flask_is_told_the_same_way(
    edge_app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError(SENTINEL)

    monkeypatch.setattr(edge_app, "create_url_adapter", broken)
    response = client.get("/api/probe/search")
    assert (response.status_code, response.content_type) == (500, "application/problem+json")
    assert response.headers["X-Request-ID"]
    assert SENTINEL not in response.text


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (gunicorn_errors.InvalidRequestLine(SENTINEL), 400),
        (gunicorn_errors.LimitRequestLine(9999, 8190), 414),
        (gunicorn_errors.LimitRequestHeaders(SENTINEL), 431),
        (gunicorn_errors.ExpectationFailed(SENTINEL), 417),
        (ValueError("outside"), 500),
    ],
)
def test_what_the_server_cannot_read_is_answered_and_logged_alike(
    capsys: pytest.CaptureFixture[str], error: Exception, status: int
) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ApiWorker.__new__(ApiWorker).handle_error(None, theirs, ("127.0.0.1", 1), error)
        head, _, body = ours.recv(65536).partition(b"\r\n\r\n")
    assert head.startswith(f"HTTP/1.1 {status} ".encode())
    assert b"Content-Type: application/problem+json" in head
    assert b"X-Request-ID: " in head
    assert b'"code":' in body
    assert SENTINEL.encode() not in body
    assert SENTINEL not in capsys.readouterr().err


def test_nothing_is_written_into_the_stream_of_a_socket() -> None:
    ours, theirs = socket.socketpair()
    with ours:
        with theirs:
            request = SimpleNamespace(headers=[("UPGRADE", "WebSocket")])
            ApiWorker.__new__(ApiWorker).handle_error(request, theirs, ("127.0.0.1", 1), ValueError("outside"))
        assert ours.recv(65536) == b""


def test_every_code_has_one_class_and_one_row_in_the_docs() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (\d+) \|", ERRORS_PAGE.read_text(), re.MULTILINE)
    assert rows == [(kind.code, str(kind.status)) for kind in error_kinds()]


def test_every_class_of_errors_has_a_code_of_its_own() -> None:
    kinds = [AppError]
    for kind in kinds:
        kinds += [child for child in kind.__subclasses__() if child.__module__ == "app.errors"]
    codes = [kind.code for kind in kinds]
    assert len(codes) == len(set(codes))


def test_the_page_of_errors_has_an_anchor_for_each_code(client: FlaskClient) -> None:
    page = client.get("/docs/errors").text
    assert [kind.code for kind in error_kinds() if f'id="{kind.code}"' not in page] == []
