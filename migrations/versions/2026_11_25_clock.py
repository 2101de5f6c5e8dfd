"""The clock by which deadlines pass."""

import sqlalchemy as sa
from alembic import op

revision = "2026_11_25_clock"
down_revision = "2026_11_25_missing_validated"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make room for the last tick; it is empty until something ticks."""
    op.create_table(
        "clock",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("ticked_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_clock_only_one")),
        sa.PrimaryKeyConstraint("id", name="pk_clock"),
    )
