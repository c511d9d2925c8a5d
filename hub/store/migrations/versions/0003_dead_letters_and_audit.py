"""What became of dead letters, by whose word; who saw or decided what."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_STATE = "open, redriven or discarded"
_COMMENT = "messages that could not be used, whole, and what a person made of them (R27)"
_COMMENT_BEFORE = "messages that could not be used, whole (R27)"


def upgrade() -> None:
    op.drop_constraint(op.f("pk_dead_letter"), "dead_letter")
    op.add_column("dead_letter", sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False))
    op.create_primary_key(op.f("pk_dead_letter"), "dead_letter", ["id"])
    op.create_unique_constraint(
        "uq_dead_letter_place", "dead_letter", ["topic", "partition", "kafka_offset", "at_ms"]
    )
    op.alter_column("dead_letter", "state", server_default="open", comment=_STATE)
    op.execute("UPDATE dead_letter SET state = 'open' WHERE state = 'dead'")
    for column in (
        sa.Column(
            "redrives", sa.Integer(), server_default="0", nullable=False, comment="how often it was redriven"
        ),
        sa.Column("outcome", sa.Text(), comment="of the last redrive: applied, superseded, held or dead"),
        sa.Column("who", sa.Text(), comment="who redrove it last, or discarded it"),
        sa.Column("why", sa.Text()),
        sa.Column("decided_at", sa.DateTime(timezone=True)),
    ):
        op.add_column("dead_letter", column)
    op.create_check_constraint(
        "ck_dead_letter_discarded",
        "dead_letter",
        "state <> 'discarded' OR (coalesce(who, '') <> '' AND coalesce(why, '') <> '')",
    )
    op.create_table_comment("dead_letter", _COMMENT, existing_comment=_COMMENT_BEFORE)
    op.create_table(
        "audit",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.Column("who", sa.Text(), nullable=False, comment="as the person says"),
        sa.Column("account", sa.Text(), nullable=False, comment="as the machine says: user@host"),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False, comment="what it was done to, without an identifier"),
        sa.Column("agency", sa.Text()),
        sa.Column("record_type", sa.Text()),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), server_default="", nullable=False, comment="what came of it"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit")),
        comment="who saw or decided what, and for which purpose; only ever added to",
    )


def downgrade() -> None:
    op.drop_table("audit")
    op.create_table_comment("dead_letter", _COMMENT_BEFORE, existing_comment=_COMMENT)
    op.drop_constraint("ck_dead_letter_discarded", "dead_letter")
    for column in ("decided_at", "why", "who", "outcome", "redrives"):
        op.drop_column("dead_letter", column)
    op.execute("UPDATE dead_letter SET state = 'dead' WHERE state = 'open'")
    op.alter_column("dead_letter", "state", server_default="dead", comment=None)
    op.drop_constraint("uq_dead_letter_place", "dead_letter")
    # The tables before could keep one message per place: the newest is of the topic that exists.
    op.execute("""
        DELETE FROM dead_letter a USING dead_letter b
        WHERE (a.topic, a.partition, a.kafka_offset) = (b.topic, b.partition, b.kafka_offset)
          AND a.at_ms < b.at_ms
    """)
    op.drop_constraint(op.f("pk_dead_letter"), "dead_letter")
    op.drop_column("dead_letter", "id")
    op.create_primary_key(op.f("pk_dead_letter"), "dead_letter", ["topic", "partition", "kafka_offset"])
