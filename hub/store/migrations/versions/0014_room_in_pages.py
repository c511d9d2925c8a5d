"""Room in the pages of records and entities, so that an edit stays in its row's page (decision 051).

Pages that are there already keep what is in them, and get their room as rows leave them.
"""

from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    # Known to the server from the next new page on: nothing is rewritten, and nobody waits but another ALTER.
    for table in ("record", "entity"):
        op.execute(f"ALTER TABLE {table} SET (fillfactor = 90)")


def downgrade() -> None:
    for table in ("entity", "record"):
        op.execute(f"ALTER TABLE {table} RESET (fillfactor)")
