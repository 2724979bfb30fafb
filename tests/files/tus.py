"""A client of tus, as bare as can be."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import requests

from tests.people import Person

VERSION = {"Tus-Resumable": "1.0.0"}
PIECE_TYPE = "application/offset+octet-stream"


def metadata(**values: str) -> str:
    """An Upload-Metadata."""
    return ",".join(f"{name} {base64.b64encode(value.encode()).decode()}" for name, value in values.items())


def begin(person: Person, size: int, content: bytes | None = None, **values: str) -> requests.Response:
    """Asks for an upload; with content, that is its first piece."""
    headers = {**VERSION, "Upload-Length": str(size), "Upload-Metadata": metadata(**values)}
    if content is not None:
        headers["Content-Type"] = PIECE_TYPE
    return person.call("POST", "/files/tus", data=content, headers=headers)


def begun(person: Person, size: int, **values: str) -> str:
    """The path below /api of a new upload."""
    answer = begin(person, size, None, **values)
    assert answer.status_code == 201, answer.text
    return answer.headers["Location"].removeprefix("/api")


def add(person: Person, path: str, offset: int, content: Any, **headers: str) -> requests.Response:
    """Adds a piece."""
    fixed = {**VERSION, "Upload-Offset": str(offset), "Content-Type": PIECE_TYPE}
    return person.call("PATCH", path, data=content, headers=fixed | headers)


def offset(person: Person, path: str) -> int:
    """Where the upload goes on."""
    answer = person.call("HEAD", path, headers=VERSION)
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    return int(answer.headers["Upload-Offset"])


def checksum(content: bytes, algorithm: str = "sha1") -> dict[str, str]:
    """The header that names the digest of a piece."""
    digest = base64.b64encode(hashlib.new(algorithm, content).digest()).decode()
    return {"Upload-Checksum": f"{algorithm} {digest}"}
