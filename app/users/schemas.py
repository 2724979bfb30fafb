"""What comes in and goes out of people."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from app.auth.profile import User
from app.web.input import Page, Text

__all__ = ["User", "UserQuery"]


class UserQuery(Page):
    """Whom to find: beginnings of names, of a username, or a whole phone number."""

    q: Annotated[Text, StringConstraints(strip_whitespace=True), Field(min_length=1, max_length=64)]
