"""Every SQL statement about chats, by what it is about."""

from app.chats.queries.views import CHAT_COLUMNS, CHAT_JOINS, MY_CHATS, Row

__all__ = ["CHAT_COLUMNS", "CHAT_JOINS", "MY_CHATS", "Row"]
