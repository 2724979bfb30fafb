"""Parts of a file and what is known already: Range, If-Range and If-None-Match (RFC 9110, sections 13 and 14)."""

from __future__ import annotations

import re

from app.errors import RangeNotSatisfiable

_RANGE = re.compile(r"bytes=[ \t]*([0-9]{0,18})-([0-9]{0,18})[ \t]*", re.IGNORECASE)


def wanted_part(header: str | None, size: int) -> tuple[int, int] | None:
    """The first byte that is asked for and the one after the last; None for all of them.

    What is no range, or several, is answered whole, as it may be. Raises RangeNotSatisfiable.
    """
    match = _RANGE.fullmatch(header or "")
    if match is None:
        return None
    first, last = match.groups()
    if not first:
        if not last:
            return None
        if int(last) == 0 or size == 0:
            raise RangeNotSatisfiable
        return max(0, size - int(last)), size
    start = int(first)
    if last and int(last) < start:
        return None
    if start >= size:
        raise RangeNotSatisfiable
    return start, min(int(last) + 1, size) if last else size


def is_known(if_none_match: str | None, tag: str) -> bool:
    """Whether the client holds what has this tag."""
    if if_none_match is None:
        return False
    given = {each.strip().removeprefix("W/") for each in if_none_match.split(",")}
    return "*" in given or tag in given


def may_continue(if_range: str | None, tag: str) -> bool:
    """Whether a part may be answered: the client goes on with what it began, or does not say with what."""
    return if_range is None or if_range.strip() == tag
