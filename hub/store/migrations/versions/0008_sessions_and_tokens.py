"""Who is in the console, so that a session can be called back; and programs' tokens, by their hash."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def _moment(name: str, *, now: bool = False) -> sa.Column[object]:
    default = {"server_default": sa.func.now(), "nullable": False} if now else {"nullable": True}
    return sa.Column(name, sa.DateTime(timezone=True), **default)


def upgrade() -> None:
    op.create_table(
        "console_session",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("mark", sa.LargeBinary(), nullable=False, comment="SHA-256 of the cookie's own number"),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("agency", sa.Text(), nullable=True),
        _moment("begun_at", now=True),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        _moment("ended_at"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_console_session")),
        comment="people in the console: a session that is not here, or has ended, lets nobody in",
    )
    op.create_index("ux_console_session_mark", "console_session", ["mark"], unique=True)
    op.create_index("ix_console_session_until", "console_session", ["until"])
    op.create_table(
        "console_token",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("mark", sa.LargeBinary(), nullable=False, comment="SHA-256 of the token"),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("agency", sa.Text(), nullable=True),
        sa.Column("made_by", sa.Text(), nullable=False),
        _moment("made_at", now=True),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        _moment("used_at"),
        _moment("revoked_at"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_console_token")),
        comment="tokens of programs for the console's API",
    )
    op.create_index("ux_console_token_mark", "console_token", ["mark"], unique=True)


def downgrade() -> None:
    op.drop_table("console_token")
    op.drop_table("console_session")
