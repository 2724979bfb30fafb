"""Taking a file that comes whole, in a form."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from uuid import UUID, uuid4

from app.errors import RateLimited, TooLarge, ValidationFailed
from app.files.file import File
from app.files.multipart import MultipartForm
from app.files.names import clean_name
from app.files.queries import files, objects
from app.files.service.storing import add_file, check_room, check_waiting, discard
from app.infra.db import UnitOfWork, unit_of_work
from app.infra.storage import ANY_TYPE, new_key, storage
from config import settings

FORM_FIELDS = frozenset({"id"})
# How many uploads of whom run in this process.
_uploads: Counter[int] = Counter()
# No upload takes that long: its object is no longer expected.
_LONGEST_SECONDS = 86_400


def receive_file(
    owner_id: int, form: MultipartForm, declared: int, allowed: Callable[[UnitOfWork], None]
) -> tuple[File, bool]:
    """Stores the file of a form as it comes, and tells whether it is new; one with an id that the person has already
    sent with the same bytes is not.

    `declared` is the length that the request says, or 0. `allowed` is asked in the end once more, since bytes come as
    slowly as the client likes. Nothing is left where it fails or the client goes away. Raises MalformedRequest,
    TooLarge, ValidationFailed, QuotaExceeded, FilesWaiting, RateLimited, FileIdReused, and what `allowed` raises.
    """
    with _running(owner_id):
        return _receive(owner_id, form, declared, allowed)


@contextmanager
def _running(owner_id: int) -> Iterator[None]:
    """One of the uploads of a person that this process takes at the same time; raises RateLimited past UPLOADS_AT_ONCE.

    What is on its way counts for no quota yet, so there must be little of it.
    """
    if _uploads[owner_id] >= settings().uploads_at_once:
        raise RateLimited("You are sending several files already: wait until one has arrived.", retry_after=1)
    _uploads[owner_id] += 1
    try:
        yield
    finally:
        _uploads[owner_id] -= 1
        if not _uploads[owner_id]:
            del _uploads[owner_id]


def _receive(
    owner_id: int, form: MultipartForm, declared: int, allowed: Callable[[UnitOfWork], None]
) -> tuple[File, bool]:
    form.read_to_file()
    key = new_key()
    with unit_of_work() as unit:
        if not _is_repeated(unit, owner_id, _wanted_id(form)):
            check_room(unit, owner_id, declared)
            check_waiting(unit, owner_id)
        objects.expect(unit, key, _LONGEST_SECONDS)
    is_new = False
    try:
        counted = _Counted(form.file_chunks(), settings().max_file_size)
        storage().store(key, counted, ANY_TYPE)
        form.read_to_end()
        name, file_id = clean_name(form.filename), _wanted_id(form) or uuid4()
        with unit_of_work() as unit:
            allowed(unit)
            new = files.NewFile(file_id, owner_id, name, counted.size, counted.digest, key)
            file, is_new = add_file(unit, new)
    finally:
        if not is_new:
            discard([key])
    return file, is_new


def _wanted_id(form: MultipartForm) -> UUID | None:
    given = form.fields.get("id")
    return None if given is None else read_id(given)


def _is_repeated(unit: UnitOfWork, owner_id: int, file_id: UUID | None) -> bool:
    """Whether the person has a file under the id already, so that nothing is added to what they have."""
    known = None if file_id is None else files.known(unit, file_id)
    return known is not None and known.owner_id == owner_id


def read_id(given: str) -> UUID:
    """The UUID that a client chose; raises ValidationFailed."""
    try:
        file_id = UUID(given)
    except ValueError:
        file_id = None
    if file_id is None or str(file_id) != given.lower():
        raise ValidationFailed(errors=[{"field": "id", "message": "must be a UUID, as 8-4-4-4-12 hexadecimal digits"}])
    return file_id


class _Counted:
    """The chunks, counted and hashed on their way; raises TooLarge past the limit."""

    def __init__(self, chunks: Iterator[bytes], most: int) -> None:
        self.size = 0
        self._chunks = chunks
        self._most = most
        self._hash = hashlib.sha256()

    @property
    def digest(self) -> bytes:
        return self._hash.digest()

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._chunks:
            self.size += len(chunk)
            if self.size > self._most:
                raise TooLarge("The file is larger than this server accepts.")
            self._hash.update(chunk)
            yield chunk
