"""Takes a file that its owner has deleted from the messages and chats that show it, a few at a time.

The file is out of everybody's reach already. What is left to do stands in the tables, so it may die anywhere, and run
again.
"""

from __future__ import annotations

from uuid import UUID

from app.chats.locking import hold_chat, next_revision
from app.chats.message import present
from app.chats.service import tell_all
from app.files import service as files
from app.infra.db import unit_of_work
from app.messages import events, forget_queries, queries

# Messages of a chat in one transaction, which holds the chat's row.
_MOST_MESSAGES = 50


def forget_file(file_id: UUID) -> None:
    """Takes a deleted file from all that shows it, tells those who see that, and then deletes its row."""
    while _strip_some(file_id):
        pass
    while _drop_an_avatar(file_id):
        pass
    with unit_of_work() as unit:
        files.forget_deleted(unit, file_id)


def _strip_some(file_id: UUID) -> bool:
    """Sees to some messages of one chat; False where there are none."""
    with unit_of_work() as unit:
        chat_id = forget_queries.showing_chat(unit, file_id)
        if chat_id is None:
            return False
        chat = hold_chat(unit, chat_id)
        for message_id in forget_queries.take(unit, file_id, chat_id, _MOST_MESSAGES):
            row = None if chat is None else forget_queries.strip(unit, message_id, next_revision(unit, chat))
            if row is not None and chat is not None:
                message = present(row)
                hidden_from = queries.hidden_from(unit, chat_id, message["seq"])
                events.message_updated(unit, chat.members_revision, message, hidden_from)
    return True


def _drop_an_avatar(file_id: UUID) -> bool:
    """Sees to one chat whose avatar it is; False where there is none."""
    with unit_of_work() as unit:
        chat_id = forget_queries.avatar_chat(unit, file_id)
        chat = None if chat_id is None else hold_chat(unit, chat_id)
        if chat is None:
            return False
        forget_queries.drop_avatar(unit, file_id, chat.id)
        next_revision(unit, chat)
        tell_all(unit, chat.id, chat.member_count)
    return True
