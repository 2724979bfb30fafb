"""What is made of a file counts for what its owner may have; those that wait to be looked at are counted by owner."""

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_COUNT_COPIES = """
UPDATE files f SET copies_size = o.size
FROM (SELECT file_id, sum(size) AS size FROM file_objects WHERE variant <> 'original' GROUP BY file_id) o
WHERE o.file_id = f.id
"""
_WAITING = "ix_files_owner_id_processing"


def upgrade() -> None:
    op.execute("ALTER TABLE files ADD COLUMN IF NOT EXISTS copies_size bigint NOT NULL DEFAULT 0")
    op.execute(_COUNT_COPIES)
    _exchange("ix_files_owner_id", "ix_files_owner_id_sizes", "size, copies_size")
    with op.get_context().autocommit_block():
        op.execute("SET lock_timeout = 0")
        op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {_WAITING}")
        op.execute(
            f"CREATE INDEX CONCURRENTLY {_WAITING} ON files (owner_id)"
            " WHERE status = 'processing' AND deleted_at IS NULL"
        )
        op.execute("SET lock_timeout = '2s'")


def downgrade() -> None:
    with op.get_context().autocommit_block():
        op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {_WAITING}")
    _exchange("ix_files_owner_id_sizes", "ix_files_owner_id", "size")
    op.execute("ALTER TABLE files DROP COLUMN copies_size")


def _exchange(old: str, new: str, columns: str) -> None:
    """Builds the new index beside running writes, then drops the old one. What a broken build left is built anew."""
    with op.get_context().autocommit_block():
        op.execute("SET lock_timeout = 0")
        op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {new}")
        op.execute(f"CREATE INDEX CONCURRENTLY {new} ON files (owner_id) INCLUDE ({columns}) WHERE deleted_at IS NULL")
        op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {old}")
        op.execute("SET lock_timeout = '2s'")
