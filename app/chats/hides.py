"""Which messages people have deleted for themselves, as SQL for every statement that shows or counts messages.

Both conditions look at one row by a key, as a scalar: of an EXISTS the planner may make a hash of the whole table.
"""

from __future__ import annotations


def is_hidden(message: str, user_id: str) -> str:
    """The condition that a person has deleted a message for oneself; `message` has the columns chat_id and id."""
    return f"""coalesce((
      SELECT true FROM message_hides hide
      WHERE hide.user_id = {user_id} AND hide.chat_id = {message}.chat_id AND hide.message_id = {message}.id), false)"""


def is_hidden_at(place: str, user_id: str) -> str:
    """The same where only the place of the message is known; `place` has the columns chat_id and seq."""
    # Only who says `seq > 0` is served by the index that begins with chat_id and seq. A range of one person keeps the
    # planner off the primary key, by which all that the person has hidden in the chat would be looked through.
    return f"""coalesce((
      SELECT true FROM message_hides hide
      WHERE hide.chat_id = {place}.chat_id AND hide.seq = {place}.seq AND hide.seq > 0
        AND hide.user_id >= {user_id} AND hide.user_id <= {user_id} LIMIT 1), false)"""
