"""Entities counted per agency; who decided on a hold, and why."""

from collections import Counter

import msgspec
import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "holding",
        sa.Column("agency", sa.Text(), nullable=False),
        sa.Column("record_type", sa.Text(), nullable=False),
        sa.Column("slot", sa.Integer(), nullable=False, comment="spreads the writers; sum over it"),
        sa.Column("entities", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("agency", "record_type", "slot", name=op.f("pk_holding")),
        comment="how many entities each agency was last told to hold: entity.held counted, kept with it",
    )
    _count()
    op.add_column("hold", sa.Column("who", sa.Text(), nullable=True))
    op.add_column("hold", sa.Column("why", sa.Text(), nullable=True))
    op.add_column("hold", sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True))


def _count() -> None:
    """Count what is there; about 3 s for a million entities, and no worker may change them meanwhile."""
    connection = op.get_bind()
    connection.execute(sa.text("LOCK TABLE entity IN SHARE MODE"))
    decode = msgspec.msgpack.Decoder(dict[str, tuple[bytes, str]]).decode
    counts: Counter[tuple[str, str]] = Counter()
    rows = connection.execute(
        sa.text("SELECT record_type, held FROM entity"), execution_options={"yield_per": 10_000}
    )
    for record_type, held in rows:
        for agency, (_, told) in decode(held).items():
            counts[agency, record_type] += told == "upsert"
    if counts:
        connection.execute(
            sa.text("INSERT INTO holding VALUES (:agency, :record_type, 0, :entities)"),
            [{"agency": a, "record_type": t, "entities": n} for (a, t), n in sorted(counts.items())],
        )


def downgrade() -> None:
    op.drop_column("hold", "decided_at")
    op.drop_column("hold", "why")
    op.drop_column("hold", "who")
    op.drop_table("holding")
