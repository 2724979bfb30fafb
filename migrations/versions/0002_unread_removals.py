"""Deletions in large chats that a worker has yet to take out of the members' unread counts."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        CREATE TABLE unread_removals (
          chat_id bigint NOT NULL,
          seq bigint NOT NULL,
          passed_user_id bigint NOT NULL DEFAULT 0,
          exempt_user_ids bigint[] NOT NULL,
          CONSTRAINT pk_unread_removals PRIMARY KEY (chat_id, seq)
        )""")


def downgrade() -> None:
    op.execute("DROP TABLE unread_removals")
