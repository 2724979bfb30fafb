"""What counts as unread, as SQL for every statement that counts: `s` is a row of user_chat_states, `c` its chat.

A message counts for a member who did not send it, for whom it is not deleted, and who has not read it; service messages
never do. `s.unread_count` holds those up to `s.counted_seq`. In a large chat a message that was deleted for everyone
stays in there until a worker has come to the member: it stands in `unread_removals`, and whoever reads the count leaves
it out.
"""

from __future__ import annotations

from app.chats.hides import is_hidden, is_hidden_at


def is_for(message: str, user_id: str) -> str:
    """The condition that a message counts for a person, unless it is deleted for everyone."""
    return (
        f"{message}.sender_id IS DISTINCT FROM {user_id} AND {message}.message_type <> 'service'"
        f" AND NOT {is_hidden(message, user_id)}"
    )


def is_held(message: str, user_id: str) -> str:
    """The condition that a counted message is in the person's `unread_count`: deleted ones, as long as they wait."""
    # A scalar, at most one row by its key: of an EXISTS the planner may make a hash of the whole table.
    return f"""{is_for(message, user_id)} AND ({message}.deleted_at IS NULL OR (
      SELECT w.passed_user_id FROM unread_removals w
      WHERE w.chat_id = {message}.chat_id AND w.seq = {message}.seq) < {user_id})"""


# What a member has not read of what is counted.
COUNTED = f"""
  s.unread_count - CASE WHEN s.unread_count = 0 THEN 0 ELSE (
    SELECT count(*) FROM unread_removals w
    WHERE w.chat_id = s.chat_id AND w.seq > s.last_read_seq AND w.seq <= s.counted_seq
      AND w.passed_user_id < s.user_id AND s.user_id <> ALL (w.exempt_user_ids)
      AND NOT {is_hidden_at("w", "s.user_id")}) END"""

# What a member has not read: what is newer than that is counted on the spot. In order, which only the index
# (chat_id, seq) gives: planned while a part of messages is empty, any index of it would look as good.
UNREAD = f"""{COUNTED}
  + CASE WHEN c.last_seq <= s.counted_seq THEN 0 ELSE (
    SELECT count(*) FROM (
      SELECT x.* FROM messages x
      WHERE x.chat_id = c.id AND x.seq > GREATEST(s.counted_seq, s.last_read_seq) AND x.seq <= c.last_seq
      ORDER BY x.seq OFFSET 0) n
    WHERE {is_for("n", "s.user_id")} AND n.deleted_at IS NULL) END"""
