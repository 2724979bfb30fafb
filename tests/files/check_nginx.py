"""A real nginx with deploy/nginx.conf sends the files of a folder; needs nginx and openssl, so it is run by hand:

.venv/bin/python -m pytest tests/files/check_nginx.py

Only what must differ on this machine is changed: ports, the certificate, the folders.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from flask import Flask

from tests.files.conftest import Making
from tests.files.places import Place, add_object, make_ready, show, uploaded
from tests.people import Person, make_people
from tests.processes import Api, eventually, running_api
from tests.unique import free_port

pytestmark = pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
_CONFIGURATION = Path(__file__).parents[2] / "deploy" / "nginx.conf"
CONTENT = bytes(range(256)) * 4000
SMALL = b"RIFF....WEBP a likeness"


@pytest.fixture(scope="module")
def api(_servers: None, data_dir: Path) -> Iterator[Api]:
    """An API that leaves the sending to nginx."""
    with running_api(data_dir, FILE_SERVING="nginx", TRUSTED_PROXIES="1") as process:
        yield process


@pytest.fixture(scope="module")
def nginx(api: Api, data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an nginx in front of it."""
    folder, port = tmp_path_factory.mktemp("nginx"), free_port()
    certificate(folder)
    path = folder / "nginx.conf"
    path.write_text(configured(_CONFIGURATION.read_text(), folder, api.port, port, data_dir / "uploads"))
    command = [str(shutil.which("nginx")), "-p", str(folder), "-c", str(path), "-g", f"pid {folder}/pid; daemon off;"]
    subprocess.run([*command, "-t"], check=True)
    with subprocess.Popen(command) as running:
        url = f"https://127.0.0.1:{port}"
        eventually(lambda: answers(url))
        yield url
        running.terminate()


def certificate(folder: Path) -> None:
    """A certificate that nobody trusts."""
    made = f"openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=a -keyout {folder}/key -out {folder}/crt"
    subprocess.run(made.split(), check=True, capture_output=True)


def configured(text: str, folder: Path, api_port: int, port: int, uploads: Path) -> str:
    """The file of nginx with the ports and folders of this test."""
    changes = {
        "listen 80;": f"listen 127.0.0.1:{free_port()};",
        "listen 443 ssl;": f"listen 127.0.0.1:{port} ssl;",
        "server 127.0.0.1:8000;": f"server 127.0.0.1:{api_port};",
        "/etc/nginx/tls/paperplane.": f"{folder}/",
        "/var/log/nginx/": f"{folder}/",
        "alias /srv/uploads/;": f"alias {uploads}/;",
        "worker_rlimit_nofile 65536;": "",
        "worker_connections 32768;": "worker_connections 512;",
        "worker_processes auto;": "worker_processes 1;" + (" user root;" if os.geteuid() == 0 else ""),
    }
    for old, new in changes.items():
        assert old in text, old
        text = text.replace(old, new)
    return text


def answers(url: str) -> bool:
    try:
        return get(url + "/healthz").status_code == 200
    except (requests.ConnectionError, requests.Timeout):
        return False


def get(url: str, method: str = "GET", **headers: str) -> requests.Response:
    """What nginx answers; its certificate is nobody's."""
    return requests.request(method, url, headers=headers, verify=False, timeout=20, allow_redirects=False)


@pytest.fixture
def folk(app: Flask, api: Api) -> Making:
    """Makes so many new people."""
    return lambda count: make_people(app, count, api.url)


def picture(owner: Person, api: Api, data_dir: Path) -> dict[str, Any]:
    """A picture with a thumbnail: as its owner has it."""
    file_id = uploaded(owner, CONTENT, "Grüße 你好.png")["id"]
    make_ready(file_id, "image/png", "image")
    add_object(Place(api, data_dir / "uploads"), file_id, "small", SMALL, "image/webp")
    found: dict[str, Any] = owner.get(f"/files/{file_id}/info")
    return found


def test_nginx_sends_the_whole_file_with_the_headers_of_the_api(
    nginx: str, api: Api, folk: Making, data_dir: Path
) -> None:
    (ada,) = folk(1)
    whole = get(nginx + str(picture(ada, api, data_dir)["url"]))
    assert (whole.status_code, whole.content) == (200, CONTENT)
    assert whole.headers["Server"] == "nginx"
    assert "X-Accel-Redirect" not in whole.headers
    assert whole.headers["Content-Type"] == "image/png"
    assert whole.headers["Content-Disposition"].startswith("inline; filename=")
    assert whole.headers["X-Content-Type-Options"] == "nosniff"
    assert whole.headers["Content-Security-Policy"] == "sandbox; default-src 'none'"
    assert whole.headers["Cache-Control"] == "private, no-cache"


def test_nginx_sends_parts_and_says_what_is_known_already(nginx: str, api: Api, folk: Making, data_dir: Path) -> None:
    (ada,) = folk(1)
    url = nginx + str(picture(ada, api, data_dir)["url"])
    part = get(url, Range="bytes=1000-1999")
    assert (part.status_code, part.content) == (206, CONTENT[1000:2000])
    assert part.headers["Content-Range"] == f"bytes 1000-1999/{len(CONTENT)}"
    assert get(url, Range=f"bytes={len(CONTENT)}-").status_code == 416
    tag = part.headers["ETag"]
    known = get(url, **{"If-None-Match": tag})
    assert (known.status_code, known.content) == (304, b"")
    going_on = get(url, **{"If-Range": tag, "Range": "bytes=5-9"})
    assert (going_on.status_code, going_on.content) == (206, CONTENT[5:10])
    head = get(url, "HEAD")
    assert (head.status_code, head.headers["Content-Length"], head.headers["ETag"]) == (200, str(len(CONTENT)), tag)


def test_nginx_sends_a_thumbnail(nginx: str, api: Api, folk: Making, data_dir: Path) -> None:
    (ada,) = folk(1)
    (small,) = picture(ada, api, data_dir)["thumbnails"]
    answer = get(nginx + small["url"])
    assert (answer.status_code, answer.content, answer.headers["Content-Type"]) == (200, SMALL, "image/webp")


def test_nginx_refuses_whom_the_api_refuses_and_has_the_folder_for_nobody(
    nginx: str, api: Api, folk: Making, data_dir: Path
) -> None:
    ada, bob = folk(2)
    file = picture(ada, api, data_dir)
    url = nginx + str(file["url"])
    changed = get(url[:-1] + ("A" if url[-1] != "A" else "B"))
    assert (changed.status_code, changed.json()["code"]) == (403, "invalid_link")
    chat_id = ada.group(bob)
    show(str(file["id"]), chat_id, ada.id)
    his = nginx + bob.get(f"/files/{file['id']}/info")["url"]
    assert get(his).status_code == 200
    ada.call("DELETE", f"/chats/{chat_id}/members/{bob.id}")
    assert get(his).status_code == 404
    stored = next(path for path in (data_dir / "uploads").rglob("*") if path.is_file())
    assert get(f"{nginx}/internal/files/{stored.relative_to(data_dir / 'uploads')}").status_code == 404


def test_a_file_comes_in_through_nginx(nginx: str, folk: Making) -> None:
    (ada,) = folk(1)
    answer = requests.post(
        f"{nginx}/api/files/upload",
        headers={"Authorization": f"Bearer {ada.access_token}"},
        files={"file": ("it", bytes(3_000_000))},
        verify=False,
        timeout=20,
    )
    assert (answer.status_code, answer.json()["size"]) == (201, 3_000_000)
