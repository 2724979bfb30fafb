"""What may stand in a path: ids as the database has them, so that nothing else ever reaches a statement."""

from __future__ import annotations

from werkzeug.routing import BaseConverter, ValidationError

from app.web.input import LARGEST_ID


class IdConverter(BaseConverter):
    """`<int:chat_id>`: 1 to 2^53 - 1 in plain ASCII digits, written in one way only; the path is unknown otherwise."""

    regex = "[1-9][0-9]{0,15}"

    def to_python(self, value: str) -> int:
        """The id; ValidationError (a 404) above 2^53 - 1."""
        number = int(value)
        if number > LARGEST_ID:
            raise ValidationError
        return number

    def to_url(self, value: int) -> str:
        """The digits of an id."""
        return str(value)
