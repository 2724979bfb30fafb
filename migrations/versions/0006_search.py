"""Search: the index of messages, up to where each chat is in it, and the words of public chats' names.

Nothing is filled here: the sweep of search finds that all chats are behind, and workers index them one after the other.
"""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

# Without a list of pending entries, which every search would read through: whoever writes here is nobody's sender.
_TABLES = """
    CREATE TABLE message_search (
      chat_id bigint NOT NULL,
      message_id bigint NOT NULL,
      seq bigint NOT NULL,
      tokens tsvector NOT NULL,
      CONSTRAINT pk_message_search PRIMARY KEY (chat_id, message_id)
    );
    CREATE INDEX ix_message_search_tokens ON message_search USING gin (tokens) WITH (fastupdate = off);
    ALTER TABLE message_search ALTER COLUMN tokens SET STATISTICS 0;

    CREATE TABLE search_progress (
      chat_id bigint CONSTRAINT pk_search_progress PRIMARY KEY,
      revision bigint NOT NULL DEFAULT 0,
      rebuilt_seq bigint
    ) WITH (fillfactor = 70);
    CREATE INDEX ix_search_progress_rebuilding ON search_progress (chat_id) WHERE rebuilt_seq IS NOT NULL;

    CREATE TABLE chat_names (
      word text COLLATE "C" NOT NULL,
      chat_id bigint NOT NULL,
      CONSTRAINT pk_chat_names PRIMARY KEY (word, chat_id)
    );
    CREATE INDEX ix_chat_names_chat_id_word ON chat_names (chat_id, word);
"""


def upgrade() -> None:
    op.execute(_TABLES)


def downgrade() -> None:
    op.execute("DROP TABLE chat_names, search_progress, message_search")
