"""Files in a folder: UPLOAD_DIR.

    objects/ab/cd/abcd...   the objects, over 65,536 folders
    incoming/               what is being stored
    uploads/                uploads that go on later; the file's size is the length

All in one file system, so that renaming makes an object appear at once.
"""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from pathlib import Path
from typing import IO

from app.infra.storage.disk_files import DiskReading, disk_errors, publish, sync_folder, write_all
from app.infra.storage.keys import checked, checked_beginning, is_key
from app.infra.storage.protocol import (
    ANY_TYPE,
    NoSuchObject,
    NoSuchUpload,
    Stored,
    Upload,
    UploadBusy,
    UploadForm,
    WrongOffset,
    nothing,
)
from app.infra.storage.spool import Spool, gathered
from app.infra.threads import with_files


class DiskStorage:
    """Keeps objects as files; see Storage for what each call does."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._objects = folder / "objects"
        self._incoming = folder / "incoming"
        self._uploads = folder / "uploads"

    def store(self, key: str, chunks: Iterable[bytes], content_type: str) -> None:  # noqa: ARG002 - files have no type
        """Writes a draft, and renames it once it is on the disk."""
        target = self._path(key)
        draft = self._incoming / f"{key}.{secrets.token_hex(4)}"
        with disk_errors():
            file = with_files(lambda: _created(draft))
        try:
            with closing(file):
                for piece in gathered(chunks):
                    with disk_errors():
                        with_files(partial(write_all, file, piece))
                with disk_errors():
                    with_files(lambda: publish(file, draft, target))
        except BaseException:
            with disk_errors():
                with_files(lambda: draft.unlink(missing_ok=True))
            raise

    def read(self, key: str, start: int = 0, stop: int | None = None) -> DiskReading:
        """Opens the file; a deletion does not disturb who reads already."""
        path = self._path(key)
        with disk_errors():
            try:
                return DiskReading(with_files(lambda: _opened(path, start)), start, stop)
            except FileNotFoundError:
                raise NoSuchObject from None

    def size(self, key: str) -> int:
        """The file's size."""
        path = self._path(key)
        with disk_errors():
            try:
                return with_files(path.stat).st_size
            except FileNotFoundError:
                raise NoSuchObject from None

    def delete(self, keys: Sequence[str]) -> None:
        """Removes the files. One that a loss of power brings back has no row, and is swept."""
        paths = [self._path(key) for key in keys]

        def unlink() -> None:
            for path in paths:
                path.unlink(missing_ok=True)

        with disk_errors():
            with_files(unlink)

    def keys(self, prefix: str = "", after: str = "", limit: int = 1000) -> list[Stored]:
        """Walks the folders in their order, from that of `after` on."""
        checked_beginning(prefix)
        checked_beginning(after)
        with disk_errors():
            return with_files(lambda: list(islice(_listed(self._objects, prefix, after), limit)))

    def begin_upload(self, key: str, content_type: str = ANY_TYPE) -> Upload:  # noqa: ARG002
        """Makes an empty file, or empties the one there is."""
        path = self._partial(key)

        def begin() -> None:
            with _created(path) as file:
                os.fsync(file.fileno())
            sync_folder(path.parent)

        with disk_errors():
            with_files(begin)
        return Upload(key, "")

    def length(self, upload: Upload) -> int:
        """The size of the file."""
        path = self._partial(upload.key)
        with disk_errors():
            try:
                return with_files(path.stat).st_size
            except FileNotFoundError:
                raise NoSuchUpload from None

    def append(
        self,
        upload: Upload,
        offset: int,
        chunks: Iterable[bytes],
        *,
        whole: bool = False,
        meanwhile: Callable[[], object] = nothing,
    ) -> int:
        """Writes at the end and waits for the disk. A second one at the same time finds the file locked."""
        if not whole:
            return self._append(upload, offset, chunks)
        length = self.length(upload)
        if length != offset:
            raise WrongOffset(length)
        with Spool(self._incoming) as spool:
            for piece in gathered(chunks):
                spool.write(piece)
            return self._append(upload, offset, spool.pieces(meanwhile))

    def finish_upload(self, upload: Upload) -> int:
        """Renames the file to the object that it is."""
        path, target = self._partial(upload.key), self._path(upload.key)
        try:
            with closing(self._locked(path)) as file, disk_errors():
                with_files(lambda: publish(file, path, target))
        except NoSuchUpload:
            try:
                return self.size(upload.key)
            except NoSuchObject:
                raise NoSuchUpload from None
        return self.size(upload.key)

    def abandon_upload(self, upload: Upload) -> None:
        """Removes the file."""
        path = self._partial(upload.key)
        with disk_errors():
            with_files(lambda: path.unlink(missing_ok=True))

    def download_link(self, key: str, content_type: str, disposition: str, seconds: int) -> str | None:  # noqa: ARG002
        """None: the API sends files of a disk."""
        checked(key)
        return None

    def upload_form(self, key: str, content_type: str, largest: int, seconds: int) -> UploadForm | None:  # noqa: ARG002
        """None: the API takes files for a disk."""
        checked(key)
        return None

    def accept_posted(self, key: str, target: str) -> int:
        """Raises NoSuchObject: nothing is ever posted here."""
        checked(key)
        checked(target)
        raise NoSuchObject

    def internal_path(self, key: str) -> str | None:
        """The file's path below UPLOAD_DIR."""
        return self._path(key).relative_to(self._folder).as_posix()

    def remove_leftovers(self, before: datetime, posted_before: datetime) -> int:  # noqa: ARG002 - nothing is posted.
        """Removes drafts and unfinished uploads that were last written to before."""
        moment = before.timestamp()
        with disk_errors():
            return with_files(lambda: sum(_removed(self._incoming, moment)) + sum(_removed(self._uploads, moment)))

    def _path(self, key: str) -> Path:
        checked(key)
        return self._objects / key[:2] / key[2:4] / key

    def _partial(self, key: str) -> Path:
        return self._uploads / checked(key)

    def _append(self, upload: Upload, offset: int, chunks: Iterable[bytes]) -> int:
        with closing(self._locked(self._partial(upload.key))) as file:
            length = file.seek(0, os.SEEK_END)
            if length != offset:
                raise WrongOffset(length)
            try:
                for piece in gathered(chunks):
                    with disk_errors():
                        with_files(partial(write_all, file, piece))
            finally:
                with disk_errors():
                    with_files(lambda: os.fsync(file.fileno()))
            return file.tell()

    def _locked(self, path: Path) -> IO[bytes]:
        """The file of an upload, for us alone. Raises NoSuchUpload, UploadBusy."""
        with disk_errors():
            try:
                return with_files(lambda: _exclusive(path))
            except FileNotFoundError:
                raise NoSuchUpload from None
            except BlockingIOError:
                raise UploadBusy from None


