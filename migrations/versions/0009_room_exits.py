"""Who is to be taken out of LiveKit's room: from when on that is due, in the row of the participant."""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Builds the index beside running writes. What a broken build left is built anew."""
    op.execute("ALTER TABLE call_participants ADD COLUMN IF NOT EXISTS exit_due timestamptz")
    with op.get_context().autocommit_block():
        op.execute("SET lock_timeout = 0")
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS ix_call_participants_exit_due")
        op.execute(
            "CREATE INDEX CONCURRENTLY ix_call_participants_exit_due ON call_participants (exit_due)"
            " WHERE exit_due IS NOT NULL"
        )
        op.execute("SET lock_timeout = '2s'")


def downgrade() -> None:
    op.execute("ALTER TABLE call_participants DROP COLUMN exit_due")
