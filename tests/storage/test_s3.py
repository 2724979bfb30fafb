"""What is only true of a bucket: links and forms that clients use, and a server that fails."""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests

from app.errors import Unavailable
from app.infra.storage import NoSuchObject, Storage, UploadForm, new_key
from app.infra.storage.s3 import S3Storage
from tests.processes import eventually
from tests.storage.breaking import breaking_once
from tests.storage.conftest import opened
from tests.storage.places import Place, content, cut, whole
from tests.unique import free_port

_CALLS: dict[str, Callable[[Storage, str], object]] = {
    "store": lambda kept, key: kept.store(key, [b"x"], "text/plain"),
    "store in parts": lambda kept, key: kept.store(key, [content(17 << 20)], "text/plain"),
    "read": lambda kept, key: kept.read(key),
    "size": lambda kept, key: kept.size(key),
    "delete": lambda kept, key: kept.delete([key]),
    "keys": lambda kept, key: kept.keys(key),
    "begin_upload": lambda kept, key: kept.begin_upload(key),
}


@pytest.fixture
def kept(bucket: Place) -> Storage:
    """The storage on the bucket."""
    return opened(bucket)


def test_a_link_gives_the_bytes_with_the_type_and_name_that_were_asked_for(kept: Storage) -> None:
    key = new_key()
    kept.store(key, [b"<script>"], "text/html")
    disposition = "attachment; filename*=UTF-8''%D0%BF%D1%80%D0%B8%D0%B2%D0%B5%D1%82.txt"
    link = kept.download_link(key, "application/octet-stream", disposition, 60)
    assert link is not None
    answer = requests.get(link, timeout=20)
    assert (answer.status_code, answer.content) == (200, b"<script>")
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert answer.headers["Content-Disposition"] == disposition
    part = requests.get(link, headers={"Range": "bytes=1-3"}, timeout=20)
    assert (part.status_code, part.content) == (206, b"scr")


def test_a_link_is_good_for_nothing_else(kept: Storage) -> None:
    key, other = new_key(), new_key()
    for name in (key, other):
        kept.store(name, [b"x"], "text/html")
    link = kept.download_link(key, "application/octet-stream", "attachment", 60)
    assert link is not None
    forged = [link.replace(key, other), link.replace("octet-stream", "html"), link.replace("Expires=60", "Expires=600")]
    assert len({link, *forged}) == 4
    assert [requests.get(each, timeout=20).status_code for each in (link, *forged)] == [200, 403, 403, 403]
    assert requests.put(link, data=b"y", timeout=20).status_code == 403
    assert requests.get(link.split("?")[0], timeout=20).status_code == 403


def test_a_link_ends(kept: Storage) -> None:
    key = new_key()
    kept.store(key, [b"x"], "text/plain")
    link = kept.download_link(key, "text/plain", "inline", 1)
    assert link is not None
    eventually(lambda: requests.get(link, timeout=20).status_code == 403, message="the link is still good")


def test_links_name_the_address_that_clients_know(bucket: Place) -> None:
    assert bucket.server is not None
    known = replace(bucket.server, public_endpoint="https://files.example.org")
    kept, key = S3Storage(known, bucket.folder), new_key()
    kept.store(key, [b"x"], "text/plain")
    link, form = kept.download_link(key, "text/plain", "inline", 60), kept.upload_form(key, "text/plain", 10, 60)
    assert link is not None
    assert form is not None
    assert link.startswith(f"https://files.example.org/files/files/{key}?")
    assert form.url == "https://files.example.org/files"


def test_a_bucket_may_stand_in_the_name_of_the_host(bucket: Place) -> None:
    assert bucket.server is not None
    kept = S3Storage(replace(bucket.server, endpoint=None, addressing="virtual", region="eu-central-1"), bucket.folder)
    link = kept.download_link(new_key(), "text/plain", "inline", 60)
    assert link is not None
    assert link.startswith("https://files.s3.eu-central-1.amazonaws.com/files/")


def test_what_is_posted_becomes_an_object_when_it_is_accepted(kept: Storage) -> None:
    key, target = new_key(), new_key()
    form = _form(kept, key, 10)
    with pytest.raises(NoSuchObject):
        kept.accept_posted(key, target)
    assert _post(form, b"ten bytes!") < 300
    for unknown in (key, target):
        with pytest.raises(NoSuchObject):
            kept.size(unknown)
    assert kept.accept_posted(key, target) == 10
    assert whole(kept, target) == b"ten bytes!"


