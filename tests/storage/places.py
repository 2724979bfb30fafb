"""The storages under test, in words that a child process understands."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from app.infra.storage import Storage, Upload
from app.infra.storage.disk import DiskStorage
from app.infra.storage.s3 import S3Storage
from app.infra.storage.s3_connection import Server

MEGABYTE = 1_000_000


@dataclass(frozen=True)
class Place:
    """A folder, or with `server` a bucket, whose storage spools into the folder."""

    folder: Path
    server: Server | None = None

    def open(self) -> Storage:
        """A storage of its own on the place."""
        if self.server is None:
            return DiskStorage(self.folder)
        return S3Storage(self.server, self.folder / "incoming")

    def dumped(self) -> str:
        """The place as text."""
        return json.dumps({"folder": str(self.folder), "server": self.server and asdict(self.server)})

    @staticmethod
    def loaded(text: str) -> Place:
        """The place that the text says."""
        said = json.loads(text)
        return Place(Path(said["folder"]), Server(**said["server"]) if said["server"] else None)


def content(size: int, seed: int = 1) -> bytes:
    """Bytes like no others, the same for the same seed."""
    return random.Random(seed).randbytes(size)


def cut(data: bytes, size: int = 65_536) -> Iterator[bytes]:
    """The bytes in pieces, as they come from a network."""
    for start in range(0, len(data), size):
        yield data[start : start + size]


def whole(storage: Storage, key: str) -> bytes:
    """All bytes of an object."""
    with storage.read(key) as pieces:
        return b"".join(pieces)


def broken(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Chunks of a client whose connection breaks after them."""
    yield from chunks
    raise ConnectionResetError("the client is gone")


def left_of_uploads(kept: Storage, upload: Upload) -> list[str]:
    """What is kept of one unfinished upload besides its object: names of files, or of what is in the bucket."""
    if isinstance(kept, DiskStorage):
        return [path.name for path in kept._folder.glob(f"*/{upload.key}*")]
    assert isinstance(kept, S3Storage)
    client, bucket = kept._connection.client, kept._connection.bucket
    ends = client.list_objects_v2(Bucket=bucket, Prefix=f"uploads/{upload.key}").get("Contents", [])
    begun = client.list_multipart_uploads(Bucket=bucket, Prefix=f"files/{upload.key}").get("Uploads", [])
    return [item["Key"] for item in [*ends, *begun]]
