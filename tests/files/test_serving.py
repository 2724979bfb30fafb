"""The bytes of a file: whole, in parts, as they are known already, under a safe type and a right name."""

from __future__ import annotations

import re
import socket
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
import requests

from tests.files.conftest import Making
from tests.files.places import Place, add_object, make_ready, show, uploaded
from tests.people import Person, connections
from tests.processes import eventually, running_api

CONTENT = bytes(range(256)) * 2000
SAFE = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "sandbox; default-src 'none'",
    "Cross-Origin-Resource-Policy": "cross-origin",
    "Cache-Control": "private, no-cache",
    "Accept-Ranges": "bytes",
}


def fetch(person: Person, file_id: str, method: str = "GET", query: str = "", **headers: str) -> requests.Response:
    """Asks for a file, following a redirect to the storage without the token."""
    answer = person.call(method, f"/files/{file_id}{query}", headers=headers, allow_redirects=False)
    if answer.status_code == 302:
        return connections().get(answer.headers["Location"], headers=headers, timeout=20)
    return answer


@pytest.fixture
def ada(persons: Making) -> Person:
    """Somebody."""
    return persons(1)[0]


@pytest.fixture
def hers(people: Making) -> Person:
    """Somebody whose files are in a folder."""
    return people(1)[0]


def ready(person: Person, content: bytes = CONTENT, name: str = "a.bin", mime: str = "application/zip") -> str:
    file_id: str = uploaded(person, content, name)["id"]
    make_ready(file_id, mime, mime.split("/")[0] if mime.split("/")[0] in ("image", "video", "audio") else "file")
    return file_id


def test_the_owner_gets_the_same_bytes_under_its_type_and_name(ada: Person) -> None:
    answer = fetch(ada, ready(ada, name="archive.zip"))
    assert answer.content == CONTENT
    assert answer.headers["Content-Type"] == "application/zip"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="archive.zip"'


@pytest.mark.parametrize(
    ("asked", "part"),
    [
        ("bytes=0-0", (0, 1)),
        ("bytes=0-99", (0, 100)),
        ("bytes=1000-", (1000, None)),
        ("bytes=-5", (-5, None)),
        ("bytes=511999-600000", (511_999, None)),
        ("bytes=-99999999", (0, None)),
    ],
)
def test_a_part_is_given_as_asked_for(ada: Person, asked: str, part: tuple[int, int | None]) -> None:
    answer = fetch(ada, ready(ada), Range=asked)
    assert answer.status_code == 206
    assert answer.content == CONTENT[part[0] : part[1]]
    start = part[0] % len(CONTENT)
    assert answer.headers["Content-Range"] == f"bytes {start}-{start + len(answer.content) - 1}/{len(CONTENT)}"


@pytest.mark.parametrize("asked", ["bytes=512000-", "bytes=999999999-", "bytes=-0"])
def test_a_part_outside_of_the_file_is_a_416_with_its_size(hers: Person, asked: str) -> None:
    answer = fetch(hers, ready(hers), Range=asked)
    assert (answer.status_code, answer.json()["code"]) == (416, "range_not_satisfiable")
    assert answer.headers["Content-Range"] == f"bytes */{len(CONTENT)}"


@pytest.mark.parametrize(
    "asked", ["bytes=5-2", "bytes=", "bytes=-", "bytes=a-b", "lines=0-5", "bytes=0-1,5-6", "0-5", "bytes=1" * 99]
)
def test_what_is_no_range_or_several_is_answered_whole(hers: Person, asked: str) -> None:
    answer = fetch(hers, ready(hers), Range=asked)
    assert (answer.status_code, answer.content) == (200, CONTENT)


def test_what_the_client_holds_is_not_sent_again(hers: Person) -> None:
    file_id = ready(hers)
    first = fetch(hers, file_id)
    tag = first.headers["ETag"]
    assert re.fullmatch(r'"[0-9a-f]+"', tag)
    for known in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        answer = fetch(hers, file_id, **{"If-None-Match": known, "Range": "bytes=0-5"})
        assert (answer.status_code, answer.content, answer.headers["ETag"]) == (304, b"", tag)
    assert fetch(hers, file_id, **{"If-None-Match": '"other"'}).status_code == 200
    assert fetch(hers, ready(hers)).headers["ETag"] != tag


