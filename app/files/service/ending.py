"""The end of uploads that never became files."""

from __future__ import annotations

import time
from uuid import uuid4

from app.errors import Unavailable
from app.files.queries import objects, uploads
from app.infra.db import reading, unit_of_work
from app.infra.storage import Upload, storage

# Expired uploads that one sweep ends, and the seconds that it takes at most: others wait behind it.
_BATCH = 500
_LONGEST_RUN = 10.0
# Seconds after which one that could not be ended is tried again.
_PAUSE = 600


def abandon(row: uploads.UploadRow) -> None:
    """Removes what was kept of an upload, which the caller has to itself."""
    if row.method == "tus":
        storage().abandon_upload(Upload(row.key, row.token))
    with unit_of_work() as unit:
        uploads.delete(unit, row)
        objects.give_up(unit, [row.key])


def sweep_expired() -> int:
    """Ends uploads whose time is over, by forms too; gives how many. One that runs is left alone.

    Raises Unavailable where one could not be ended, once the others are.
    """
    deadline = time.monotonic() + _LONGEST_RUN
    with reading() as unit:
        expired = uploads.expired(unit, _BATCH)
    ended, failure = 0, None
    for row in expired:
        if time.monotonic() > deadline:
            break
        try:
            ended += _end(row)
        except Unavailable as error:
            failure = error
    if failure is not None:
        raise failure
    return ended


def _end(row: uploads.UploadRow) -> bool:
    """Ends an upload unless somebody has it. Where that fails it is not free again at once: it keeps none waiting."""
    with unit_of_work() as unit:
        is_ours = uploads.lease(unit, row.id, uuid4(), _PAUSE)
    if is_ours:
        abandon(row)
    return is_ours
