"""Objects are stored, read, listed and deleted alike in a folder and in a bucket."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from app.infra.storage import BadKey, NoSuchObject, Reading, Storage, Upload, new_key
from app.infra.storage.protocol import PIECE
from tests.storage.places import MEGABYTE, broken, content, cut, left_of_uploads, whole

_BAD_KEYS = [
    "",
    "../../../../etc/passwd",
    "/etc/passwd",
    "a" * 31,
    "a" * 33,
    "A" * 32,
    "a" * 32 + "\n",
    "a" * 30 + "/a",
    "a" * 29 + "/..",
    "a" * 31 + "\0",
    "a" * 31 + "٣",
    "photo.png",
]
_CALLS: dict[str, Callable[[Storage, str], object]] = {
    "store": lambda kept, key: kept.store(key, [b""], "text/plain"),
    "read": lambda kept, key: kept.read(key),
    "size": lambda kept, key: kept.size(key),
    "delete": lambda kept, key: kept.delete([new_key(), key]),
    "begin_upload": lambda kept, key: kept.begin_upload(key),
    "length": lambda kept, key: kept.length(Upload(key, "")),
    "append": lambda kept, key: kept.append(Upload(key, ""), 0, [b""]),
    "finish_upload": lambda kept, key: kept.finish_upload(Upload(key, "")),
    "abandon_upload": lambda kept, key: kept.abandon_upload(Upload(key, "")),
    "download_link": lambda kept, key: kept.download_link(key, "text/plain", "inline", 60),
    "upload_form": lambda kept, key: kept.upload_form(key, "text/plain", 10, 60),
    "accept_posted": lambda kept, key: kept.accept_posted(key, new_key()),
    "accept_posted as": lambda kept, key: kept.accept_posted(new_key(), key),
    "internal_path": lambda kept, key: kept.internal_path(key),
}


@pytest.mark.parametrize("size", [0, 1, PIECE - 1, PIECE, PIECE + 1, 3 * MEGABYTE, 17 << 20, 33 << 20])
def test_what_was_stored_is_read_again(kept: Storage, size: int) -> None:
    key, data = new_key(), content(size)
    kept.store(key, cut(data), "application/pdf")
    assert kept.size(key) == size
    assert whole(kept, key) == data


@pytest.mark.parametrize(
    ("start", "stop"),
    [
        *((0, 1), (0, None), (5, 5), (7, 3), (1, 400_000), (PIECE, 2 * PIECE)),
        *((299_999, None), (299_999, 900_000), (300_000, None), (300_000, 300_001), (900_000, None)),
    ],
)
def test_any_range_is_read(kept: Storage, start: int, stop: int | None) -> None:
    key, data = new_key(), content(300_000)
    kept.store(key, cut(data), "text/plain")
    with kept.read(key, start, stop) as pieces:
        assert b"".join(pieces) == data[start:stop]


def test_pieces_are_small(kept: Storage) -> None:
    key = new_key()
    kept.store(key, [content(2 * MEGABYTE)], "text/plain")
    with kept.read(key) as pieces:
        assert {len(piece) for piece in pieces} <= set(range(1, 262_145))


@pytest.mark.parametrize(("start", "stop"), [(0, None), (5, None), (5, 5)])
def test_what_is_not_there_is_said_before_the_first_piece(kept: Storage, start: int, stop: int | None) -> None:
    with pytest.raises(NoSuchObject):
        kept.read(new_key(), start, stop)
    with pytest.raises(NoSuchObject):
        kept.size(new_key())


def test_storing_again_replaces(kept: Storage) -> None:
    key = new_key()
    kept.store(key, [b"the first, and longer"], "text/plain")
    kept.store(key, [b"the second"], "text/plain")
    assert whole(kept, key) == b"the second"


@pytest.mark.parametrize("size", [0, 3 * MEGABYTE, 34 * MEGABYTE])
def test_a_client_that_breaks_off_leaves_what_was_there(kept: Storage, size: int) -> None:
    fresh, taken = new_key(), new_key()
    kept.store(taken, [b"before"], "text/plain")
    for key in (fresh, taken):
        with pytest.raises(ConnectionResetError):
            kept.store(key, broken(cut(content(size))), "text/plain")
    assert whole(kept, taken) == b"before"
    with pytest.raises(NoSuchObject):
        kept.size(fresh)
    # Neither drafts nor parts are left for the sweep.
    assert [left_of_uploads(kept, Upload(key, "")) for key in (fresh, taken)] == [[], []]


def test_deleting_takes_all_and_does_not_mind_what_is_gone(kept: Storage) -> None:
    there = sorted(new_key() for _ in range(3))
    for key in there:
        kept.store(key, [b"x"], "text/plain")
    asked = [new_key() for _ in range(1200)]
    for _ in range(2):
        kept.delete([there[0], *asked, there[2]])
    found = [key for key in there if [each.key for each in kept.keys(key)]]
    assert found == [there[1]]
    with pytest.raises(NoSuchObject):
        kept.read(there[2])
    kept.delete([])


def test_objects_are_listed_in_order_from_any_place(kept: Storage) -> None:
    beginning = new_key()[:12]
    names = sorted(beginning + new_key()[12:] for _ in range(7))
    earliest = datetime.now(UTC) - timedelta(seconds=5)
    for size, name in enumerate(names):
        kept.store(name, [b"x" * size], "text/plain")
    listed = kept.keys(beginning)
    assert [(each.key, each.size) for each in listed] == [(name, size) for size, name in enumerate(names)]
    assert all(earliest < each.changed_at < datetime.now(UTC) + timedelta(seconds=5) for each in listed)
    assert [each.key for each in kept.keys(beginning, after=names[2])] == names[3:]
    assert [each.key for each in kept.keys(beginning, after=names[2], limit=2)] == names[3:5]
    assert kept.keys(beginning, after=names[-1]) == []
    assert kept.keys(beginning, limit=0) == []


def test_all_objects_are_come_past_page_by_page(kept: Storage) -> None:
    stored = {new_key() for _ in range(12)}
    for key in stored:
        kept.store(key, [b"x"], "text/plain")
    seen: list[str] = []
    while page := kept.keys(after=seen[-1] if seen else "", limit=5):
        seen += [each.key for each in page]
    assert seen == sorted(set(seen))
    assert stored <= set(seen)


@pytest.mark.parametrize("call", _CALLS)
def test_nothing_but_a_key_is_a_key(kept: Storage, call: str) -> None:
    for key in _BAD_KEYS:
        with pytest.raises(BadKey):
            _CALLS[call](kept, key)


def test_nothing_but_keys_is_listed(kept: Storage) -> None:
    for text in ("..", "a/", "A", "a" * 33, "\n"):
        with pytest.raises(BadKey):
            kept.keys(prefix=text)
        with pytest.raises(BadKey):
            kept.keys(after=text)


def test_keys_are_long_and_differ() -> None:
    made = {new_key() for _ in range(1000)}
    assert len(made) == 1000
    assert {len(bytes.fromhex(key)) for key in made} == {16}


@pytest.mark.parametrize("ending", ["closed", "dropped", "read to the end"])
def test_a_reading_holds_nothing_after_its_end(kept: Storage, ending: str) -> None:
    def read() -> None:
        pieces = kept.read(key)
        next(iter(pieces))
        if ending == "closed":
            pieces.close()
            pieces.close()
        elif ending == "read to the end":
            for _ in pieces:
                pass
        if ending != "dropped":
            held.append(pieces)

    held: list[Reading] = []
    key = new_key()
    kept.store(key, [content(5 * MEGABYTE)], "text/plain")
    read()
    before = _open_files()
    for _ in range(10):
        read()
    assert _open_files() <= before


def test_many_read_at_once(kept: Storage) -> None:
    key, data = new_key(), content(2 * MEGABYTE)
    kept.store(key, [data], "text/plain")
    readings = [kept.read(key) for _ in range(12)]
    joined = [b"".join(pieces) for pieces in zip(*readings, strict=True)]
    assert b"".join(joined) == b"".join(piece * 12 for piece in _pieces(kept, key))


def _pieces(kept: Storage, key: str) -> list[bytes]:
    with kept.read(key) as pieces:
        return list(pieces)


def _open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))
