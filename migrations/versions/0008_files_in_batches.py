"""What jobs do to files that many messages show."""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_TABLES = """
    CREATE TABLE released_histories (
      chat_id bigint CONSTRAINT pk_released_histories PRIMARY KEY,
      seq bigint NOT NULL,
      since timestamptz NOT NULL DEFAULT now()
    );
    CREATE INDEX ix_released_histories_since ON released_histories (since);

    CREATE TABLE untold_files (
      file_id uuid CONSTRAINT pk_untold_files PRIMARY KEY,
      chat_id bigint NOT NULL,
      message_id bigint NOT NULL,
      since timestamptz NOT NULL DEFAULT now()
    );
    CREATE INDEX ix_untold_files_since ON untold_files (since);
"""

# The versions before did all of this at once, and look for none of it later. With the tables held nothing is added.
_HISTORIES_DONE = """
    LOCK TABLE released_histories, untold_files IN ACCESS EXCLUSIVE MODE;
    WITH hidden AS (
      DELETE FROM message_files r USING released_histories h
      WHERE r.chat_id = h.chat_id AND r.seq <= h.seq RETURNING r.file_id)
    UPDATE files SET unused_since = now() WHERE id IN (SELECT file_id FROM hidden)
"""

# Each with a revision of its own, in the order in which everybody locks chats.
_FILES_TOLD = """
    DO $$
    DECLARE
      place record;
      stamp bigint;
    BEGIN
      FOR place IN
        SELECT r.chat_id, r.message_id, f.kind
        FROM untold_files u JOIN files f ON f.id = u.file_id
        JOIN message_files r ON r.file_id = u.file_id AND (r.chat_id, r.message_id) > (u.chat_id, u.message_id)
        WHERE f.deleted_at IS NULL ORDER BY r.chat_id, r.message_id
      LOOP
        UPDATE chats SET revision = next_message_id(GREATEST(revision, last_message_id)) WHERE id = place.chat_id
        RETURNING revision INTO stamp;
        UPDATE messages SET message_type = place.kind, revision = stamp
        WHERE id = place.message_id AND deleted_at IS NULL;
      END LOOP;
    END $$
"""


def upgrade() -> None:
    op.execute(_TABLES)


def downgrade() -> None:
    """Does what is left to do, but for telling sockets; files that nothing shows any more go after a day."""
    op.execute(_HISTORIES_DONE)
    op.execute(_FILES_TOLD)
    op.execute("DROP TABLE released_histories, untold_files")
