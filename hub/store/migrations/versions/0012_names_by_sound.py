"""Keys by which records are found by name."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    op.create_table(
        "record_name",
        sa.Column("record", sa.LargeBinary(), primary_key=True),
        sa.Column("keys", ARRAY(sa.BigInteger()), nullable=False),
        comment="under which keyed hashes a record is found by name: what it asserts, kept with it",
    )
    op.create_index(
        "ix_record_name_keys",
        "record_name",
        ["keys"],
        postgresql_using="gin",
        postgresql_with={"gin_pending_list_limit": 1024},
    )
    # A store that has records already gets their keys by `jisr names`, which has the hub's secret.
    op.execute("INSERT INTO setting (name, value) SELECT 'names', '1' WHERE NOT EXISTS (SELECT FROM record)")


def downgrade() -> None:
    op.drop_table("record_name")
    op.execute("DELETE FROM setting WHERE name = 'names'")