def test_a_part_is_only_given_of_what_the_client_began_with(hers: Person) -> None:
    file_id = ready(hers)
    tag = fetch(hers, file_id).headers["ETag"]
    assert fetch(hers, file_id, **{"If-Range": tag, "Range": "bytes=0-5"}).status_code == 206
    for other in ('"other"', f"W/{tag}", "Sat, 28 Nov 2026 00:00:00 GMT"):
        answer = fetch(hers, file_id, **{"If-Range": other, "Range": "bytes=0-5"})
        assert (answer.status_code, answer.content) == (200, CONTENT)


def test_head_says_what_get_would_without_the_bytes(ada: Person) -> None:
    file_id = ready(ada)
    answer = fetch(ada, file_id, "HEAD", Range="bytes=0-5")
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["Content-Length"] == str(len(CONTENT))
    assert answer.headers["Content-Type"] == "application/zip"
    assert SAFE.items() <= answer.headers.items()


def test_every_answer_of_ours_is_kept_from_running_anything(hers: Person) -> None:
    file_id = ready(hers, b"<script>alert(1)</script>", "page.html", "text/plain")
    for asked in ({}, {"Range": "bytes=0-3"}):
        answer = fetch(hers, file_id, **asked)
        assert SAFE.items() <= answer.headers.items()
        assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
        assert answer.headers["Content-Disposition"] == 'attachment; filename="page.html"'


@pytest.mark.parametrize(
    ("mime", "kind"),
    [
        ("image/png", "inline"),
        ("image/avif", "inline"),
        ("video/mp4", "inline"),
        ("audio/ogg", "inline"),
        ("image/heic", "attachment"),
        ("image/svg+xml", "attachment"),
        ("text/html", "attachment"),
        ("text/plain", "attachment"),
        ("application/pdf", "attachment"),
        ("application/octet-stream", "attachment"),
    ],
)
def test_only_what_runs_nothing_is_shown_in_place(ada: Person, mime: str, kind: str) -> None:
    file_id = ready(ada, name="a.bin", mime=mime)
    assert fetch(ada, file_id).headers["Content-Disposition"] == f'{kind}; filename="a.bin"'
    saved = fetch(ada, file_id, query="?download=1")
    assert saved.headers["Content-Disposition"] == 'attachment; filename="a.bin"'


HOSTILE_NAMES = {
    "../../etc/passwd": "passwd",
    "..\\..\\boot.ini": "boot.ini",
    "/": "file",
    "..": "file",
    "...": "file",
    "": "file",
    "  ": "file",
    "a\tb.txt": "ab.txt",
    "a\x7fb\x01.txt": "ab.txt",
    "photo_\u202egpj.exe": "photo_gpj.exe",
    "\u2066hidden\u2069.txt": "hidden.txt",
    'quo"te.txt': 'quo"te.txt',
    "semi;colon=1.txt": "semi;colon=1.txt",
    "50%.txt": "50%.txt",
    "写真.png": "写真.png",
    "Grüße 👋🏽.txt": "Grüße 👋🏽.txt",
    "مرحبا.txt": "مرحبا.txt",
    "x" * 300 + ".jpeg": "x" * 250 + ".jpeg",
    "写" * 300 + ".jpeg": "写" * 83 + ".jpeg",
    "\ufdfa" * 255: "\ufdfa" * 85,
    "a\uff0f..\uff0fb.txt": "a\uff0f..\uff0fb.txt",
    "<img src=x onerror=alert(1)>.png": "<img src=x onerror=alert(1)>.png",
}


def saved_name(header: str) -> str:
    """The name that a browser saves under: that of filename* where there is one (RFC 6266)."""
    extended = re.search(r"filename\*=UTF-8''([^;]+)$", header)
    if extended:
        return unquote(extended[1], errors="strict")
    plain = re.search(r'filename="([^"\\]*)"$', header)
    assert plain, header
    return plain[1]


@pytest.mark.parametrize("given", HOSTILE_NAMES)
def test_a_name_is_kept_without_what_deceives_and_told_in_any_script(hers: Person, given: str) -> None:
    boundary = "x" * 20
    escaped = given.replace("\\", "\\\\").replace('"', '\\"')
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{escaped}"\r\n\r\n'
    body = head.encode() + b"content\r\n--" + boundary.encode() + b"--\r\n"
    headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
    answer = hers.call("POST", "/files/upload", data=body, headers=headers)
    assert answer.status_code == 201, answer.text
    file: dict[str, Any] = answer.json()
    assert file["name"] == HOSTILE_NAMES[given]
    header = fetch(hers, file["id"]).headers["Content-Disposition"]
    assert header.isascii()
    assert header.isprintable()
    # Old clients read the plain name as a path; and nginx gives all headers of an answer 4 KiB.
    assert "/" not in header
    assert len(header) < 1100
    assert saved_name(header) == HOSTILE_NAMES[given]


