"""Ids and revisions stay past the cursors that were given, also where the clock steps back.

`clock_floor` is the latest moment, in milliseconds as in ids, that a cursor was given for. While the clock is behind
it, each id takes the next millisecond past it. It is not logged: a look that gives a cursor would wait for the disk.
"""

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_CLOCK = "floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint - 1735689600000"


def upgrade() -> None:
    op.execute("CREATE UNLOGGED SEQUENCE clock_floor")
    op.execute(f"""
        CREATE OR REPLACE FUNCTION next_message_id(prev bigint DEFAULT 0) RETURNS bigint LANGUAGE sql VOLATILE AS $$
          SELECT (GREATEST(CASE WHEN {_CLOCK} < pg_sequence_last_value('clock_floor') THEN nextval('clock_floor')
                                ELSE {_CLOCK} END,
                           (prev >> 12) + 1) << 12)
                 | (nextval('message_id_seq') & 4095)
        $$""")


def downgrade() -> None:
    op.execute(f"""
        CREATE OR REPLACE FUNCTION next_message_id(prev bigint DEFAULT 0) RETURNS bigint LANGUAGE sql VOLATILE AS $$
          SELECT (GREATEST({_CLOCK}, (prev >> 12) + 1) << 12) | (nextval('message_id_seq') & 4095)
        $$""")
    op.execute("DROP SEQUENCE clock_floor")
