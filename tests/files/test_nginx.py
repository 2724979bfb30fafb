"""FILE_SERVING: nginx sends the files of a folder, or the API those of a bucket."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask

from app.files.answers import INTERNAL_PREFIX
from app.infra.storage.s3_connection import Server
from tests.files.places import key_of, make_ready, uploaded
from tests.people import Person, make_people
from tests.processes import Api, running_api

_NGINX = Path(__file__).parents[2] / "deploy" / "nginx.conf"
CONTENT = b"the content"


@pytest.fixture(scope="module")
def behind_nginx(_servers: None, data_dir: Path) -> Iterator[Api]:
    """An API that leaves the sending to nginx."""
    with running_api(data_dir, FILE_SERVING="nginx") as process:
        yield process


@pytest.fixture
def ada(app: Flask, behind_nginx: Api) -> Person:
    """Somebody who uses it."""
    return make_people(app, 1, behind_nginx.url)[0]


def test_nginx_is_told_where_the_file_lies_and_how_to_send_it(ada: Person, data_dir: Path) -> None:
    file_id = uploaded(ada, CONTENT, "page.html")["id"]
    make_ready(file_id)
    answer = ada.call("GET", f"/files/{file_id}", headers={"Range": "bytes=0-3"})
    place = answer.headers["X-Accel-Redirect"]
    assert place.startswith(INTERNAL_PREFIX)
    assert (data_dir / "uploads" / place.removeprefix(INTERNAL_PREFIX)).read_bytes() == CONTENT
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="page.html"'
    # Of nginx too: it has an ETag of its own, and both must name the same.
    assert ada.call("HEAD", f"/files/{file_id}").headers["X-Accel-Redirect"] == place


def test_who_may_not_have_it_is_refused_before_nginx_hears_of_it(app: Flask, ada: Person) -> None:
    (eve,) = make_people(app, 1, ada.url)
    refused = eve.call("GET", f"/files/{uploaded(ada, CONTENT)['id']}")
    assert refused.status_code == 404
    assert "X-Accel-Redirect" not in refused.headers


def test_the_file_of_nginx_has_the_place_for_nobody_else_and_passes_our_headers_on() -> None:
    text = _NGINX.read_text()
    location = re.search(rf"location {INTERNAL_PREFIX} {{(.*?)\n        }}", text, re.DOTALL)
    assert location is not None
    assert "internal;" in location[1]
    # nginx keeps the type, the disposition and the caching of the API's answer, and drops these.
    for header in ("Content-Security-Policy", "X-Content-Type-Options", "Cross-Origin-Resource-Policy"):
        variable = "$upstream_http_" + header.lower().replace("-", "_")
        assert f"add_header {header} {variable} always;" in location[1]


def test_with_stream_the_api_sends_the_files_of_a_bucket_itself(app: Flask, data_dir: Path, s3_server: Server) -> None:
    environment = {
        "S3_BUCKET": s3_server.bucket,
        "S3_ENDPOINT_URL": str(s3_server.endpoint),
        "S3_ACCESS_KEY": str(s3_server.access_key),
        "S3_SECRET_KEY": str(s3_server.secret_key),
        "FILE_SERVING": "stream",
    }
    with running_api(data_dir, **environment) as api:
        (bob,) = make_people(app, 1, api.url)
        file_id = uploaded(bob, CONTENT)["id"]
        whole = bob.call("GET", f"/files/{file_id}", allow_redirects=False)
        part = bob.call("GET", f"/files/{file_id}", headers={"Range": "bytes=4-6"}, allow_redirects=False)
    assert (whole.status_code, whole.content) == (200, CONTENT)
    assert (part.status_code, part.content, part.headers["Content-Range"]) == (206, b"con", "bytes 4-6/11")
    assert key_of(file_id) not in str(whole.headers)