def test_posting_again_does_not_change_what_was_accepted_and_goes_with_the_key(kept: Storage) -> None:
    key, target = new_key(), new_key()
    form = _form(kept, key, 10)
    assert _post(form, b"looked at") < 300
    kept.accept_posted(key, target)
    kept.delete([key])
    assert _post(form, b"malicious") < 300
    assert whole(kept, target) == b"looked at"
    kept.delete([key])
    with pytest.raises(NoSuchObject):
        kept.accept_posted(key, new_key())
    assert whole(kept, target) == b"looked at"


def test_a_form_takes_no_more_bytes_and_nothing_else(kept: Storage) -> None:
    key = new_key()
    form = _form(kept, key, 10)
    assert _post(form, b"eleven byte") == 400
    for changed in ({"Content-Type": "text/html"}, {"key": f"files/{new_key()}"}, {"key": f"posted/{new_key()}"}):
        assert _post(UploadForm(form.url, form.fields | changed), b"x") == 403
    assert _post(UploadForm(form.url, {"key": form.fields["key"]}), b"x") in (400, 403)
    with pytest.raises(NoSuchObject):
        kept.accept_posted(key, new_key())


def test_what_was_posted_is_left_over_after_a_time_of_its_own(kept: Storage) -> None:
    key, upload = new_key(), kept.begin_upload(new_key())
    assert _post(_form(kept, key, 10), b"left") < 300
    hour, now = timedelta(hours=1), datetime.now(UTC)
    kept.remove_leftovers(now - hour, now - hour)
    assert kept.accept_posted(key, new_key()) == 4
    assert kept.remove_leftovers(now - hour, now + hour) > 0
    with pytest.raises(NoSuchObject):
        kept.accept_posted(key, new_key())
    assert kept.length(upload) == 0


def test_a_form_ends(kept: Storage) -> None:
    form = kept.upload_form(new_key(), "image/png", 10, 1)
    assert form is not None
    eventually(lambda: _post(form, b"x") == 403, message="the form is still good")


@pytest.mark.parametrize("call", _CALLS)
def test_a_server_that_is_not_there_is_unavailable(bucket: Place, call: str) -> None:
    with pytest.raises(Unavailable):
        _CALLS[call](_elsewhere(bucket, free_port()), new_key())


@pytest.mark.parametrize("call", _CALLS)
def test_a_server_that_does_not_answer_is_unavailable(bucket: Place, call: str) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(64)
        with pytest.raises(Unavailable):
            _CALLS[call](_elsewhere(bucket, silent.getsockname()[1]), new_key())


@pytest.mark.parametrize("call", ["store", "store in parts", "read", "delete", "keys", "begin_upload"])
def test_a_server_that_refuses_us_is_unavailable(bucket: Place, call: str) -> None:
    assert bucket.server is not None
    kept = S3Storage(replace(bucket.server, secret_key="another"), bucket.folder)
    with pytest.raises(Unavailable):
        _CALLS[call](kept, new_key())


@pytest.mark.parametrize("size", [200_000, 17 << 20])
def test_a_request_that_broke_in_its_middle_is_sent_again_whole(bucket: Place, size: int) -> None:
    assert bucket.server is not None
    with breaking_once(bucket.server.endpoint or "") as address:
        kept, key, data = S3Storage(replace(bucket.server, endpoint=address), bucket.folder), new_key(), content(size)
        kept.store(key, cut(data), "text/plain")
        assert whole(kept, key) == data


def test_requests_carry_no_checksums_that_older_servers_refuse(bucket: Place) -> None:
    def note(request: Any, **_: object) -> None:
        sent.append((request.method, {name.lower() for name in request.headers}))

    kept = bucket.open()
    assert isinstance(kept, S3Storage)
    sent: list[tuple[str, set[str]]] = []
    kept._connection.client.meta.events.register("before-send.s3", note)
    upload = kept.begin_upload(new_key())
    kept.append(upload, 0, cut(content(6 << 20)))
    kept.finish_upload(upload)
    kept.store(new_key(), [b"x"], "text/plain")
    kept.delete([upload.key])
    unknown = {name for _, names in sent for name in names if "checksum" in name or "trailer" in name}
    assert unknown == set()
    # A list of deletions must have one; this is the one that all know.
    assert "content-md5" in sent[-1][1]


def _elsewhere(bucket: Place, port: int) -> Storage:
    assert bucket.server is not None
    server = replace(bucket.server, endpoint=f"http://127.0.0.1:{port}", read_timeout=0.2, attempts=1)
    return S3Storage(server, bucket.folder)


def _form(kept: Storage, key: str, largest: int) -> UploadForm:
    form = kept.upload_form(key, "image/png", largest, 60)
    assert form is not None
    return form


def _post(form: UploadForm, data: bytes) -> int:
    answer = requests.post(form.url, data=form.fields, files={"file": ("../name.png", data)}, timeout=20)
    return answer.status_code
