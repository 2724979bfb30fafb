"""Files as an upload leaves them, and what is left of them."""

from __future__ import annotations

import hashlib
from typing import Any
from uuid import UUID, uuid4

from app.files.queries import files, objects
from app.files.service import processing
from app.infra.db import unit_of_work
from app.infra.storage import ANY_TYPE, new_key, storage
from app.messages import shown_files
from tests import factories
from tests.people import Person
from tests.processes import eventually


def upload(owner_id: int, content: bytes, name: str = "it") -> UUID:
    """A file that nobody has looked at, whose job was lost."""
    key, file_id = new_key(), uuid4()
    with unit_of_work() as unit:
        objects.expect(unit, key, 86_400)
    storage().store(key, [content], ANY_TYPE)
    with unit_of_work() as unit:
        new = files.NewFile(file_id, owner_id, name, len(content), hashlib.sha256(content).digest(), key)
        assert files.insert(unit, new)
        assert objects.claim(unit, key)
    return file_id


def process(file_id: UUID) -> dict[str, Any]:
    """Looks at a file and tells of it, as the jobs do: its row."""
    processing.process_file(file_id)
    shown_files.tell_of_file(file_id)
    # The worker of other tests may be at it, and then it is left to that.
    untold = "SELECT count(*) FROM untold_files WHERE file_id = :id"
    eventually(lambda: factories.scalar(untold, id=str(file_id)) == 0)
    return row(file_id)


def process_after_pause(file_id: UUID) -> dict[str, Any]:
    """The same once the pause is over after which what storage or clamd could not do is tried again."""
    assert factories.scalar("SELECT try_after > now() + interval '20 s' FROM files WHERE id = :id", id=str(file_id))
    factories.run("UPDATE files SET try_after = now() WHERE id = :id", id=str(file_id))
    return process(file_id)


def row(file_id: UUID) -> dict[str, Any]:
    """The row of a file."""
    (found,) = factories.rows("SELECT * FROM files WHERE id = :id", id=str(file_id))
    return dict(found)


def is_there(file_id: UUID) -> bool:
    """Whether a file has a row."""
    return bool(factories.scalar("SELECT count(*) FROM files WHERE id = :id", id=str(file_id)))


def keys(file_id: UUID) -> dict[str, str]:
    """The keys of a file's objects by variant."""
    found = factories.rows("SELECT variant, key FROM file_objects WHERE file_id = :id", id=str(file_id))
    return {each["variant"]: each["key"] for each in found}


def content(file_id: UUID, variant: str = "original") -> bytes:
    """The bytes of one of a file's objects."""
    with storage().read(keys(file_id)[variant]) as pieces:
        return b"".join(pieces)


def stored() -> set[str]:
    """The keys of all objects that storage holds."""
    found: set[str] = set()
    after = ""
    while page := storage().keys(after=after):
        found |= {each.key for each in page}
        after = page[-1].key
    return found


def known() -> set[str]:
    """The keys that rows of files have."""
    return {each["key"] for each in factories.rows("SELECT key FROM file_objects")}


def send_file(sender: Person, chat_id: int, file_id: UUID, **fields: Any) -> Any:
    """Sends a message that shows a file: the Message."""
    return sender.post("/messages", {"chat_id": chat_id, "file_id": str(file_id), **fields})
