"""What comes in and goes out of contacts."""

from __future__ import annotations

from app.users.schemas import User
from app.web.input import Page

__all__ = ["BlockQuery", "ContactQuery", "User"]


class ContactQuery(Page):
    """Which of one's contacts to list."""


class BlockQuery(Page):
    """Whom of those one has blocked to list."""
