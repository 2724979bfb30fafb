"""A form with a file in it (RFC 7578), read as it comes: nothing of the file stays in memory or on disk."""

from __future__ import annotations

from collections.abc import Iterator

from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.sansio import multipart

from app.errors import MalformedRequest, TooLarge, ValidationFailed

# The file's name and the other fields, with what surrounds them; and the most that is held of anything else.
LARGEST_SURROUNDINGS = 65_536
_LARGEST_BUFFER = 524_288
_LONGEST_FIELD = 1_000
_MOST_PARTS = 10


class MultipartForm:
    """Reads a form with the field `file` and some of the text fields `allowed`.

    First `read_to_file()`, then all of `file_chunks()`, then `read_to_end()`; `fields` holds the texts that have come.
    All raise MalformedRequest, ValidationFailed, and what reading the chunks raises.
    """

    def __init__(self, chunks: Iterator[bytes], boundary: str, allowed: frozenset[str]) -> None:
        self.fields: dict[str, str] = {}
        self.filename = ""
        self._chunks = chunks
        self._allowed = allowed
        self._has_file = False
        self._decoder = multipart.MultipartDecoder(boundary.encode(), _LARGEST_BUFFER, max_parts=_MOST_PARTS)

    def read_to_file(self) -> None:
        """Reads the fields before the file, and the file's name."""
        self._read_fields()
        if not self._has_file:
            raise ValidationFailed(errors=[{"field": "file", "message": "is missing"}])

    def file_chunks(self) -> Iterator[bytes]:
        """The bytes of the file."""
        yield from self._data()

    def read_to_end(self) -> None:
        """Reads the fields after the file."""
        self._read_fields()

    def _read_fields(self) -> None:
        while True:
            event = self._next()
            if isinstance(event, multipart.Epilogue):
                return
            if isinstance(event, multipart.File):
                if event.name != "file" or self._has_file:
                    raise _refused(event.name, "is not a file that is taken here; send one, named file")
                self._has_file = True
                self.filename = event.filename
                return
            if isinstance(event, multipart.Field):
                self._read_field(event.name)

    def _read_field(self, name: str) -> None:
        if name == "file":
            raise _refused(name, "must be a file: it has no filename")
        if name not in self._allowed or name in self.fields:
            raise _refused(name, "is not known here, or was given twice")
        value = bytearray()
        for piece in self._data():
            value += piece
            if len(value) > _LONGEST_FIELD:
                raise _refused(name, "is too long")
        try:
            self.fields[name] = value.decode()
        except UnicodeDecodeError:
            raise _refused(name, "must be UTF-8") from None

    def _data(self) -> Iterator[bytes]:
        while True:
            event = self._next()
            if not isinstance(event, multipart.Data):
                raise MalformedRequest("The form is not well-formed.")
            if event.data:
                yield event.data
            if not event.more_data:
                return

    def _next(self) -> multipart.Event:
        while True:
            try:
                event = self._decoder.next_event()
                if not isinstance(event, multipart.NeedData):
                    return event
                self._decoder.receive_data(next(self._chunks, None))
            except RequestEntityTooLarge:
                raise TooLarge("The form has too many fields, or too large ones.") from None
            except (ValueError, AttributeError) as error:  # The decoder's own, for headers that are none.
                raise MalformedRequest("The form is not well-formed.") from error


def _refused(name: str | None, message: str) -> ValidationFailed:
    return ValidationFailed(errors=[{"field": str(name)[:100], "message": message}])
