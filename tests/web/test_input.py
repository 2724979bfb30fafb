"""Whatever clients send is either understood or refused with 4xx and problem+json."""

from __future__ import annotations

import io

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import EnvironBuilder, run_wsgi_app

from config import settings

JSON = "application/json"
NESTED = b"[" * 10_000 + b"]" * 10_000
MANY = b'{"text":"a","tags":[' + b"1," * 50_000 + b"1]}"

BODIES = {
    "an escaped NUL": (b'{"text":"a\\u0000"}', 422),
    "a raw NUL": (b'{"text":"a\x00"}', 400),
    "a lone surrogate at the end": (b'{"text":"\\ud800"}', 422),
    "a lone surrogate in the midst": (b'{"text":"\\udc00x"}', 422),
    "a lone surrogate as a name": (b'{"\\ud800":1}', 422),
    "nothing but nesting": (NESTED, 400),
    "nesting in a field": (b'{"text":' + NESTED + b"}", 400),
    "nesting in an unknown field": (b'{"text":"a","x":' + NESTED + b"}", 400),
    "an integer of 5,000 digits": (b'{"text":"a","number":' + b"9" * 5000 + b"}", 400),
    "an integer over 2^53": (b'{"text":"a","number":9007199254740992}', 422),
    "an infinite number": (b'{"text":"a","number":1e400}', 422),
    "a fraction for an integer": (b'{"text":"a","number":1.0}', 422),
    "true for an integer": (b'{"text":"a","number":true}', 422),
    "NaN": (b'{"text":"a","number":NaN}', 422),
    "Latin-1": (b'{"text":"\xe9"}', 400),
    "Latin-1 in an unknown field": (b'{"text":"a","x":"\xff"}', 400),
    "UTF-16": ('{"text":"a"}'.encode("utf-16"), 400),
    "an unknown field": (b'{"text":"a","txet":"a"}', 422),
    "a list": (b"[]", 422),
    "null": (b"null", 422),
    "nothing": (b"", 422),
    "a missing field": (b"{}", 422),
    "two documents": (b'{"text":"a"} {}', 400),
    "fifty thousand wrong items": (MANY, 422),
    "a name of a megabyte": (b'{"text":"a","' + b"x" * 900_000 + b'":1}', 422),
    "more than the limit": (b'{"text":"' + b"a" * 2_000_000 + b'"}', 413),
}


@pytest.mark.parametrize(("body", "status"), BODIES.values(), ids=BODIES.keys())
def test_a_bad_body_is_refused_with_a_small_problem(client: FlaskClient, body: bytes, status: int) -> None:
    response = client.post("/api/probe/echo", data=body, content_type=JSON)
    assert (response.status_code, response.content_type) == (status, "application/problem+json")
    assert len(response.data) < 2000


def test_text_is_kept_as_sent(client: FlaskClient) -> None:
    sent = "  e\u0301 \U0001f600 \u202e\r\n\t<b> "
    assert client.post("/api/probe/echo", json={"text": sent}).json == {"text": sent}


def test_the_last_of_two_equal_names_counts(client: FlaskClient) -> None:
    response = client.post("/api/probe/echo", data=b'{"text":"a","text":"b"}', content_type=JSON)
    assert response.json == {"text": "b"}


@pytest.mark.parametrize(
    "content_type", [None, "text/plain", "application/x-www-form-urlencoded", "multipart/form-data"]
)
def test_another_type_of_body_is_415(client: FlaskClient, content_type: str | None) -> None:
    response = client.post("/api/probe/echo", data=b'{"text":"a"}', content_type=content_type)
    assert response.status_code == 415
    assert response.json is not None
    assert response.json["code"] == "unsupported_media_type"


def test_a_compressed_body_is_415(client: FlaskClient) -> None:
    headers = {"Content-Encoding": "gzip"}
    response = client.post("/api/probe/echo", data=b'{"text":"a"}', content_type=JSON, headers=headers)
    assert response.status_code == 415


class _BrokenStream(io.RawIOBase):
    """A connection that dies, with an error of the server's own kind."""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        raise RuntimeError("invalid chunk")


def _chunked(app: Flask, stream: io.IOBase) -> str:
    environ = EnvironBuilder(path="/api/probe/echo", method="POST", content_type=JSON).get_environ()
    environ.pop("CONTENT_LENGTH", None)
    environ |= {"wsgi.input": stream, "wsgi.input_terminated": True, "HTTP_TRANSFER_ENCODING": "chunked"}
    return run_wsgi_app(app, environ)[1]


def test_a_chunked_body_over_the_limit_is_413(edge_app: Flask) -> None:
    # All of it would be good JSON, and so would be its first part: only the length tells.
    body = b'{"text":"a"}' + b" " * (int(settings().max_body_size) + 10)
    assert _chunked(edge_app, io.BytesIO(body)).startswith("413")


def test_a_chunked_body_within_the_limit_is_read(edge_app: Flask) -> None:
    assert _chunked(edge_app, io.BytesIO(b'{"text":"a"}')).startswith("201")


def test_a_body_that_cannot_be_read_is_400(edge_app: Flask) -> None:
    assert _chunked(edge_app, _BrokenStream()).startswith("400")


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=101",
        "limit=abc",
        "limit=" + "9" * 5000,
        "limit=%D9%A5",
        "lmit=5",
        "q=%00",
        "q=a&q=b",
        "%00=1",
        "=",
        "unread=perhaps",
        "&".join(["a=1"] * 5000),
    ],
)
def test_a_bad_query_is_422(client: FlaskClient, query: str) -> None:
    response = client.get(f"/api/probe/search?{query}")
    assert (response.status_code, response.content_type) == (422, "application/problem+json")


def test_a_query_is_read_as_numbers_and_booleans(client: FlaskClient) -> None:
    assert client.get("/api/probe/search?limit=7&unread=true&q=x").json == {"text": "7 True x"}
    assert client.get("/api/probe/search").json == {"text": "50 False None"}


IDS = {
    "1": 200,
    "9007199254740991": 200,
    "9007199254740992": 404,
    "99999999999999999999999": 404,
    "9" * 5000: 404,
    "0": 404,
    "01": 404,
    "-1": 404,
    "1.0": 404,
    "٣": 404,
    "%zz": 404,
    "%ff": 404,
    "%00": 404,
    "1/": 404,
}


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(("chat_id", "status"), IDS.items(), ids=[name[:30] for name in IDS])
def test_a_path_holds_an_id_or_is_unknown(client: FlaskClient, method: str, chat_id: str, status: int) -> None:
    assert client.open(f"/api/probe/chats/{chat_id}", method=method).status_code == status


@pytest.mark.parametrize(
    "path", ["/%ff%zz", "//api//probe//chats//1", "/docs/static/%00", "/docs/static/../../input.py"]
)
def test_a_strange_path_is_404(client: FlaskClient, path: str) -> None:
    response = client.get(path)
    assert (response.status_code, response.content_type) == (404, "application/problem+json")
