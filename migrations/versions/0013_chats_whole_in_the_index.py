"""At which revision a chat was last in the index of search as a whole.

Of the chats that are in it nobody knows: 0 has what moves in them taken for new once more, until they are whole again.
"""

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE search_progress ADD COLUMN IF NOT EXISTS whole_revision bigint NOT NULL DEFAULT 0")


def downgrade() -> None:
    op.execute("ALTER TABLE search_progress DROP COLUMN whole_revision")
