"""What records asserted before: kept for some days, so that a bad import can be taken back."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.create_table(
        "history",
        sa.Column("record", sa.LargeBinary(), nullable=False),
        sa.Column("mark", sa.LargeBinary(), nullable=False, comment="hash of `said`: kept once"),
        sa.Column("said", sa.LargeBinary(), nullable=False, comment="MessagePack: assertions"),
        sa.Column("kept_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.PrimaryKeyConstraint("record", "mark", name=op.f("pk_history")),
        comment="assertions beside which others of the same record and field stand",
    )
    op.create_index("ix_history_kept_at", "history", ["kept_at"])


def downgrade() -> None:
    op.drop_table("history")
