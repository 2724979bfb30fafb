"""The rules of catching up."""

from __future__ import annotations

from app.infra.db import UnitOfWork
from app.sync import queries
from app.web.pagination import encode_cursor


def current_cursor(unit: UnitOfWork) -> str:
    """A cursor of now: rows may come twice after it, and never not at all."""
    return encode_cursor(queries.horizon(unit))
