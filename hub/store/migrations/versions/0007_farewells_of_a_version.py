"""A retraction on its way is of one version: the receipt of an earlier one must not bury a later one."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    # Those on their way wait for a version that nobody holds: their entities keep what they were told,
    # and a tombstone less is a record more in a compacted topic, no wrong one.
    op.add_column("farewell", sa.Column("version", sa.BigInteger(), nullable=False, server_default="0"))
    op.alter_column("farewell", "version", server_default=None)


def downgrade() -> None:
    op.drop_column("farewell", "version")
