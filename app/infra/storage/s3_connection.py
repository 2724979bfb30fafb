"""Clients of an S3-compatible server, and what its errors mean."""

from __future__ import annotations

import base64
import hashlib
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import structlog

from app.errors import Unavailable
from app.infra.storage.protocol import NoSuchObject, NoSuchUpload

log = structlog.get_logger(__name__)

_MISSING = {"NoSuchKey": NoSuchObject, "404": NoSuchObject, "NotFound": NoSuchObject, "NoSuchUpload": NoSuchUpload}


@dataclass(frozen=True, slots=True)
class Server:
    """Where the bucket is and how it is spoken with; seconds for time-outs. No keys: those found the ways of AWS."""

    bucket: str
    endpoint: str | None = None
    public_endpoint: str | None = None
    region: str | None = None
    access_key: str | None = None
    secret_key: str | None = None
    addressing: Literal["path", "virtual"] = "path"
    connect_timeout: float = 5
    read_timeout: float = 30
    attempts: int = 2


class Connection:
    """Clients that are made when they are first used, and anew after a fork."""

    def __init__(self, server: Server) -> None:
        self.bucket = server.bucket
        self._server = server
        self._making = threading.Lock()
        self._made: dict[tuple[int, str | None], Any] = {}

    @property
    def client(self) -> Any:
        """For our own requests."""
        return self._client(self._server.endpoint)

    @property
    def signer(self) -> Any:
        """For links that clients follow, who may know the server by another address. Sends nothing."""
        return self._client(self._server.public_endpoint or self._server.endpoint)

    def _client(self, endpoint: str | None) -> Any:
        # A connection shared with a parent process would mix up their answers.
        name = os.getpid(), endpoint
        with self._making:
            if name not in self._made:
                self._made[name] = _make(self._server, endpoint)
            return self._made[name]


def _make(server: Server, endpoint: str | None) -> Any:
    import boto3
    from botocore.config import Config

    session = boto3.session.Session()
    bounds = Config(
        signature_version="s3v4",
        s3={"addressing_style": server.addressing},
        connect_timeout=server.connect_timeout,
        read_timeout=server.read_timeout,
        retries={"mode": "standard", "total_max_attempts": server.attempts},
        max_pool_connections=64,
        # Checksums that are not asked for are refused by servers that do not know them.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    region = server.region or session.region_name or "us-east-1"
    client = session.client(
        "s3",
        endpoint_url=endpoint,
        region_name=region,
        aws_access_key_id=server.access_key,
        aws_secret_access_key=server.secret_key,
        config=bounds,
    )
    client.meta.events.register("before-call.s3.DeleteObjects", _with_md5)
    return client


def _with_md5(params: dict[str, Any], **_: object) -> None:
    """The checksum of a list of deletions that every server accepts, in place of a newer one."""
    params["context"].get("checksum", {}).pop("request_algorithm", None)
    params["headers"].pop("x-amz-sdk-checksum-algorithm", None)
    digest = hashlib.md5(params["body"], usedforsecurity=False).digest()
    params["headers"]["Content-MD5"] = base64.b64encode(digest).decode()


@contextmanager
def s3_errors() -> Iterator[None]:
    """Turns what is not there into NoSuchObject or NoSuchUpload, and all else into Unavailable, which is logged."""
    from botocore.exceptions import BotoCoreError, ClientError
    from urllib3.exceptions import HTTPError

    try:
        yield
    except ClientError as error:
        code = error_code(error)
        missing = _MISSING.get(code)
        if missing is not None:
            raise missing from None
        raise _unavailable(f"{error.operation_name}: {code}") from error
    except (BotoCoreError, HTTPError) as error:
        raise _unavailable(type(error).__name__) from error


def error_code(error: Any) -> str:
    """The server's own word for what went wrong, such as `InvalidRange`."""
    return str(error.response.get("Error", {}).get("Code"))


def _unavailable(reason: str) -> Unavailable:
    log.error("storage_failed", error=reason)
    return Unavailable("Files are temporarily unavailable: please try again.", retry_after=5)
