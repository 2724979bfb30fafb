"""The index of who has a person as a contact holds their ids too.

Those who see a person come and go are read a thousand at a time, in the order of their ids; without them in the index
each page would read all.
"""

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _exchange("ix_contacts_contact_id", "ix_contacts_contact_id_user_id", "contact_id, user_id")


def downgrade() -> None:
    _exchange("ix_contacts_contact_id_user_id", "ix_contacts_contact_id", "contact_id")


def _exchange(old: str, new: str, columns: str) -> None:
    """Builds the new index beside running writes, then drops the old one. What a broken build left is built anew."""
    with op.get_context().autocommit_block():
        op.execute("SET lock_timeout = 0")
        op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {new}")
        op.execute(f"CREATE INDEX CONCURRENTLY {new} ON contacts ({columns})")
        op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {old}")
        op.execute("SET lock_timeout = '2s'")
