"""Every SQL statement about messages, but for the unread fan-out's."""

from app.messages.queries.changing import Found, delete_for_everyone, delete_for_one, edit, find
from app.messages.queries.reading import Page, Place, Row, by_id, by_seq, id_at, newer, older
from app.messages.queries.sending import Send, Sent, Undecided, send_alone, send_batch

__all__ = [
    "Found",
    "Page",
    "Place",
    "Row",
    "Send",
    "Sent",
    "Undecided",
    "by_id",
    "by_seq",
    "delete_for_everyone",
    "delete_for_one",
    "edit",
    "find",
    "id_at",
    "newer",
    "older",
    "send_alone",
    "send_batch",
]
