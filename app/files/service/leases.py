"""One request at a time adds to an upload; whoever dies with it loses it by the clock."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from uuid import UUID, uuid4

from app.errors import Unavailable, UploadBusy
from app.files.queries import uploads
from app.infra.db import unit_of_work

# Longer than a client may be silent, and than storage may take for one call.
_SECONDS = 120
_RENEWED_AFTER = 20


@dataclass
class Lease:
    """An upload that is this request's; to be renewed while it goes on."""

    upload_id: UUID
    holder: UUID = field(default_factory=uuid4)
    renewed_at: float = field(default_factory=time.monotonic)

    def renew(self) -> None:
        """Keeps the upload, where it is time to; raises UploadBusy where it has been taken meanwhile."""
        if time.monotonic() - self.renewed_at < _RENEWED_AFTER:
            return
        with unit_of_work() as unit:
            if not uploads.renew(unit, self.upload_id, self.holder, _SECONDS):
                raise UploadBusy
        self.renewed_at = time.monotonic()


@contextmanager
def leased(upload_id: UUID) -> Iterator[Lease]:
    """The upload for this request alone; raises UploadBusy."""
    lease = Lease(upload_id)
    with unit_of_work() as unit:
        if not uploads.lease(unit, upload_id, lease.holder, _SECONDS):
            raise UploadBusy(retry_after=1)
    try:
        yield lease
    finally:
        with suppress(Unavailable), unit_of_work() as unit:
            uploads.release(unit, upload_id, lease.holder)
