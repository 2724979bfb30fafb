"""Every SQL statement about messages, but for the unread fan-out's."""

from app.messages.queries.changing import Found, delete_for_everyone, delete_for_one, edit, find, hidden_from
from app.messages.queries.reading import Page, Place, Row, View, by_seq, id_at, newer, older, view
from app.messages.queries.sending import Remembered, Send, Sent, Undecided, remembered, send_alone, send_batch

__all__ = [
    "Found",
    "Page",
    "Place",
    "Remembered",
    "Row",
    "Send",
    "Sent",
    "Undecided",
    "View",
    "by_seq",
    "delete_for_everyone",
    "delete_for_one",
    "edit",
    "find",
    "hidden_from",
    "id_at",
    "newer",
    "older",
    "remembered",
    "send_alone",
    "send_batch",
    "view",
]
