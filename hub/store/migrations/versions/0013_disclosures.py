"""What agencies were told and had taken back, counted, and the reprojections that made it so."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    op.create_table(
        "reprojection",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), primary_key=True),
        sa.Column("record_type", sa.Text(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False, comment="agreement, joining or rebuilt"),
        sa.Column("agencies", ARRAY(sa.Text()), nullable=False, comment="who joined"),
        sa.Column("agreed", sa.Text(), comment="JSON: what differs in what was agreed on"),
        sa.Column("entities", sa.BigInteger(), nullable=False),
        sa.Column("last_due", sa.BigInteger(), nullable=False, comment="up to which row of due it waits"),
        sa.Column("rounds", sa.SmallInteger(), nullable=False, server_default="0"),
        sa.Column("began_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.text("now()")),
        sa.Column("ended_at", sa.DateTime(timezone=True)),
        comment="record types that are, or were, settled again as a whole (R17)",
    )
    op.create_index(
        "ix_reprojection_open", "reprojection", ["record_type"], postgresql_where=sa.text("ended_at IS NULL")
    )
    op.create_table(
        "disclosure",
        sa.Column("reprojection", sa.BigInteger(), primary_key=True, comment="0: outside of any"),
        sa.Column("day", sa.Integer(), primary_key=True, comment="days since 1970-01-01"),
        sa.Column("cause", sa.Text(), primary_key=True),
        sa.Column("agency", sa.Text(), primary_key=True),
        sa.Column("record_type", sa.Text(), primary_key=True),
        sa.Column("field", sa.Text(), primary_key=True),
        sa.Column("slot", sa.Integer(), primary_key=True, comment="spreads the writers; sum over it"),
        sa.Column("told", sa.BigInteger(), nullable=False),
        sa.Column("taken_back", sa.BigInteger(), nullable=False),
        comment="of how many entities each agency was told what, or had it taken back, and why (R17)",
    )


def downgrade() -> None:
    op.drop_table("disclosure")
    op.drop_table("reprojection")
