"""When each topic was last compared with the store, and what was found: sweeps come by themselves."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.create_table(
        "topic_sweep",
        sa.Column("topic", sa.Text(), primary_key=True),
        sa.Column("swept_ms", sa.BigInteger(), nullable=False),
        sa.Column("messages", sa.BigInteger(), nullable=False),
        sa.Column("findings", sa.BigInteger(), nullable=False),
        comment="when each topic was last compared with the store, and how many keys differed (R26)",
    )


def downgrade() -> None:
    op.drop_table("topic_sweep")
