"""What comes in and goes out of receipts."""

from __future__ import annotations

from typing_extensions import TypedDict

from app.infra.times import Timestamp
from app.users.schemas import User
from app.web.input import Body, Id, Page


class DeliveredFrame(Body):
    """Everything up to a message has arrived at the client."""

    chat_id: Id
    message_id: Id


class ReceiptQuery(Page):
    """Which page of a message's readers."""


class Receipt(TypedDict):
    """Somebody who has read a message, and when."""

    user: User
    read_at: Timestamp
