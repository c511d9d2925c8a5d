"""In which epoch of its database an agency has said all its records of a type."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    op.add_column(
        "receipt",
        sa.Column(
            "epoch",
            sa.Integer(),
            nullable=False,
            server_default="0",
            comment="of a changes topic: said whole in",
        ),
    )
    op.add_column("receipt", sa.Column("set_back_ms", sa.BigInteger(), nullable=False, server_default="0"))


def downgrade() -> None:
    op.drop_column("receipt", "set_back_ms")
    op.drop_column("receipt", "epoch")
