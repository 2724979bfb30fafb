"""What every way to send text messages offers."""

from __future__ import annotations

from typing import ClassVar, Protocol

# Seconds to connect, and again for the answer.
TIMEOUT = 5.0


class SmsFailed(Exception):
    """The provider refused the message; says how, without the text and without the whole number."""


class SmsProvider(Protocol):
    """Sends one text message."""

    name: ClassVar[str]
    waits: ClassVar[bool]
    """Whether sending waits for a network."""

    def send(self, phone: str, text: str) -> None:
        """Sends `text` to an E.164 number; raises SmsFailed or OSError."""
