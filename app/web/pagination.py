"""Opaque cursors and pages of lists."""

from __future__ import annotations

import base64
import binascii
from typing import Generic, TypeVar

import orjson
from typing_extensions import TypedDict

from app.errors import ValidationFailed

Item = TypeVar("Item")


class ItemPage(TypedDict, Generic[Item]):
    """One page of a list; `next_cursor` is null on the last."""

    items: list[Item]
    next_cursor: str | None


def encode_cursor(*position: int | str | bool) -> str:
    """An opaque cursor that stands for a position in a sorted list."""
    return base64.urlsafe_b64encode(orjson.dumps(position)).rstrip(b"=").decode()


def decode_cursor(cursor: str, *kinds: type) -> tuple[int | str | bool, ...]:
    """The position of a cursor, whose parts are of `kinds`; raises ValidationFailed for one that is not ours."""
    try:
        position = orjson.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (ValueError, binascii.Error):
        position = None
    if (
        not isinstance(position, list)
        or len(position) != len(kinds)
        or any(type(part) is not kind for part, kind in zip(position, kinds, strict=True))
        # Past PostgreSQL's bigint, which a number of ours never is.
        or any(isinstance(part, int) and abs(part) >= 2**63 for part in position)
        # Nor can it store NUL.
        or any(isinstance(part, str) and "\0" in part for part in position)
    ):
        raise ValidationFailed(errors=[{"field": "cursor", "message": "not a cursor of this list"}])
    return tuple(position)
