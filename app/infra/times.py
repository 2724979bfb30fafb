"""How times are written: RFC 3339, UTC, milliseconds."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, overload

from pydantic import WithJsonSchema

_WHOLE = len("2026-11-22 10:02:00.123456+00")

Timestamp = Annotated[str, WithJsonSchema({"type": "string", "format": "date-time"})]


@overload
def rfc3339(moment: datetime) -> str: ...
@overload
def rfc3339(moment: None) -> None: ...
def rfc3339(moment: datetime | None) -> str | None:
    """Writes `2026-11-22T10:02:00.123Z`; None stays None."""
    if moment is None:
        return None
    if moment.tzinfo is not UTC:
        moment = moment.astimezone(UTC)
    return moment.isoformat(timespec="milliseconds")[:23] + "Z"


def from_text(moment: str) -> str:
    """The same of PostgreSQL's own text in UTC, `2026-11-22 10:02:00.123456+00`, which leaves out its last zeros.

    A fifth of what it costs to make an object of it first.
    """
    if len(moment) == _WHOLE:
        return f"{moment[:10]}T{moment[11:23]}Z"
    return f"{moment[:10]}T{moment[11:19]}.{(moment[20:-3] + '000')[:3]}Z"
