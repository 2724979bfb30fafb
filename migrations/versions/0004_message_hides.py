"""What people delete for themselves stands in a table of its own, and no longer in the messages.

What was deleted so before is moved, which reads all messages once. `messages.deleted_for_users` stays as it is for
processes of the version before, which may still run; nothing else reads or writes it from now on, and a later release
drops it. What those processes hide after this is not moved, and what new ones hide they do not see: so end them soon.
"""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

# The conditions hold for every row. They keep either index from being taken, in a plan made while the table is small,
# for what the primary key finds at once: only statements that say the same can use it.
_TABLE = """
    CREATE TABLE message_hides (
      user_id bigint NOT NULL,
      chat_id bigint NOT NULL,
      message_id bigint NOT NULL,
      seq bigint NOT NULL,
      revision bigint NOT NULL,
      CONSTRAINT pk_message_hides PRIMARY KEY (user_id, chat_id, message_id)
    );
    CREATE INDEX ix_message_hides_user_id_revision ON message_hides (user_id, revision) WHERE revision > 0;
    CREATE INDEX ix_message_hides_chat_id_seq_user_id ON message_hides (chat_id, seq, user_id) WHERE seq > 0;
"""

_MOVE = """
    INSERT INTO message_hides (user_id, chat_id, message_id, seq, revision)
    SELECT h.user_id, x.chat_id, x.id, x.seq, x.revision
    FROM messages x CROSS JOIN LATERAL unnest(x.deleted_for_users) AS h (user_id)
    WHERE x.deleted_for_users IS NOT NULL AND h.user_id IS NOT NULL
    ON CONFLICT DO NOTHING"""

_MOVE_BACK = """
    UPDATE messages x SET deleted_for_users = h.user_ids
    FROM (SELECT message_id, array_agg(user_id ORDER BY user_id) AS user_ids FROM message_hides GROUP BY message_id) h
    WHERE x.id = h.message_id"""


def upgrade() -> None:
    op.execute(_TABLE)
    op.execute("SET LOCAL enable_seqscan = on")
    op.execute(_MOVE)


def downgrade() -> None:
    op.execute(_MOVE_BACK)
    op.execute("DROP TABLE message_hides")
