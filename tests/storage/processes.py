"""Programs for processes of their own: `python -m tests.storage.processes NAME PLACE`; prints what the test asks."""

from __future__ import annotations

import json
import os
import resource
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from app.errors import Unavailable
from app.infra.storage import Upload, new_key
from app.infra.storage.s3 import S3Storage
from tests.storage.places import MEGABYTE, Place, content, cut, whole

_LARGE = 100 * MEGABYTE


def memory(place: Place) -> object:
    """Bytes that this process grew by at most: while storing, reading and taking an upload of 100 MB."""
    storage = place.open()
    first = new_key()
    storage.store(first, _endless(MEGABYTE), "text/plain")
    whole(storage, first)
    storage.finish_upload(_uploaded(place, MEGABYTE))
    key = new_key()
    return {
        "store": _growth(lambda: storage.store(key, _endless(_LARGE), "text/plain")),
        "read": _growth(lambda: sum(len(piece) for piece in storage.read(key))),
        "append": _growth(lambda: _uploaded(place, _LARGE)),
        "append whole": _growth(lambda: _uploaded(place, _LARGE, together=True)),
        "held": _growth(lambda: len(bytearray(b"x") * _LARGE)),
    }


def forked(place: Place) -> object:
    """Whether a child of a process that has a client uses one of its own, and reads what the parent stored."""
    storage, key = place.open(), new_key()
    storage.store(key, [b"of the parent"], "text/plain")
    reading, writing = os.pipe()
    if os.fork() == 0:
        found = whole(storage, key).decode()
        clients = len(storage._connection._made) if isinstance(storage, S3Storage) else None
        os.write(writing, json.dumps({"found": found, "clients": clients}).encode())
        os._exit(0)
    os.wait()
    return json.loads(os.read(reading, 4096))


def full(place: Place) -> object:
    """What storing and appending say where no file may grow past 1 MB, and what they leave."""
    storage = place.open()
    resource.setrlimit(resource.RLIMIT_FSIZE, (MEGABYTE, MEGABYTE))
    said = []
    upload = storage.begin_upload(new_key())
    for call in (
        lambda: storage.store(new_key(), _endless(2 * MEGABYTE), "text/plain"),
        lambda: storage.append(upload, 0, _endless(2 * MEGABYTE), whole=True),
        lambda: storage.append(upload, 0, _endless(2 * MEGABYTE)),
    ):
        try:
            call()
        except Unavailable as error:
            said.append(error.code)
    rest = content(MEGABYTE)[storage.length(upload) :]
    storage.append(upload, MEGABYTE - len(rest), [rest])
    return {"said": said, "files": sum(path.is_file() for path in place.folder.rglob("*")), "length": len(rest)}


def gevent_serves(place: Place) -> object:
    """Whether greenlets go on while one waits for a file: one reads from a pipe that another fills later."""
    import gevent

    storage, key = place.open(), new_key()
    pipe = place.folder / (storage.internal_path(key) or "")
    pipe.parent.mkdir(parents=True)
    os.mkfifo(pipe)
    waiting = gevent.spawn(whole, storage, key)
    gevent.sleep(0.05)
    others = [gevent.spawn(_round_trip, place, size) for size in (1, MEGABYTE, 3 * MEGABYTE)]
    gevent.joinall(others, raise_error=True)
    read_before = waiting.ready()
    gevent.get_hub().threadpool.apply(lambda: pipe.write_bytes(b"at last"))
    return {"before": read_before, "read": waiting.get().decode(), "others": [other.value for other in others]}


def gevent_round_trips(place: Place) -> object:
    """Whether many greenlets store, read, append and finish beside each other."""
    import gevent

    tasks = [gevent.spawn(_round_trip, place, size * MEGABYTE) for size in (0, 1, 6, 9, 17)]
    gevent.joinall(tasks, raise_error=True)
    return [task.value for task in tasks]


def _round_trip(place: Place, size: int) -> bool:
    storage, key, data = place.open(), new_key(), content(size)
    storage.store(key, cut(data), "text/plain")
    upload = storage.begin_upload(new_key())
    storage.append(upload, 0, cut(data[: size // 2]))
    storage.append(upload, size // 2, cut(data[size // 2 :]), whole=True)
    storage.finish_upload(upload)
    return whole(storage, key) == whole(storage, upload.key) == data


def _uploaded(place: Place, size: int, *, together: bool = False) -> Upload:
    storage = place.open()
    upload = storage.begin_upload(new_key())
    storage.append(upload, 0, _endless(size), whole=together)
    return upload


def _endless(size: int) -> Iterator[bytes]:
    for _ in range(size // 50_000):
        yield os.urandom(50_000)


def _growth(work: Callable[[], object]) -> int:
    """The most memory that the work held, in bytes, over what the process had."""
    Path("/proc/self/clear_refs").write_text("5")  # Has the kernel forget the highest mark so far.
    before = _status("VmRSS")
    work()
    return _status("VmHWM") - before


def _status(name: str) -> int:
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(lines[name].split()[0]) * 1024


if __name__ == "__main__":
    if sys.argv[1].startswith("gevent"):
        from gevent import monkey

        monkey.patch_all()
    print(json.dumps(globals()[sys.argv[1]](Place.loaded(sys.argv[2]))))
