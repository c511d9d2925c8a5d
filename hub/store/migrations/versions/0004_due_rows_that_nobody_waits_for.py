"""Rows of `due` are only added and taken: a unique one made workers wait for each other in circles."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.drop_constraint(op.f("pk_due"), "due")
    op.add_column("due", sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False))
    op.create_primary_key(op.f("pk_due"), "due", ["id"])
    op.drop_index("ix_due_day", table_name="due")
    op.create_index("ix_due_day_entity", "due", ["day", "entity"], unique=False)
    op.create_index("ix_due_day_id", "due", ["day", "id"], unique=False)


def downgrade() -> None:
    op.drop_index("ix_due_day_id", table_name="due")
    op.drop_index("ix_due_day_entity", table_name="due")
    op.create_index("ix_due_day", "due", ["day"], unique=False)
    op.drop_constraint(op.f("pk_due"), "due")
    op.execute("DELETE FROM due a USING due b WHERE a.entity = b.entity AND (b.day, b.id) < (a.day, a.id)")
    op.drop_column("due", "id")
    op.create_primary_key(op.f("pk_due"), "due", ["entity"])