def _created(path: Path) -> IO[bytes]:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.open("wb", buffering=0)


def _opened(path: Path, start: int) -> IO[bytes]:
    file = path.open("rb", buffering=0)
    if start:
        file.seek(start)
    return file


def _exclusive(path: Path) -> IO[bytes]:
    file = path.open("r+b", buffering=0)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Finished or removed between the opening and the lock, it is another file, or none, by now.
        if path.stat().st_ino != os.fstat(file.fileno()).st_ino:
            raise FileNotFoundError(path)
    except BaseException:
        file.close()
        raise
    return file


def _listed(objects: Path, prefix: str, after: str) -> Iterator[Stored]:
    for first in _names(objects, prefix[:2], after[:2]):
        rest_of_first = after[2:4] if first == after[:2] else ""
        for second in _names(objects / first, prefix[2:4], rest_of_first):
            folder = objects / first / second
            for name in _names(folder, prefix, after):
                if name == after or not is_key(name):
                    continue
                try:
                    found = (folder / name).stat()
                except FileNotFoundError:
                    continue
                yield Stored(name, found.st_size, datetime.fromtimestamp(found.st_mtime, UTC))


def _names(folder: Path, beginning: str, least: str) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entry.name for entry in entries if entry.name.startswith(beginning) and entry.name >= least)
    except (FileNotFoundError, NotADirectoryError):
        return []


def _removed(folder: Path, moment: float) -> Iterator[bool]:
    for name in _names(folder, "", ""):
        path = folder / name
        try:
            if path.stat().st_mtime < moment:
                path.unlink()
                yield True
        except FileNotFoundError:
            continue
