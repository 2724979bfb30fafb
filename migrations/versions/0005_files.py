"""Files: what is known of them, their objects in storage, uploads that go on later, and who shows them."""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_FILES = """
CREATE TABLE files (
  id uuid CONSTRAINT pk_files PRIMARY KEY,
  owner_id bigint NOT NULL CONSTRAINT fk_files_owner_id REFERENCES users,
  name text NOT NULL,
  size bigint NOT NULL,
  sha256 bytea,
  mime_type text NOT NULL DEFAULT 'application/octet-stream',
  kind text NOT NULL DEFAULT 'file' CONSTRAINT ck_files_kind CHECK (kind IN ('image', 'video', 'audio', 'file')),
  status text NOT NULL DEFAULT 'processing'
    CONSTRAINT ck_files_status CHECK (status IN ('processing', 'ready', 'failed')),
  failure text,
  width integer,
  height integer,
  duration_seconds double precision,
  preview text,
  waveform smallint[],
  attempts integer NOT NULL DEFAULT 0,
  try_after timestamptz NOT NULL DEFAULT now(),
  created_at timestamptz NOT NULL DEFAULT now(),
  processed_at timestamptz,
  unused_since timestamptz DEFAULT now(),
  deleted_at timestamptz
);
CREATE INDEX ix_files_owner_id ON files (owner_id) INCLUDE (size) WHERE deleted_at IS NULL;
CREATE INDEX ix_files_processing ON files (try_after) WHERE status = 'processing' AND deleted_at IS NULL;
CREATE INDEX ix_files_unused ON files (unused_since) WHERE unused_since IS NOT NULL AND deleted_at IS NULL;
CREATE INDEX ix_files_deleted ON files (deleted_at) WHERE deleted_at IS NOT NULL;

CREATE TABLE file_objects (
  file_id uuid NOT NULL CONSTRAINT fk_file_objects_file_id REFERENCES files,
  variant text NOT NULL
    CONSTRAINT ck_file_objects_variant CHECK (variant IN ('original', 'shared', 'small', 'medium', 'large')),
  key text NOT NULL CONSTRAINT uq_file_objects_key UNIQUE,
  mime_type text NOT NULL,
  size bigint NOT NULL,
  width integer,
  height integer,
  CONSTRAINT pk_file_objects PRIMARY KEY (file_id, variant)
);

CREATE TABLE message_files (
  file_id uuid NOT NULL CONSTRAINT fk_message_files_file_id REFERENCES files,
  chat_id bigint NOT NULL,
  message_id bigint NOT NULL,
  seq bigint NOT NULL,
  CONSTRAINT pk_message_files PRIMARY KEY (file_id, chat_id, message_id)
);
CREATE INDEX ix_message_files_chat_id_seq ON message_files (chat_id, seq);

CREATE TABLE uploads (
  id uuid CONSTRAINT pk_uploads PRIMARY KEY,
  owner_id bigint NOT NULL CONSTRAINT fk_uploads_owner_id REFERENCES users,
  method text NOT NULL CONSTRAINT ck_uploads_method CHECK (method IN ('tus', 'form')),
  key text NOT NULL CONSTRAINT uq_uploads_key UNIQUE,
  token text NOT NULL,
  name text NOT NULL,
  size bigint NOT NULL,
  metadata text NOT NULL DEFAULT '',
  lease uuid,
  leased_until timestamptz,
  created_at timestamptz NOT NULL DEFAULT now(),
  expires_at timestamptz NOT NULL
);
CREATE INDEX ix_uploads_owner_id ON uploads (owner_id) INCLUDE (size);
CREATE INDEX ix_uploads_expires_at ON uploads (expires_at);

CREATE TABLE removed_objects (
  key text CONSTRAINT pk_removed_objects PRIMARY KEY,
  due_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ix_removed_objects_due_at ON removed_objects (due_at);
"""

_AVATARS = ("users", "chats")


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.execute("SET lock_timeout = 0")
        for table in _AVATARS:
            # What a broken build left is built anew.
            op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS ix_{table}_avatar_file_id")
            op.execute(
                f"CREATE INDEX CONCURRENTLY ix_{table}_avatar_file_id ON {table} (avatar_file_id)"
                " WHERE avatar_file_id IS NOT NULL"
            )
        op.execute("SET lock_timeout = '2s'")
    op.execute(_FILES)


def downgrade() -> None:
    for table in _AVATARS:
        op.execute(f"DROP INDEX IF EXISTS ix_{table}_avatar_file_id")
    op.execute("DROP TABLE removed_objects, uploads, message_files, file_objects, files")
