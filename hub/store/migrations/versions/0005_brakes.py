"""Brakes: how many deletions and updates came lately, and what is held of a mass of them."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_table(
        "brake_count",
        sa.Column("agency", sa.Text(), nullable=False),
        sa.Column("record_type", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("minute", sa.Integer(), nullable=False, comment="of the append time, since 1970-01-01"),
        sa.Column("slot", sa.Integer(), nullable=False, comment="spreads the writers; sum over it"),
        sa.Column("changes", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(
            "agency", "record_type", "kind", "minute", "slot", name=op.f("pk_brake_count")
        ),
        comment="how many changes of a kind came within each of the last minutes (R32)",
    )
    op.create_table(
        "brake",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("agency", sa.Text(), nullable=False),
        sa.Column("record_type", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False, comment="mass_delete or mass_update"),
        sa.Column("state", sa.Text(), server_default="held", nullable=False),
        sa.Column("live", sa.BigInteger(), nullable=False, comment="the agency's live records then"),
        sa.Column("allowed", sa.BigInteger(), nullable=False, comment="the limit then"),
        sa.Column("opened_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.Column("who", sa.Text()),
        sa.Column("why", sa.Text()),
        sa.Column("decided_at", sa.DateTime(timezone=True)),
        sa.Column("pass_until_ms", sa.BigInteger(), comment="released: until when more of it passes"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_brake")),
        comment="masses of changes that wait for a person's word (R32)",
    )
    op.create_index(
        "uq_brake_held",
        "brake",
        ["agency", "record_type", "kind"],
        unique=True,
        postgresql_where=sa.text("state = 'held'"),
    )
    op.create_table(
        "braked",
        sa.Column("record", sa.LargeBinary(), nullable=False),
        sa.Column("event_id", sa.Text(), nullable=False),
        sa.Column("brake", sa.BigInteger(), nullable=False),
        sa.Column("change", sa.LargeBinary(), nullable=False, comment="MessagePack: the whole change"),
        sa.Column("done", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.PrimaryKeyConstraint("record", "event_id", name=op.f("pk_braked")),
        comment="the changes that a brake holds or held",
    )
    op.create_index("ix_braked_brake", "braked", ["brake", "done"])


def downgrade() -> None:
    op.drop_table("braked")
    op.drop_table("brake")
    op.drop_table("brake_count")
