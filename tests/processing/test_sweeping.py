"""What sweeps of files remove; one thing that cannot be done keeps them from nothing else."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app.errors import Unavailable
from app.files.service import ending, releasing, sweeping
from app.infra import jobs
from app.infra.storage import ANY_TYPE, new_key, storage
from tests.factories import run, scalar
from tests.files import tus
from tests.people import Person
from tests.processing import files
from tests.processing.conftest import Asked
from workers import media

People = Callable[[int], list[Person]]


def begin_and_expire(person: Person, moment: str) -> None:
    """An upload of the person's whose time was over at a moment."""
    tus.begun(person, 10)
    run(f"UPDATE uploads SET expires_at = {moment} WHERE owner_id = :id", id=person.id)


def unfinished(person: Person) -> int:
    count = scalar("SELECT count(*) FROM uploads WHERE owner_id = :id", id=person.id)
    assert isinstance(count, int)
    return count


@pytest.fixture
def stuck(people: People, data_dir: Path) -> Iterator[Person]:
    """The owner of the upload that expired first of all, and that storage cannot remove."""
    (ada,) = people(1)
    begin_and_expire(ada, "'-infinity'")
    path = data_dir / "uploads" / "uploads" / str(scalar("SELECT key FROM uploads WHERE owner_id = :id", id=ada.id))
    path.unlink()
    path.mkdir()
    yield ada
    path.rmdir()
    run("DELETE FROM uploads WHERE owner_id = :id", id=ada.id)


def test_an_upload_that_cannot_be_ended_does_not_stand_first_for_ever(
    people: People, stuck: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    (bob,) = people(1)
    begin_and_expire(bob, "'epoch'")
    monkeypatch.setattr(ending, "_BATCH", 1)
    with pytest.raises(Unavailable):
        ending.sweep_expired()
    ending.sweep_expired()
    assert (unfinished(stuck), unfinished(bob)) == (1, 0)
    run("UPDATE uploads SET leased_until = now() WHERE owner_id = :id", id=stuck.id)
    with pytest.raises(Unavailable):
        ending.sweep_expired()


def test_what_fails_is_told_once_everything_else_is_swept(people: People, stuck: Person, asked: Asked) -> None:
    (bob,) = people(1)
    begin_and_expire(bob, "'epoch'")
    file_id = files.upload(bob.id, b"x")
    run("UPDATE files SET try_after = 'epoch' WHERE id = :id", id=str(file_id))
    run("INSERT INTO removed_objects (key, due_at) VALUES (:key, '-infinity')", key="0" * 32)
    with pytest.raises(Unavailable):
        media.sweep_files()
    assert (unfinished(stuck), unfinished(bob)) == (1, 0)
    assert (jobs.PROCESS_FILE, {"file_id": str(file_id)}) in asked
    assert scalar("SELECT count(*) FROM removed_objects WHERE key = :key", key="0" * 32) == 0


def test_a_sweep_of_uploads_ends_with_its_time(people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    (ada,) = people(1)
    begin_and_expire(ada, "'epoch'")
    monkeypatch.setattr(ending, "_LONGEST_RUN", -1.0)
    assert ending.sweep_expired() == 0
    assert unfinished(ada) == 1
    # Else it stood before what another test has expire.
    run("DELETE FROM uploads WHERE owner_id = :id", id=ada.id)


def make_old(data_dir: Path, key: str) -> None:
    """An object as if it had been stored two days ago."""
    two_days_ago = time.time() - 172_800
    os.utime(data_dir / "uploads" / "objects" / key[:2] / key[2:4] / key, (two_days_ago, two_days_ago))


def test_old_objects_that_no_row_knows_are_removed_and_others_stay(people: People, data_dir: Path) -> None:
    (ada,) = people(1)
    unknown, new, known = new_key(), new_key(), files.keys(files.upload(ada.id, b"x"))["original"]
    for key in (unknown, new):
        storage().store(key, [b"x"], ANY_TYPE)
    for key in (unknown, known):
        make_old(data_dir, key)
    assert sweeping.sweep_storage() > 0
    releasing.remove_objects()
    assert {unknown, new, known} & files.stored() == {new, known}
    storage().delete([new])
