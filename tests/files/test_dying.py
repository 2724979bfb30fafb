"""What an upload costs, and what is left of one whose client or process goes away."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask

from tests.factories import run, scalar
from tests.files import tus
from tests.files.conftest import Making
from tests.files.places import Place, broken_upload, noted_keys, upload, uploaded
from tests.people import Person, make_people
from tests.processes import Api, eventually, running_api

MEGABYTE = 1_000_000


def files_in(folder: Path) -> set[str]:
    """All files below a folder."""
    return {str(path) for path in folder.rglob("*") if path.is_file()}


def test_nothing_is_left_of_an_upload_whose_client_went_away(app: Flask, own_place: Place) -> None:
    place = own_place
    (ada,) = make_people(app, 1, place.api.url)
    uploaded(ada, b"something, so that all folders are there")
    keys, objects, files = noted_keys(), place.storage.keys(limit=10_000), files_in(place.folder)
    line = broken_upload(ada, b"x" * 3 * MEGABYTE, 20 * MEGABYTE)
    eventually(lambda: noted_keys() - keys)
    line.close()
    eventually(lambda: noted_keys() <= keys)
    assert place.storage.keys(limit=10_000) == objects
    assert files_in(place.folder) == files


@pytest.mark.usefixtures("alone")
def test_what_a_killed_process_was_storing_is_due_to_be_removed(app: Flask, data_dir: Path) -> None:
    with running_api(data_dir) as api:
        (ada,) = make_people(app, 1, api.url)
        keys = noted_keys()
        with broken_upload(ada, b"x" * MEGABYTE, 20 * MEGABYTE):
            eventually(lambda: noted_keys() - keys)
            api.kill()
    assert scalar("SELECT count(*) FROM files WHERE owner_id = :id", id=ada.id) == 0
    # The object never came to be; what is noted is due within a day, and the draft is removed by the sweep of storage.
    assert scalar("SELECT count(*) FROM removed_objects WHERE due_at BETWEEN now() + '23 h' AND now() + '24 h'") != 0
    run("DELETE FROM removed_objects WHERE due_at > now() + interval '23 hours'")


def test_a_file_of_100_mb_adds_less_than_20_mb_to_the_process(place: Place, persons: Making) -> None:
    (ada,) = persons(1)
    uploaded(ada, b"x" * MEGABYTE)
    tus.begin(ada, MEGABYTE, b"x" * MEGABYTE)
    ada.call("GET", f"/files/{uploaded(ada, b'x' * MEGABYTE)['id']}")
    path = tus.begun(ada, 100 * MEGABYTE - 1000)
    grown = {
        "form": growth(place.api, lambda: accepted(upload(ada, bytes(100 * MEGABYTE - 1000)))),
        "pieces": growth(place.api, lambda: accepted(tus.add(ada, path, 0, zeros(100 * MEGABYTE - 1000)))),
        "serving": growth(place.api, lambda: drain(ada, path.rpartition("/")[2])),
    }
    assert {name: size for name, size in grown.items() if size >= 20 * MEGABYTE} == {}


def accepted(answer: object) -> None:
    assert getattr(answer, "status_code", 0) in (201, 204), getattr(answer, "text", "")


def zeros(size: int) -> Iterator[bytes]:
    """So many bytes, as a chunked body."""
    for start in range(0, size, 65_536):
        yield bytes(min(65_536, size - start))


def drain(person: Person, file_id: str) -> None:
    """Downloads a file without keeping it."""
    answer = person.call("GET", f"/files/{file_id}", stream=True)
    assert sum(len(piece) for piece in answer.iter_content(65_536)) == 100 * MEGABYTE - 1000


def growth(api: Api, work: object) -> int:
    """By how many bytes the API's worker process grew at most while the work was done."""
    assert callable(work)
    worker = next(iter(children(api.child.pid)))
    Path(f"/proc/{worker}/clear_refs").write_text("5")
    before = status(worker, "VmRSS")
    work()
    return status(worker, "VmHWM") - before


def children(pid: int) -> list[int]:
    """The processes that a process has started."""
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def status(pid: int, name: str) -> int:
    """A size of a process in bytes, as Linux tells it."""
    lines = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return int(lines[name].split()[0]) * 1024
