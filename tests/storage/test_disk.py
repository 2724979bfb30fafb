"""What is only true of a folder."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest

from app.errors import Unavailable
from app.infra.storage import NoSuchUpload, UploadBusy, new_key
from tests.storage.places import MEGABYTE, Place, content, cut, whole


def test_objects_are_spread_over_two_levels_of_folders(disk: Place) -> None:
    key = new_key()
    disk.open().store(key, [b"x"], "text/plain")
    assert disk.open().internal_path(key) == f"objects/{key[:2]}/{key[2:4]}/{key}"
    files = [path.relative_to(disk.folder).as_posix() for path in disk.folder.rglob("*") if path.is_file()]
    assert files == [disk.open().internal_path(key)]


def test_a_disk_gives_neither_links_nor_forms(disk: Place) -> None:
    kept, key = disk.open(), new_key()
    assert kept.download_link(key, "text/plain", "inline", 60) is None
    assert kept.upload_form(key, "text/plain", 10, 60) is None


def test_who_reads_already_reads_to_the_end_of_what_is_deleted(disk: Place) -> None:
    kept, key, data = disk.open(), new_key(), content(2 * MEGABYTE)
    kept.store(key, cut(data), "text/plain")
    with kept.read(key) as pieces:
        first = next(iter(pieces))
        kept.delete([key])
        assert first + b"".join(pieces) == data


def test_a_draft_is_no_object(disk: Place) -> None:
    def watched() -> Iterator[bytes]:
        for piece in cut(content(MEGABYTE)):
            yield piece
            seen.append((len(kept.keys("")), [path.name for path in disk.folder.glob("incoming/*")]))

    kept, key = disk.open(), new_key()
    seen: list[tuple[int, list[str]]] = []
    kept.store(key, watched(), "text/plain")
    assert {count for count, _ in seen} == {0}
    assert all(re.fullmatch(key + r"\.[0-9a-f]{8}", name) for _, names in seen for name in names)
    assert [each.key for each in kept.keys("")] == [key]


def test_files_of_others_are_not_listed(disk: Place) -> None:
    kept, key = disk.open(), new_key()
    kept.store(key, [b"x"], "text/plain")
    folder = disk.folder / "objects" / key[:2] / key[2:4]
    (folder / "README").write_text("notes")
    (folder / f"{key}.jpg").write_text("a copy")
    (disk.folder / "objects" / "README").write_text("notes")
    assert [each.key for each in kept.keys("")] == [key]


def test_nobody_else_appends_meanwhile(disk: Place) -> None:
    def meddled() -> Iterator[bytes]:
        yield b"first"
        with pytest.raises(UploadBusy):
            other.append(upload, 0, [b"other"])
        with pytest.raises(UploadBusy):
            other.finish_upload(upload)

    kept, other = disk.open(), disk.open()
    upload = kept.begin_upload(new_key())
    assert kept.append(upload, 0, meddled()) == 5
    assert other.append(upload, 5, [b" second"]) == 12
    kept.finish_upload(upload)
    assert whole(kept, upload.key) == b"first second"


def test_an_upload_that_is_removed_under_the_writer_does_not_appear(disk: Place) -> None:
    def removed() -> Iterator[bytes]:
        yield b"first"
        kept.abandon_upload(upload)

    kept = disk.open()
    upload = kept.begin_upload(new_key())
    kept.append(upload, 0, removed())
    with pytest.raises(NoSuchUpload):
        kept.finish_upload(upload)


def test_a_folder_that_is_none_is_unavailable(disk: Place) -> None:
    disk.folder.write_text("a file")
    kept, key = disk.open(), new_key()
    calls: list[Callable[[], object]] = [
        lambda: kept.store(key, [b"x"], "text/plain"),
        lambda: kept.read(key),
        lambda: kept.size(key),
        lambda: kept.delete([key]),
        lambda: kept.begin_upload(key),
    ]
    for call in calls:
        with pytest.raises(Unavailable):
            call()
