"""What comes in and goes out of signing in and one's own profile."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AfterValidator, Field
from typing_extensions import TypedDict

from app.auth import phones
from app.auth.profile import User
from app.infra.times import Timestamp
from app.web.input import Body, Page, Text

Purpose = Literal["register", "reset"]
"""What a one-time code is for."""


def _one_line(text: str) -> str:
    """Refuses control characters, which would break a line of names; drops the spaces around."""
    if any(unicodedata.category(character) == "Cc" for character in text):
        raise ValueError("must be one line without control characters")
    return text.strip()


def _not_blank(text: str) -> str:
    if not text:
        raise ValueError("must not be blank")
    return text


Phone = Annotated[Text, AfterValidator(phones.normalized), Field(examples=["+15550001111"])]
Password = Annotated[Text, Field(min_length=8, max_length=256)]
GivenPassword = Annotated[Text, Field(min_length=1, max_length=256)]
"""A password to be checked: what is too short for a new one is simply wrong."""
Code = Annotated[str, Field(pattern=r"^[0-9]{6}$", examples=["123456"])]
FirstName = Annotated[Text, Field(max_length=64), AfterValidator(_one_line), AfterValidator(_not_blank)]
LastName = Annotated[Text, Field(max_length=64), AfterValidator(_one_line)]
Username = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]{2,31}$", examples=["ada_lovelace"])]
Bio = Annotated[Text, Field(max_length=140)]


class Register(Body):
    """A sign-up."""

    phone: Phone
    password: Password
    first_name: FirstName
    last_name: LastName | None = None
    username: Username


class PhoneOnly(Body):
    """A number to send a code to."""

    phone: Phone


class Verify(Body):
    """The code that proves a number."""

    phone: Phone
    code: Code


class Login(Body):
    """Credentials."""

    phone: Phone
    password: GivenPassword


class Refresh(Body):
    """The refresh token that is good now."""

    refresh_token: Annotated[str, Field(min_length=1, max_length=4096)]


class ResetPassword(Body):
    """A new password, by the code sent by `password/forgot`."""

    phone: Phone
    code: Code
    new_password: Password


class ChangePassword(Body):
    """A new password, by the old one."""

    old_password: GivenPassword
    new_password: Password


class ProfileChange(Body):
    """What to change of one's profile: absent fields stay, null clears."""

    # Factories, because a default in the documentation would look like what an absent field means.
    first_name: FirstName = Field(default_factory=str)
    last_name: LastName | None = Field(default_factory=lambda: None)
    username: Username | None = Field(default_factory=lambda: None)
    bio: Bio | None = Field(default_factory=lambda: None)
    avatar_file_id: UUID | None = Field(default_factory=lambda: None)


class SessionQuery(Page):
    """Which of one's sessions to list."""


class CodeSent(TypedDict):
    """Whether or not a code was sent: how long one would be good, and after how many seconds to ask again."""

    phone: str
    expires_in: int
    resend_after: int


class TokenPair(TypedDict):
    """Tokens of a session; `expires_in` is the access token's life in seconds."""

    access_token: str
    refresh_token: str
    expires_in: int


class SignedIn(TokenPair):
    """Who is signed in now, and the tokens."""

    user: User


class SocketTicket(TypedDict):
    """A ticket for one WebSocket handshake; `expires_in` is its life in seconds."""

    ticket: str
    expires_in: int


class SessionInfo(TypedDict):
    """A device that is signed in."""

    id: str
    device: str
    address: str | None
    created_at: Timestamp
    used_at: Timestamp
    current: bool


@dataclass(frozen=True, slots=True)
class Client:
    """What is known of who asks: a name of the device and the network address."""

    device: str
    address: str | None


@dataclass(frozen=True, slots=True)
class NewUser:
    """A person to create; `phone` in E.164."""

    phone: str
    first_name: str
    last_name: str | None
    username: str | None
