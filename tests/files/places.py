"""Where an API process keeps its files, and what lies there."""

from __future__ import annotations

import hashlib
import socket
from dataclasses import dataclass
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urlsplit
from uuid import uuid4

import requests

from app.infra.storage import Storage
from app.infra.storage.disk import DiskStorage
from app.infra.storage.s3 import S3Storage
from app.infra.storage.s3_connection import Server
from tests.factories import run, scalar, send_messages
from tests.people import Person
from tests.processes import Api

Answer = requests.Response

FORM_HEAD = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'


@dataclass
class Place:
    """An API process and the storage that it uses: UPLOAD_DIR, or with a server a bucket."""

    api: Api
    folder: Path
    server: Server | None = None

    @cached_property
    def storage(self) -> Storage:
        """The storage, as this process sees it."""
        if self.server is None:
            return DiskStorage(self.folder)
        return S3Storage(self.server, self.folder / "incoming")

    def has(self, key: str) -> bool:
        """Whether the storage has an object under the key."""
        return any(found.key == key for found in self.storage.keys(prefix=key))

    def bytes_of(self, key: str) -> bytes:
        """The bytes of an object."""
        return b"".join(self.storage.read(key))


def bucket_settings(server: Server) -> dict[str, str]:
    """The environment of a process whose files are in a bucket."""
    return {
        "S3_BUCKET": server.bucket,
        "S3_ENDPOINT_URL": str(server.endpoint),
        "S3_ACCESS_KEY": str(server.access_key),
        "S3_SECRET_KEY": str(server.secret_key),
    }


def upload(person: Person, content: bytes | BinaryIO, name: str = "note.txt", **fields: str) -> Answer:
    """Uploads bytes in a form."""
    stream = BytesIO(content) if isinstance(content, bytes) else content
    return person.call("POST", "/files/upload", files={"file": (name, stream)}, data=fields)


def uploaded(person: Person, content: bytes, name: str = "note.txt", **fields: str) -> dict[str, Any]:
    """A new file of the person's: its File object."""
    answer = upload(person, content, name, **fields)
    assert answer.status_code == 201, answer.text
    file: dict[str, Any] = answer.json()
    return file


def broken_upload(person: Person, sent: bytes, length: int, before: bytes = b"") -> socket.socket:
    """A connection that has sent the beginning of a form, other fields `before` the file, and waits."""
    address = urlsplit(person.url)
    line = socket.create_connection((str(address.hostname), int(address.port or 0)))
    head = (
        f"POST /api/files/upload HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {person.access_token}\r\n"
        f"Content-Type: multipart/form-data; boundary=x\r\nContent-Length: {length}\r\n\r\n"
    )
    line.sendall(head.encode() + before + FORM_HEAD + sent)
    return line


def make_ready(file_id: str, mime_type: str = "text/plain", kind: str = "file", status: str = "ready") -> None:
    """Ends the processing of a file, as a worker does that finds this type; the worker of other tests loses it."""
    run(
        "UPDATE files SET status = :status, mime_type = :type, kind = :kind, attempts = attempts + 1,"
        " try_after = now() + interval '1 hour' WHERE id = :id",
        id=file_id,
        type=mime_type,
        kind=kind,
        status=status,
    )


def add_object(place: Place, file_id: str, variant: str, content: bytes, mime_type: str) -> str:
    """Stores another object of a file, as a worker does; its key."""
    key = uuid4().hex
    place.storage.store(key, [content], mime_type)
    run(
        "INSERT INTO file_objects (file_id, variant, key, mime_type, size, width, height)"
        " VALUES (:id, :variant, :key, :type, :size, 10, 20)",
        id=file_id,
        variant=variant,
        key=key,
        type=mime_type,
        size=len(content),
    )
    return key


def show(file_id: str, chat_id: int, sender_id: int) -> int:
    """Sends a message that shows a file to a chat, without telling anybody; its id."""
    (message_id,) = send_messages(chat_id, [sender_id], "file")
    run("UPDATE messages SET file_id = :file WHERE id = :id", file=file_id, id=message_id)
    run(
        "INSERT INTO message_files (file_id, chat_id, message_id, seq) SELECT :file, chat_id, id, seq FROM messages"
        " WHERE id = :id",
        file=file_id,
        id=message_id,
    )
    return message_id


def show_elsewhere(file_id: str, messages: int) -> None:
    """Has a file shown by so many messages of chats that nobody is in."""
    run(
        "INSERT INTO message_files (file_id, chat_id, message_id, seq)"
        " SELECT :file, -n, n, 1 FROM generate_series(1, :messages) AS n",
        file=file_id,
        messages=messages,
    )


def key_of(file_id: str, variant: str = "original") -> str:
    """The key of an object of a file."""
    return str(scalar("SELECT key FROM file_objects WHERE file_id = :id AND variant = :v", id=file_id, v=variant))


def keys_left(owner: Person) -> int:
    """How many objects the person's files have by the tables."""
    count = scalar(
        "SELECT count(*) FROM file_objects o JOIN files f ON f.id = o.file_id WHERE f.owner_id = :id", id=owner.id
    )
    assert isinstance(count, int)
    return count


def noted_keys() -> set[str]:
    """The keys that wait for a file, or for being removed."""
    found = scalar("SELECT array_agg(key) FROM removed_objects")
    return set(found) if isinstance(found, list) else set()


def sha256(content: bytes) -> bytes:
    """The digest that is kept of bytes."""
    return hashlib.sha256(content).digest()
