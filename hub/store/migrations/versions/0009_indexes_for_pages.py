"""Indexes by which the console's pages find what they show without reading the rest."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"

_PLAIN = {
    "ix_dead_letter_alike": ("dead_letter", ["state", "agency", "record_type", "code", "at_ms", "id"]),
    "ix_audit_at": ("audit", ["at", "id"]),
    "ix_audit_who": ("audit", ["who", "at", "id"]),
    "ix_audit_account": ("audit", ["account", "at", "id"]),
    "ix_audit_action": ("audit", ["action", "at", "id"]),
    "ix_audit_subject": ("audit", ["subject", "at", "id"]),
    "ix_audit_agency": ("audit", ["agency", "at", "id"]),
    "ix_audit_agency_action": ("audit", ["agency", "action", "at", "id"]),
    "ix_review_b": ("review", ["b"]),
    "ix_undelivered_since": ("undelivered", ["agency", "since_ms", "entity"]),
    "ix_undelivered_entity": ("undelivered", ["entity"]),
}


def upgrade() -> None:
    for name, (table, columns) in _PLAIN.items():
        op.create_index(name, table, columns)
    op.create_index(
        "ix_hold_held",
        "hold",
        ["agency", "id"],
        postgresql_include=["record_type"],
        postgresql_where=sa.text("state = 'held'"),
    )
    op.create_index(
        "ix_review_open", "review", ["created_at", "a", "b"], postgresql_where=sa.text("state = 'open'")
    )
    op.drop_index("ix_dead_letter_agency", "dead_letter")


def downgrade() -> None:
    op.create_index("ix_dead_letter_agency", "dead_letter", ["agency", "record_type", "state"])
    op.drop_index("ix_review_open", "review")
    op.drop_index("ix_hold_held", "hold")
    for name, (table, _) in reversed(_PLAIN.items()):
        op.drop_index(name, table)
