"""The index of a person's memberships holds the chat too.

With user_id alone the planner takes it for as good as the primary key where one membership is looked for, and then all
chats of the person are read: a thousand rows for a send of somebody in a thousand chats.
"""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _exchange("ix_chat_members_user_id", "ix_chat_members_user_id_chat_id", "user_id, chat_id")


def downgrade() -> None:
    _exchange("ix_chat_members_user_id_chat_id", "ix_chat_members_user_id", "user_id")


def _exchange(old: str, new: str, columns: str) -> None:
    """Builds the new index beside running writes, then drops the old one. What a broken build left is built anew."""
    with op.get_context().autocommit_block():
        op.execute("SET lock_timeout = 0")
        op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {new}")
        op.execute(f"CREATE INDEX CONCURRENTLY {new} ON chat_members ({columns})")
        op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {old}")
        op.execute("SET lock_timeout = '2s'")
