"""An upload that comes in pieces goes on from the length that it tells."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from app.infra.storage import NoSuchObject, NoSuchUpload, Storage, Upload, WrongOffset, new_key
from tests.storage.places import MEGABYTE, Place, broken, content, cut, left_of_uploads, whole

_MEBIBYTE = 1 << 20


@pytest.mark.parametrize(
    "sizes",
    [
        [],
        [0],
        [1],
        [3, 0, 4],
        [MEGABYTE] * 7,
        [5 * _MEBIBYTE],
        [5 * _MEBIBYTE - 1, 1, 1],
        [8 * _MEBIBYTE, 1],
        [4 * _MEBIBYTE, 4 * _MEBIBYTE, 100],
        [100, 20 * _MEBIBYTE, 6 * _MEBIBYTE, 200, 300],
        [30 * MEGABYTE],
    ],
    ids=str,
)
def test_pieces_of_any_size_become_one_object(place: Place, kept: Storage, sizes: list[int]) -> None:
    key, data = new_key(), content(sum(sizes))
    upload = kept.begin_upload(key, "video/mp4")
    done = 0
    for size in sizes:
        # Each from another process, which knows what the row says.
        kept = place.open()
        assert kept.append(Upload(upload.key, upload.token), done, cut(data[done : done + size])) == done + size
        done += size
        assert kept.length(upload) == done
    assert kept.finish_upload(upload) == len(data)
    assert whole(kept, key) == data
    assert left_of_uploads(kept, upload) == []


def test_an_upload_is_no_object_before_it_is_finished(kept: Storage) -> None:
    key = new_key()
    upload = kept.begin_upload(key)
    kept.append(upload, 0, cut(content(9 * MEGABYTE)))
    with pytest.raises(NoSuchObject):
        kept.size(key)
    with pytest.raises(NoSuchObject):
        kept.read(key)
    assert kept.keys(key) == []
    kept.finish_upload(upload)
    assert [each.key for each in kept.keys(key)] == [key]


@pytest.mark.parametrize("offset", [0, 4, 6, 10**12])
@pytest.mark.parametrize("all_or_nothing", [False, True])
def test_bytes_for_another_place_are_refused(kept: Storage, offset: int, all_or_nothing: bool) -> None:
    upload = kept.begin_upload(new_key())
    kept.append(upload, 0, [b"hello"])
    with pytest.raises(WrongOffset) as refused:
        kept.append(upload, offset, [b" world"], whole=all_or_nothing)
    assert refused.value.length == 5
    assert kept.length(upload) == 5


@pytest.mark.parametrize("size", [10, 6 * MEGABYTE, 10 * MEGABYTE])
@pytest.mark.parametrize("before", [0, 100, 9 * MEGABYTE])
def test_what_came_before_the_connection_broke_is_kept(kept: Storage, before: int, size: int) -> None:
    key, data = new_key(), content(before + size + 50)
    upload = kept.begin_upload(key)
    kept.append(upload, 0, cut(data[:before]))
    with pytest.raises(ConnectionResetError):
        kept.append(upload, before, broken(cut(data[before : before + size])))
    assert kept.length(upload) == before + size
    kept.append(upload, before + size, [data[before + size :]])
    kept.finish_upload(upload)
    assert whole(kept, key) == data


@pytest.mark.parametrize("size", [10, 20 * MEGABYTE])
def test_bytes_that_are_good_only_as_a_whole_are_kept_as_a_whole(kept: Storage, size: int) -> None:
    key, data = new_key(), content(size)
    upload = kept.begin_upload(key)
    kept.append(upload, 0, [b"begin "])
    with pytest.raises(ConnectionResetError):
        kept.append(upload, 6, broken(cut(data)), whole=True)
    assert kept.length(upload) == 6
    assert kept.append(upload, 6, cut(data), whole=True) == 6 + size
    kept.finish_upload(upload)
    assert whole(kept, key) == b"begin " + data


def test_while_all_or_nothing_is_kept_the_caller_hears_of_each_piece(kept: Storage) -> None:
    upload, seen = kept.begin_upload(new_key()), []
    data = content(MEGABYTE)

    def checked() -> Iterator[bytes]:
        yield from cut(data)
        seen.append("all")

    kept.append(upload, 0, checked(), whole=True, meanwhile=lambda: seen.append("piece"))
    assert seen == ["all", *["piece"] * 8]


def test_finishing_again_is_no_error(kept: Storage) -> None:
    key, data = new_key(), content(9 * MEGABYTE)
    upload = kept.begin_upload(key)
    kept.append(upload, 0, cut(data))
    assert [kept.finish_upload(upload) for _ in range(2)] == [len(data)] * 2
    assert whole(kept, key) == data
    with pytest.raises(NoSuchUpload):
        kept.append(upload, len(data), [b"more"])
    with pytest.raises(NoSuchUpload):
        kept.length(upload)


@pytest.mark.parametrize("size", [0, 10, 9 * MEGABYTE])
def test_nothing_is_left_of_an_abandoned_upload(kept: Storage, size: int) -> None:
    upload = kept.begin_upload(new_key())
    kept.append(upload, 0, cut(content(size)))
    assert left_of_uploads(kept, upload) != []
    for _ in range(2):
        kept.abandon_upload(upload)
    assert left_of_uploads(kept, upload) == []
    for call in (kept.length, kept.finish_upload, lambda gone: kept.append(gone, size, [b"x"])):
        with pytest.raises(NoSuchUpload):
            call(upload)
    with pytest.raises(NoSuchObject):
        kept.size(upload.key)


def test_abandoning_a_finished_upload_leaves_the_object(kept: Storage) -> None:
    upload = kept.begin_upload(new_key())
    kept.append(upload, 0, [b"kept"])
    kept.finish_upload(upload)
    kept.abandon_upload(upload)
    assert whole(kept, upload.key) == b"kept"


def test_the_sweep_takes_uploads_that_nobody_touched_and_nothing_else(kept: Storage) -> None:
    begun = datetime.now(UTC) - timedelta(minutes=1)
    later = datetime.now(UTC) + timedelta(minutes=1)
    uploads = [kept.begin_upload(new_key()) for _ in range(3)]
    kept.append(uploads[1], 0, [b"an end"])
    kept.append(uploads[2], 0, cut(content(9 * MEGABYTE)))
    key = new_key()
    kept.store(key, [b"an object"], "text/plain")
    kept.remove_leftovers(begun, begun)
    assert [kept.length(upload) for upload in uploads] == [0, 6, 9 * MEGABYTE]
    assert kept.remove_leftovers(later, begun) >= len(uploads)
    assert [left_of_uploads(kept, upload) for upload in uploads] == [[], [], []]
    assert whole(kept, key) == b"an object"
    assert kept.remove_leftovers(later, begun) == 0
