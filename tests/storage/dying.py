"""Storing and uploading in processes that are killed at every step, one after the other.

`python -m tests.storage.dying PLACE store|upload` prints a line of JSON for each step.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from typing import Any

from app.infra.storage import NoSuchObject, Storage, Upload, new_key
from app.infra.storage.s3 import S3Storage
from tests.storage.places import MEGABYTE, Place, content, cut, left_of_uploads

_STEPS_ON_DISK = ("open", "os.rename", "os.mkdir", "os.remove", "fcntl.flock")
_DATA = content(20 * MEGABYTE)
_FIRST = 3 * MEGABYTE


class Steps:
    """Counts the steps of this process, and kills it at one of them."""

    def __init__(self, last: int) -> None:
        self._left = last

    def step(self) -> None:
        """One step more; -9 at the last."""
        self._left -= 1
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def watch(self, place: Place, storage: Storage) -> None:
        """Takes each change of files in the folder, and each answer of the server, for a step."""
        if isinstance(storage, S3Storage):
            storage._connection.client.meta.events.register_last("after-call.s3", lambda **_: self.step())
            return
        folder = str(place.folder)

        def hook(event: str, arguments: tuple[Any, ...]) -> None:
            if event == "fcntl.flock" or (event in _STEPS_ON_DISK and str(arguments[0]).startswith(folder)):
                self.step()

        sys.addaudithook(hook)

    def chunks(self, data: bytes) -> Iterator[bytes]:
        """The data; every few megabytes are a step."""
        for number, chunk in enumerate(cut(data, MEGABYTE)):
            if number % 4 == 1:
                self.step()
            yield chunk


def store(place: Place, storage: Storage, upload: Upload, steps: Steps) -> None:
    """Stores one object."""
    steps.watch(place, storage)
    storage.store(upload.key, steps.chunks(_DATA), "text/plain")


def append_and_finish(place: Place, storage: Storage, upload: Upload, steps: Steps) -> None:
    """Takes the upload on from where it is, in two requests, and finishes it."""
    steps.watch(place, storage)
    take_on(storage, upload, steps)


def take_on(storage: Storage, upload: Upload, steps: Steps) -> None:
    """The same without a watch."""
    for stop in (_FIRST, len(_DATA)):
        length = storage.length(upload)
        if length < stop:
            storage.append(upload, length, steps.chunks(_DATA[length:stop]))
    storage.finish_upload(upload)


def told_of_store(storage: Storage, upload: Upload) -> dict[str, Any]:
    """What is there after a kill."""
    return {"object": _digest(storage, upload.key), "listed": len(storage.keys(upload.key))}


def told_of_upload(storage: Storage, upload: Upload) -> dict[str, Any]:
    """What is there after a kill, and after the client came again; what it had finished it finishes once more."""
    before = _digest(storage, upload.key)
    if before is None:
        take_on(storage, upload, Steps(-1))
    else:
        storage.finish_upload(upload)
    return {"before": before, "object": _digest(storage, upload.key), "left": left_of_uploads(storage, upload)}


def _digest(storage: Storage, key: str) -> str | None:
    with suppress(NoSuchObject), storage.read(key) as pieces:
        digest = hashlib.sha256()
        for piece in pieces:
            digest.update(piece)
        return digest.hexdigest()
    return None


def _killed(work: Callable[[], None]) -> bool:
    """Whether the work was killed in its process; raises where it failed in another way."""
    child = os.fork()
    if child == 0:
        try:
            work()
            os._exit(0)
        except BaseException:
            sys.excepthook(*sys.exc_info())
            os._exit(1)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
        return True
    assert os.waitstatus_to_exitcode(status) == 0
    return False


def main(place: Place, what: str) -> None:
    """Kills at the first step, at the second, and so on, until nobody is killed any more."""
    storing = what == "store"
    storage, last, killed = place.open(), 0, True
    while killed:
        last += 1
        upload = Upload(new_key(), "") if storing else storage.begin_upload(new_key())
        killed = _killed(partial(store if storing else append_and_finish, place, storage, upload, Steps(last)))
        told = told_of_store(storage, upload) if storing else told_of_upload(storage, upload)
        print(json.dumps({"key": upload.key, "killed": killed} | told), flush=True)


if __name__ == "__main__":
    main(Place.loaded(sys.argv[1]), sys.argv[2])
