"""Where files are kept: one protocol, a folder or a bucket by the settings."""

from __future__ import annotations

from functools import lru_cache

from app.infra.storage.disk import DiskStorage
from app.infra.storage.keys import BadKey, new_key
from app.infra.storage.protocol import (
    ANY_TYPE,
    NoSuchObject,
    NoSuchUpload,
    Reading,
    Storage,
    Stored,
    Upload,
    UploadBusy,
    UploadForm,
    WrongOffset,
)
from config import Settings, settings

__all__ = [
    "ANY_TYPE",
    "BadKey",
    "NoSuchObject",
    "NoSuchUpload",
    "Reading",
    "Storage",
    "Stored",
    "Upload",
    "UploadBusy",
    "UploadForm",
    "WrongOffset",
    "make_storage",
    "new_key",
    "storage",
]


def make_storage(current: Settings) -> Storage:
    """The storage that the settings name."""
    if not current.s3_bucket:
        return DiskStorage(current.uploads)
    from app.infra.storage.s3 import S3Storage
    from app.infra.storage.s3_connection import Server

    addressing = current.s3_addressing
    if addressing == "auto":
        addressing = "path" if current.s3_endpoint_url else "virtual"
    server = Server(
        bucket=current.s3_bucket,
        endpoint=current.s3_endpoint_url,
        public_endpoint=current.s3_public_url,
        region=current.s3_region,
        access_key=current.s3_access_key,
        secret_key=current.s3_secret_key,
        addressing=addressing,
    )
    return S3Storage(server, current.uploads / "incoming")


@lru_cache(maxsize=1)
def storage() -> Storage:
    """The storage of this process."""
    return make_storage(settings())