def test_while_it_is_looked_at_or_when_it_failed_a_file_is_only_saved_and_only_by_its_owner(
    place: Place, persons: Making
) -> None:
    ada, bob = persons(2)
    file_id = uploaded(ada, CONTENT, "a.png")["id"]
    show(file_id, ada.group(bob), ada.id)
    for status in ("processing", "failed"):
        make_ready(file_id, "image/png", "image", status)
        own = fetch(ada, file_id)
        assert own.content == CONTENT
        assert own.headers["Content-Type"] == "application/octet-stream"
        assert own.headers["Content-Disposition"].startswith("attachment")
        theirs = fetch(bob, file_id)
        assert (theirs.status_code, theirs.json()["code"]) == (409, "file_unavailable")
    make_ready(file_id, "image/png", "image")
    assert fetch(bob, file_id).content == CONTENT


def test_others_get_the_copy_without_metadata_and_the_owner_the_original(place: Place, persons: Making) -> None:
    ada, bob = persons(2)
    file_id = ready(ada, name="IMG_1.HEIC", mime="image/heic")
    show(file_id, ada.group(bob), ada.id)
    add_object(place, file_id, "shared", b"clean", "image/jpeg")
    own, theirs = fetch(ada, file_id), fetch(bob, file_id)
    assert (own.content, own.headers["Content-Type"]) == (CONTENT, "image/heic")
    assert (theirs.content, theirs.headers["Content-Type"]) == (b"clean", "image/jpeg")
    assert theirs.headers["Content-Disposition"] == 'inline; filename="IMG_1.jpg"'
    assert ada.get(f"/files/{file_id}/info")["mime_type"] == "image/heic"
    assert bob.get(f"/files/{file_id}/info")["mime_type"] == "image/jpeg"


def test_a_thumbnail_is_given_by_its_name_and_one_that_is_not_there_is_unknown(place: Place, persons: Making) -> None:
    (ada,) = persons(1)
    file_id = ready(ada, name="a.png", mime="image/png")
    add_object(place, file_id, "small", b"small picture", "image/webp")
    answer = fetch(ada, file_id, query="?thumbnail=small")
    assert (answer.content, answer.headers["Content-Type"]) == (b"small picture", "image/webp")
    assert answer.headers["Content-Disposition"] == 'inline; filename="a.webp"'
    assert fetch(ada, file_id, query="?thumbnail=large").status_code == 404
    assert fetch(ada, file_id, query="?thumbnail=shared").status_code == 422
    (thumbnail,) = ada.get(f"/files/{file_id}/info")["thumbnails"]
    assert (thumbnail["name"], thumbnail["width"], thumbnail["height"]) == ("small", 10, 20)


def test_a_link_to_the_storage_carries_the_safe_type_and_name_and_is_not_kept(bucket: Place, app: Any) -> None:
    from tests.people import make_people

    (ada,) = make_people(app, 1, bucket.api.url)
    file_id = ready(ada, b"<script>", "page.html", "text/plain")
    answer = ada.call("GET", f"/files/{file_id}", allow_redirects=False)
    assert (answer.status_code, answer.headers["Cache-Control"]) == (302, "no-store")
    served = requests.get(answer.headers["Location"], timeout=20)
    assert served.content == b"<script>"
    assert served.headers["Content-Disposition"] == 'attachment; filename="page.html"'


def test_a_client_that_takes_nothing_is_not_waited_for_without_end(hers: Person, data_dir: Path) -> None:
    content = bytes(30_000_000)  # More than all buffers on the way.
    path = f"/api/files/{uploaded(hers, content)['id']}"
    with running_api(data_dir, BODY_TIMEOUT="1s") as api, socket.socket() as line:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        line.settimeout(20)
        line.connect(("127.0.0.1", api.port))
        line.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {hers.access_token}\r\n\r\n".encode())
        eventually(lambda: "answer_not_taken" in api.log.read_text())
        assert sum(len(part) for part in iter(lambda: line.recv(65536), b"")) < len(content)
