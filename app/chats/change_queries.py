"""SQL of which of a person's chats have changed: a part of the statement that catches up."""

from __future__ import annotations

from app.chats.queries.views import LISTED, MY_CHATS

# After leaving, only the leaving itself is a change.
_REVISION = "CASE WHEN m.left_at IS NULL THEN GREATEST(c.revision, m.revision, s.revision) ELSE m.revision END"

# Of what is gone. Who ended a chat did not wait for what others were just setting for themselves in it.
_REMOVED_REVISION = f"GREATEST({_REVISION}, s.revision)"

CHANGED = f"""
    SELECT m.chat_id, m.left_at IS NULL AS is_member, c.revision AS chat_revision, {_REVISION} AS revision,
      {_REMOVED_REVISION} AS removed_revision,
      GREATEST(s.cleared_seq, m.history_from_seq) AS from_seq, m.left_at IS NULL AND {LISTED} AS is_listed,
      m.left_at IS NULL AND s.hidden AND c.last_seq = 0 AND s.revision = m.revision AS was_never_shown
    {MY_CHATS}
    WHERE m.user_id = $1 AND {_REVISION} > $2"""
"""Chats that changed for the person $1 past the revision $2, with the seq after which their messages are visible.

`removed_revision` is past all that the person has seen of a chat that is gone from the list, and below what comes if it
is back. `was_never_shown`: opened by the other person, with nothing in it yet: nobody is told of that.
"""
